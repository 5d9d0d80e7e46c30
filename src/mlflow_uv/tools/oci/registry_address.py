"""Decides by which protocol a registry is reached, and notices one on this machine that speaks TLS."""

from http import HTTPStatus
from urllib.parse import quote, urlsplit

from ...core.image.reference import DOCKER_HUB, ImageReference
from ...core.security.origins import is_loopback
from ..system.web import Web, WebReply

_PLAIN, _ENCRYPTED = "http://", "https://"


def repository_address(reference: ImageReference, web: Web) -> str:
    """The address of a repository: by HTTPS, on this machine only if there are certificates for that registry."""
    host = f"registry-1.{DOCKER_HUB}" if reference.host == DOCKER_HUB else reference.host
    local = is_loopback(urlsplit(f"//{host}").hostname or "")
    scheme = _PLAIN if local and not web.has_certificates(host) else _ENCRYPTED
    return f"{scheme}{host}/v2/{quote(reference.repository)}"


def requires_tls(address: str, reply: WebReply) -> bool:
    """
    Whether a response to plain HTTP is that of a server for HTTPS: 400, not from a registry, whose errors are JSON.

    Go's server and nginx respond so; the response to HEAD has no text that would say it.
    """
    of_registry = "json" in reply.headers.get("content-type", "") or reply.body.lstrip().startswith(b"{")
    return address.startswith(_PLAIN) and reply.status == HTTPStatus.BAD_REQUEST and not of_registry


def with_tls(address: str) -> str:
    """An address by HTTPS."""
    return address.replace(_PLAIN, _ENCRYPTED, 1) if address.startswith(_PLAIN) else address
