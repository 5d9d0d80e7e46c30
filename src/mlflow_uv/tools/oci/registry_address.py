"""Sends requests to a registry by the protocol that it speaks, which is noticed for one on this machine."""

import threading
from dataclasses import replace
from http import HTTPStatus
from urllib.parse import quote, urlsplit

from ...core.image.reference import DOCKER_HUB, ImageReference, TlsProblem
from ...core.security.origins import is_loopback
from ..system.web import Web, WebReply, WebRequest, WebUnreachable

_PLAIN, _ENCRYPTED = "http://", "https://"
_PROBE_S = 5.0  # for a server on this machine
# By these, a server shows that it speaks TLS; with the others, none was reached, or it does not.
_OF_TLS_SERVERS = frozenset({TlsProblem.UNTRUSTED, TlsProblem.REFUSED_CLIENT})


class RegistryConnection:
    """
    The address of a repository, and requests to it.

    On this machine the protocol is a guess, as in Docker, until the registry has answered. Where it does not answer as
    a registry would, it is asked by the other protocol, which is used from then on if it answers to that. A registry
    elsewhere, and one with a certificate that is not trusted, is never asked without TLS.
    """

    def __init__(self, reference: ImageReference, web: Web) -> None:
        self.address = repository_address(reference, web)
        self._web = web
        self._known = not is_loopback(urlsplit(self.address).hostname or "")
        self._asking = threading.Lock()

    def send(self, request: WebRequest) -> WebReply:
        """Send a request to the repository, or to another address as it is. Raises WebUnreachable."""
        request = self._by_known_protocol(request)
        if self._known or not request.url.startswith(self.address):
            return self._web.send(request)
        try:
            reply = self._web.send(request)
        except WebUnreachable as error:
            if not _may_have_other_protocol(request.url, error) or not self._is_other(request.url):
                raise
        else:
            if not may_require_tls(request.url, reply) or not self._is_other(request.url):
                self._known = True
                return reply
        return self._web.send(self._by_known_protocol(request))

    def _by_known_protocol(self, request: WebRequest) -> WebRequest:
        """A request that may have been made before another thread noticed the protocol."""
        if request.url.startswith(_with_other_protocol(self.address)):
            return replace(request, url=_with_other_protocol(request.url))
        return request

    def _is_other(self, url: str) -> bool:
        """Whether the registry answers to the other protocol than that of a URL, which is its address then."""
        with self._asking:
            if not self._known and _answers(other := _with_other_protocol(self.address), self._web):
                self.address, self._known = other, True
        return not url.startswith(self.address)


def repository_address(reference: ImageReference, web: Web) -> str:
    """The address of a repository: by HTTPS, on this machine only if there are certificates for that registry."""
    host = f"registry-1.{DOCKER_HUB}" if reference.host == DOCKER_HUB else reference.host
    local = is_loopback(urlsplit(f"//{host}").hostname or "")
    scheme = _PLAIN if local and not web.has_certificates(host) else _ENCRYPTED
    return f"{scheme}{host}/v2/{quote(reference.repository)}"


def may_require_tls(address: str, reply: WebReply) -> bool:
    """
    Whether a response to plain HTTP can be that of a server for HTTPS: 400, without the JSON of a registry's errors.

    Go's server and nginx respond so. It can also be a registry's own, or a proxy's; the response to HEAD has no text
    that would tell.
    """
    of_registry = "json" in reply.headers.get("content-type", "") or reply.body.lstrip().startswith(b"{")
    return address.startswith(_PLAIN) and reply.status == HTTPStatus.BAD_REQUEST and not of_registry


def _may_have_other_protocol(url: str, error: WebUnreachable) -> bool:
    """Whether a server that did not answer may do so by the other protocol: never to get around its certificate."""
    if url.startswith(_PLAIN):
        return not error.slow and not error.permanent
    return not error.slow and error.tls in {None, TlsProblem.PLAIN, TlsProblem.UNUSABLE_KEY}


def _answers(address: str, web: Web) -> bool:
    """Whether the server of an address speaks the protocol of that; one with TLS may refuse the connection."""
    parts = urlsplit(address)
    try:
        reply = web.post(WebRequest(url=f"{parts.scheme}://{parts.netloc}/v2/", method="GET"), timeout_s=_PROBE_S)
    except WebUnreachable as error:
        return error.tls in _OF_TLS_SERVERS
    return not may_require_tls(address, reply)


def _with_other_protocol(url: str) -> str:
    """A URL by HTTPS in place of HTTP, or the other way round."""
    if url.startswith(_PLAIN):
        return url.replace(_PLAIN, _ENCRYPTED, 1)
    return url.replace(_ENCRYPTED, _PLAIN, 1)
