"""Queries container registries for manifests and configurations (OCI distribution specification)."""

import base64
import hashlib
import re
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import TypeVar
from urllib.parse import quote, urlencode, urljoin, urlsplit

from ...core.image.oci_manifest import TYPES, read_labels, read_manifest
from ...core.image.reference import DOCKER_HUB, ImageReference, image_reference
from ...core.security.documents import parse_json
from ...core.security.origins import is_loopback
from ..system.clock import Clock
from ..system.web import Web, WebReply, WebRequest, WebUnreachable
from .logins import Login, Logins

# Statuses of a busy registry, and the wait before each further attempt.
_BUSY = frozenset({429, 500, 502, 503, 504})
_WAITS_S = (0.5, 2.0)
_CLIENT = "mlflow-uv"
_OK = 200
_ACCEPTED = 202
_DENIED = frozenset({401, 403})
_ABSENT = 404
_CHALLENGE = 401
T = TypeVar("T")


class RegistryUnanswered(Exception):
    """A registry gave no usable response: it is unreachable, or denies access with the current login (`denied`)."""

    def __init__(self, reason: str, *, denied: bool = False) -> None:
        super().__init__(reason)
        self.denied = denied


@dataclass(frozen=True, kw_only=True, slots=True)
class PublishedImage:
    """
    An image in a registry: every digest that an engine may use as its id, and the labels for each platform.

    An id is the digest of the configuration, or that of the manifest or index in engines with a containerd store.
    """

    ids: frozenset[str]
    labels: tuple[Mapping[str, str], ...]


@dataclass(frozen=True, kw_only=True, slots=True)
class Published:
    """
    The image with a digest, and the digest of the tag; None for what the registry does not have.

    `tagged_labels` are the labels of the tagged image for each platform, if it is another image.
    """

    tagged: str | None
    image: PublishedImage | None
    tagged_labels: tuple[Mapping[str, str], ...] = ()


class Registries:
    """Container registries, remote and on this machine."""

    def __init__(self, web: Web, logins: Logins, clock: Clock) -> None:
        self._web = web
        self._logins = logins
        self._clock = clock

    def has(self, name: str) -> bool:
        """Whether a registry has an image under a name with a tag or a digest. Raises RegistryUnanswered."""
        place, _, digest = name.partition("@")
        reference = image_reference(place)
        repository = _Repository(self._web, self._clock, reference, self._logins.of(reference))
        return repository.manifest(digest or reference.served_tag) is not None

    def require_push(self, name: str) -> None:
        """
        Start an upload to the repository of a name and cancel it; nothing is stored.

        Raises RegistryUnanswered, `denied` if the current login may not push.
        """
        reference = image_reference(name)
        _Repository(self._web, self._clock, reference, self._logins.of(reference), rights="pull,push").begin_upload()

    def published(self, name: str, digest: str) -> Published:
        """
        The image with this digest, and what the tag of `name` refers to. All content is verified by its digest.

        Raises RegistryUnanswered.
        """
        reference = image_reference(name)
        repository = _Repository(self._web, self._clock, reference, self._logins.of(reference))
        tagged = repository.manifest(reference.served_tag)
        under_tag = None if tagged is None else _digest_of(tagged)
        of_digest = tagged if under_tag == digest else repository.manifest(digest)
        return Published(
            tagged=under_tag,
            image=None if of_digest is None else repository.image(digest, of_digest),
            tagged_labels=() if tagged is None or under_tag == digest else repository.labels(tagged),
        )

    def labels(self, name: str) -> tuple[Mapping[str, str], ...]:
        """The labels of a tagged image for each platform, empty if there is none. Raises RegistryUnanswered."""
        reference = image_reference(name)
        repository = _Repository(self._web, self._clock, reference, self._logins.of(reference))
        tagged = repository.manifest(reference.served_tag)
        return () if tagged is None else repository.labels(tagged)


class _Repository:
    """One repository, with the authorization that it requires."""

    def __init__(
        self, web: Web, clock: Clock, reference: ImageReference, login: Login | None, *, rights: str = "pull"
    ) -> None:
        self._web = web
        self._rights = rights
        self._clock = clock
        self._reference = reference
        self._login = login
        host = f"registry-1.{DOCKER_HUB}" if reference.host == DOCKER_HUB else reference.host
        scheme = "http" if is_loopback(urlsplit(f"//{host}").hostname or "") else "https"
        self._host = reference.host
        self._base = f"{scheme}://{host}/v2/{quote(reference.repository)}"
        self._authorization: Mapping[str, str] = {}

    def begin_upload(self) -> None:
        """See Registries.require_push."""
        reply = self._request("blobs/uploads/", form=b"")
        if reply.status == _ACCEPTED:
            upload = urljoin(f"{self._base}/blobs/uploads/", reply.headers.get("location", ""))
            with suppress(WebUnreachable):  # an upload that is not cancelled expires
                self._web.send(WebRequest(url=upload, secret=self._authorization, method="DELETE"))
            return
        reasons = ", ".join([str(reply.status), *sorted(_codes(reply.body))])
        denied = reply.status in _DENIED or reply.status == _ABSENT
        login = "" if self._login else ", without a login"
        raise RegistryUnanswered(
            f"{self._host} denies the push to {self._reference.repository} ({reasons}{login})", denied=denied
        )

    def manifest(self, which: str) -> bytes | None:
        """The manifest or index of a tag or digest, None if the registry has none."""
        return self._fetch(f"manifests/{which}", which)

    def image(self, digest: str, manifest: bytes) -> PublishedImage:
        """The image of a manifest or index."""
        index = self._parsed(read_manifest, manifest)
        manifests = {member: self._require_body(self.manifest(member), member) for member in index.images} or {
            digest: manifest
        }
        configs = [self._parsed(read_manifest, body).config for body in manifests.values()]
        if not all(configs):
            raise RegistryUnanswered(f"the manifest at {self._host} is an index of indexes")
        config_bodies = [self._require_body(self._fetch(f"blobs/{config}", config), config) for config in configs]
        return PublishedImage(
            ids=frozenset({digest, *manifests, *configs}),
            labels=tuple(self._parsed(read_labels, body) for body in config_bodies),
        )

    def labels(self, manifest: bytes) -> tuple[Mapping[str, str], ...]:
        """The labels of a manifest or index; empty if it is not a complete image."""
        try:
            return self.image(_digest_of(manifest), manifest).labels
        except RegistryUnanswered:
            return ()

    def _require_body(self, body: bytes | None, digest: str) -> bytes:
        if body is None:
            raise RegistryUnanswered(f"{self._host} has only part of the image: {digest} is missing")
        return body

    def _parsed(self, read: Callable[[bytes], T], body: bytes) -> T:
        try:
            return read(body)
        except ValueError as error:
            raise RegistryUnanswered(f"the object at {self._host} is not an image: {error}") from error

    def _fetch(self, path: str, which: str) -> bytes | None:
        reply = self._request(path)
        if reply.status == _OK:
            if which.startswith("sha256:") and _digest_of(reply.body) != which:
                raise RegistryUnanswered(f"{self._host} returned other content than {which}")
            return reply.body
        codes = _codes(reply.body)
        if reply.status == _ABSENT and codes & {"MANIFEST_UNKNOWN", "BLOB_UNKNOWN", "MANIFEST_BLOB_UNKNOWN"}:
            return None
        reasons = ", ".join([str(reply.status), *sorted(codes)])
        denied = reply.status in _DENIED or reply.status == _ABSENT
        login = "" if self._login else ", without a login"
        raise RegistryUnanswered(
            f"{self._host} does not return {self._reference.repository} ({reasons}{login})", denied=denied
        )

    def _request(self, path: str, form: bytes | None = None) -> WebReply:
        reply = self._send(path, form)
        if reply.status == _CHALLENGE:
            self._authorization = self._authorization_for(reply.headers.get("www-authenticate", ""))
            reply = self._send(path, form)
        return reply

    def _send(self, path: str, form: bytes | None) -> WebReply:
        request = WebRequest(
            url=f"{self._base}/{path}", headers={"Accept": ", ".join(TYPES)}, secret=self._authorization, form=form
        )
        return self._send_with_retries(request)

    def _send_with_retries(self, request: WebRequest) -> WebReply:
        for wait_s in (*_WAITS_S, None):
            try:
                reply = self._web.send(request)
            except WebUnreachable as error:
                if wait_s is None:
                    raise RegistryUnanswered(str(error)) from error
            else:
                if wait_s is None or reply.status not in _BUSY:
                    return reply
            self._clock.wait(wait_s)
        raise AssertionError  # the last attempt returns or raises

    def _authorization_for(self, challenge: str) -> Mapping[str, str]:
        """The header for a challenge (RFC 7235 and the token protocol of the distribution specification)."""
        scheme, _, rest = challenge.partition(" ")
        if scheme.lower() == "basic" and self._login is not None and self._login.user:
            return _basic(self._login)
        if scheme.lower() != "bearer":
            return {}
        parts = dict(re.findall(r'(\w+)="([^"]*)"', rest))
        realm = parts.get("realm", "")
        if not realm.startswith("https://") and not self._base.startswith("http://"):
            raise RegistryUnanswered(f"{self._host} requests credentials over an unencrypted connection")
        reply = self._send_with_retries(self._token_request(realm, parts.get("service", "")))
        content = _object(reply.body) if reply.status == _OK else {}
        token = content.get("token") or content.get("access_token")
        if not isinstance(token, str) or not token.isprintable():
            login = "" if self._login else ", without a login"
            access = "the push to" if "push" in self._rights else "reading of"
            raise RegistryUnanswered(
                f"{self._host} denies {access} {self._reference.repository} ({reply.status}{login})", denied=True
            )
        return {"Authorization": f"Bearer {token}"}

    def _token_request(self, realm: str, service: str) -> WebRequest:
        # The minimal scope, whatever the challenge names.
        scope = {"service": service, "scope": f"repository:{self._reference.repository}:{self._rights}"}
        if self._login is not None and self._login.identity:
            form = {**scope, "grant_type": "refresh_token", "client_id": _CLIENT, "refresh_token": self._login.identity}
            return WebRequest(url=realm, form=urlencode(form).encode())
        sign = "&" if urlsplit(realm).query else "?"
        secret = _basic(self._login) if self._login is not None else {}
        return WebRequest(url=f"{realm}{sign}{urlencode(scope)}", secret=secret)


def _basic(login: Login) -> Mapping[str, str]:
    pair = base64.b64encode(f"{login.user}:{login.password}".encode()).decode()
    return {"Authorization": f"Basic {pair}"}


def _digest_of(body: bytes) -> str:
    return f"sha256:{hashlib.sha256(body).hexdigest()}"


def _codes(body: bytes) -> set[str]:
    """The error codes of a response, the only part of it that is shown."""
    errors = _object(body).get("errors")
    entries = errors if isinstance(errors, list) else ()
    codes = {str(entry.get("code")) for entry in entries if isinstance(entry, dict)}
    return {code for code in codes if re.fullmatch(r"[A-Z_]{1,40}", code)}


def _object(body: bytes) -> Mapping[str, object]:
    try:
        content = parse_json(body)
    except (ValueError, RecursionError):
        return {}
    return content if isinstance(content, dict) else {}
