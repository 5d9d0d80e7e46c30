"""Reads and writes one repository of a container registry (OCI distribution specification)."""

import hashlib
import re
import threading
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import TypeVar
from urllib.parse import urlencode, urljoin, urlsplit

from ...core.image.composition import Blob, LayerList, digest_of
from ...core.image.oci_manifest import TYPES, PulledImage, member_for, read_image, read_labels, read_manifest
from ...core.image.reference import ImageReference, TlsProblem
from ...payloads.messages.lazy_dataclass import lazy_dataclass
from ..system.clock import Clock
from ..system.partial_folders import new_folder
from ..system.web import Web, WebReply, WebRequest, WebUnreachable
from .logins import Login
from .registry_address import RegistryConnection
from .registry_replies import BlobMount, codes_of, object_of, pause_s

# Statuses of a busy registry, and the wait before each further attempt.
_BUSY = frozenset({429, 500, 502, 503, 504})
WAITS_S = (0.5, 2.0)
_MOST_PAGES, _MOST_LISTED = 1_000, 64 << 20  # of a list of referrers: pages and bytes
_UNKNOWN_BLOB = "MANIFEST_BLOB_UNKNOWN"
_MOST_RENEWALS = 2  # for one request: beside it, others may use a token up
_CLIENT = "mlflow-uv"
_BODY = "application/octet-stream"
_OK = 200
_PARTIAL = 206
CREATED = 201
ACCEPTED = 202
_DENIED = frozenset({401, 403})
_ABSENT = 404
_NOT_ALLOWED = 405
_CHALLENGE = 401
T = TypeVar("T")


class RegistryUnanswered(Exception):
    """
    A registry gave no usable response: it is unreachable, or denies access with the current login (`denied`).

    `reached` says that there was a response, `tls` why there was no encrypted connection.
    """

    def __init__(
        self, reason: str, *, denied: bool = False, reached: bool = False, tls: TlsProblem | None = None
    ) -> None:
        super().__init__(reason)
        self.denied, self.reached, self.tls = denied, reached, tls


@lazy_dataclass
class BlobPart:
    """Bytes of a blob in a file; sending them ends with an error once `stop` returns true."""

    file: Path
    span: range
    stop: Callable[[], bool]


@lazy_dataclass
class PublishedImage:
    """
    An image in a registry: every digest that an engine may use as its id, and the labels for each platform.

    An id is the digest of the configuration, or that of the manifest or index in engines with a containerd store.
    """

    ids: frozenset[str]
    labels: tuple[Mapping[str, str], ...]


class Repository:
    """One repository, with the authorization that it requires."""

    def __init__(  # noqa: PLR0913  # where it is, how it is reached, and as whom
        self,
        web: Web,
        clock: Clock,
        reference: ImageReference,
        login: Login | None,
        *,
        rights: str = "pull",
        sources: frozenset[str] = frozenset(),
    ) -> None:
        """`sources` are other repositories, from which blobs may be taken."""
        self._web = web
        self._rights = rights
        self._sources = sources
        self._clock = clock
        self._reference = reference
        self._login = login
        self._host = reference.host
        self._connection = RegistryConnection(reference, web)
        self._authorization: Mapping[str, str] = {}
        self._renewal = threading.Lock()

    @property
    def _base(self) -> str:
        return self._connection.address

    def begin_upload(self) -> None:
        """See Registries.require_push."""
        reply = self._request("blobs/uploads/", form=b"")
        if reply.status == ACCEPTED:
            upload = urljoin(f"{self._base}/blobs/uploads/", reply.headers.get("location", ""))
            with suppress(WebUnreachable):  # an upload that is not cancelled expires
                self._web.send(WebRequest(url=upload, secret=self._authorization_at(upload), method="DELETE"))
            return
        raise self.refused_push(reply)

    def has_blob(self, digest: str) -> bool:
        """Whether the repository has a blob."""
        reply = self._authorized(WebRequest(url=f"{self._base}/blobs/{digest}", method="HEAD"))
        if reply.status in {_OK, _ABSENT}:
            return reply.status == _OK
        raise self.refused_push(reply)

    def begin(self) -> str:
        """Return the place of a new upload. Raises RegistryUnanswered."""
        reply = self._request("blobs/uploads/", form=b"")
        if reply.status != ACCEPTED:
            raise self.refused_push(reply)
        return self.place_of(reply)

    def mount(self, digest: str, source: str) -> BlobMount | str:
        """Take a blob from another repository, or return the place of an upload, which a registry may offer instead."""
        reply = self._request(f"blobs/uploads/?{urlencode({'mount': digest, 'from': source})}", form=b"")
        if reply.status == CREATED:
            return BlobMount.TAKEN
        return self.place_of(reply) or BlobMount.REFUSED if reply.status == ACCEPTED else BlobMount.REFUSED

    def place_of(self, reply: WebReply) -> str:
        """The place of an upload in a response, empty without one."""
        location = reply.headers.get("location", "")
        return urljoin(f"{self._base}/blobs/uploads/", location) if location else ""

    def send_part(self, place: str, part: BlobPart) -> WebReply:
        """Send bytes of a blob to an upload, once. Raises WebUnreachable."""
        span = part.span
        headers = {"Content-Type": _BODY, "Content-Range": f"{span.start}-{span.stop - 1}"}
        request = WebRequest(url=place, headers=headers, method="PATCH", upload=part.file, part=span, stop=part.stop)
        return self._web.send(replace(request, secret=self._authorization_at(place)))

    def finish(self, place: str, digest: str, rest: "BlobPart | bytes") -> WebReply:
        """End an upload with the last bytes of a blob, once. Raises WebUnreachable."""
        sign = "&" if urlsplit(place).query else "?"
        request = WebRequest(
            url=f"{place}{sign}{urlencode({'digest': digest})}",
            headers={"Content-Type": _BODY},
            secret=self._authorization_at(place),
            method="PUT",
        )
        if isinstance(rest, bytes):
            return self._web.send(replace(request, form=rest))
        return self._web.send(replace(request, upload=rest.file, part=rest.span, stop=rest.stop))

    def ask_upload(self, place: str) -> WebReply | None:
        """What a registry says of an upload, None if it does not answer."""
        with suppress(WebUnreachable):
            return self._web.send(WebRequest(url=place, secret=self._authorization_at(place)))
        return None

    def may_repeat(self, reply: WebReply) -> bool:
        """Whether a request that was refused can succeed later, or with a new token."""
        return reply.status in _BUSY or (reply.status == _CHALLENGE and bool(self._authorization))

    def wait(self, seconds: float) -> None:
        """Wait before another attempt."""
        self._clock.wait(seconds)

    def put_manifest(self, which: str, manifest: bytes, *, kind: str) -> Mapping[str, str]:
        """
        Send a manifest or index of a media type under its tag or digest, and return the headers of the response.

        Its blobs are there. Registries that keep blobs in files do not find one for a moment while another client
        sends the same.
        """
        request = WebRequest(
            url=f"{self._base}/manifests/{which}", headers={"Content-Type": kind}, method="PUT", form=manifest
        )
        for wait_s in (*WAITS_S, None):
            reply = self._authorized(request)
            if reply.status == CREATED:
                return reply.headers
            if wait_s is None or _UNKNOWN_BLOB not in codes_of(reply.body):
                raise self.refused_push(reply)
            self._clock.wait(wait_s)
        raise AssertionError  # the last attempt returns or raises

    def _authorization_at(self, place: str) -> Mapping[str, str]:
        """The authorization for the place of an upload; none if the registry names another host."""
        return self._authorization if urlsplit(place).netloc == urlsplit(self._base).netloc else {}

    def _authorized(self, request: WebRequest) -> WebReply:
        """Send a request, and again with the authorization that the registry asks for; one thread gets that."""
        renewals = 0
        while True:
            used = self._authorization
            reply = self._send_with_retries(replace(request, secret=used))
            if reply.status != _CHALLENGE or renewals == _MOST_RENEWALS:
                return reply
            with self._renewal:
                if self._authorization is used:  # else another thread got one, which may have expired meanwhile
                    self._authorization = self._authorization_for(reply.headers.get("www-authenticate", ""))
                    renewals += 1

    def refused_push(self, reply: WebReply) -> RegistryUnanswered:
        """Return the error for a push that a registry refuses."""
        reasons = ", ".join([str(reply.status), *sorted(codes_of(reply.body))])
        login = "" if self._login else ", without a login"
        denied = reply.status in _DENIED or reply.status == _ABSENT
        what = f"{self._host} denies the push to {self._reference.repository} ({reasons}{login})"
        return RegistryUnanswered(what, denied=denied, reached=True)

    def manifest(self, which: str) -> bytes | None:
        """The manifest or index of a tag or digest, None if the registry has none."""
        return self._fetch(f"manifests/{which}", which)

    def blob(self, digest: str) -> bytes | None:
        """The content of a small blob, None if the registry has none."""
        return self._fetch(f"blobs/{digest}", digest)

    def referrers(self, digest: str) -> tuple[bytes, ...]:
        """
        The pages of the index of manifests that refer to a digest; none from a registry without the API for it.

        Raises RegistryUnanswered also for more pages or bytes than a list of referrers has.
        """
        pages: list[bytes] = []
        place = f"referrers/{digest}"
        while place:
            reply = self._request(place)
            if reply.status in {_ABSENT, _NOT_ALLOWED} and not pages:
                return ()
            if reply.status != _OK:
                raise self._not_returned(reply, codes_of(reply.body))
            pages.append(reply.body)
            if len(pages) > _MOST_PAGES or sum(map(len, pages)) > _MOST_LISTED:
                raise RegistryUnanswered(f"{self._host} lists too many referrers of {digest}", reached=True)
            place = self._next_page(reply, place)
        return tuple(pages)

    def _next_page(self, reply: WebReply, place: str) -> str:
        """The path of the next page (RFC 8288, `rel="next"`) below the repository, empty after the last one."""
        match = re.search(r'<([^<>]*)>[^<>,]*;\s*rel="?next"?', reply.headers.get("link", ""))
        if match is None:
            return ""
        url = urljoin(f"{self._base}/{place}", match[1])
        if not url.startswith(f"{self._base}/referrers/"):
            raise RegistryUnanswered(f"{self._host} continues its list of referrers at another address")
        return str(url.removeprefix(f"{self._base}/"))

    def image(self, digest: str, manifest: bytes) -> PublishedImage:
        """The image of a manifest or index."""
        index = self._parsed(read_manifest, manifest)
        manifests = {member: self._require_body(self.manifest(member), member) for member in index.images} or {
            digest: manifest
        }
        configs = [self._parsed(read_manifest, body).config for body in manifests.values()]
        if not all(configs):
            raise RegistryUnanswered(f"the manifest at {self._host} is an index of indexes", reached=True)
        config_bodies = [self._require_body(self._fetch(f"blobs/{config}", config), config) for config in configs]
        return PublishedImage(
            ids=frozenset({digest, *manifests, *configs}),
            labels=tuple(self._parsed(read_labels, body) for body in config_bodies),
        )

    def pulled(self, manifest: bytes, architecture: str) -> "PulledImage | None":
        """The image of a manifest, or the Linux image of an index for an architecture; None if it has none."""
        if self._parsed(read_manifest, manifest).images:
            member = self._parsed(lambda body: member_for(body, architecture), manifest)
            if member is None:
                return None
            manifest = self._require_body(self.manifest(member), member)
        config = self._parsed(read_manifest, manifest).config
        if not config:
            raise RegistryUnanswered(f"the manifest at {self._host} is an index of indexes", reached=True)
        body = self._require_body(self._fetch(f"blobs/{config}", config), config)
        return self._parsed(lambda manifest: read_image(manifest, body), manifest)

    def download(self, blob: Blob, target: Path, *, stop: Callable[[], bool] | None = None) -> None:
        """Write a blob to a file, which gets its name when its content is verified; ends once `stop` returns true."""
        with new_folder(target.parent) as scratch:
            written = scratch / "blob"
            url = f"{self._base}/blobs/{blob.digest}"
            reply = self._authorized(WebRequest(url=url, target=written, limit=blob.size, stop=stop))
            if reply.status != _OK:
                raise self._not_returned(reply, codes_of(reply.body))
            with written.open("rb") as content:
                digest = hashlib.file_digest(content, "sha256").hexdigest()
            if f"sha256:{digest}" != blob.digest:
                raise RegistryUnanswered(f"{self._host} returned other content than {blob.digest}", reached=True)
            written.replace(target)

    def end_of(self, blob: Blob, end: LayerList) -> bytes:
        """The last bytes of a blob, with their digest. Raises RegistryUnanswered, also if the whole is returned."""
        url, span = f"{self._base}/blobs/{blob.digest}", f"bytes={blob.size - end.size}-{blob.size - 1}"
        reply = self._authorized(WebRequest(url=url, headers={"Range": span}, limit=end.size))
        if reply.status != _PARTIAL or digest_of(reply.body) != end.digest:
            raise RegistryUnanswered(f"{self._host} returned other content than {end.digest}", reached=True)
        return reply.body

    def labels(self, manifest: bytes) -> tuple[Mapping[str, str], ...]:
        """The labels of a manifest or index; empty if it is not a complete image."""
        try:
            return self.image(digest_of(manifest), manifest).labels
        except RegistryUnanswered:
            return ()

    def _require_body(self, body: bytes | None, digest: str) -> bytes:
        if body is None:
            raise RegistryUnanswered(f"{self._host} has only part of the image: {digest} is missing", reached=True)
        return body

    def _parsed(self, read: Callable[[bytes], T], body: bytes) -> T:
        try:
            return read(body)
        except ValueError as error:
            raise RegistryUnanswered(f"the object at {self._host} is not an image: {error}", reached=True) from error

    def _fetch(self, path: str, which: str) -> bytes | None:
        reply = self._request(path)
        if reply.status == _OK:
            if which.startswith("sha256:") and digest_of(reply.body) != which:
                raise RegistryUnanswered(f"{self._host} returned other content than {which}", reached=True)
            return reply.body
        codes = codes_of(reply.body)
        if reply.status == _ABSENT and codes & {"MANIFEST_UNKNOWN", "BLOB_UNKNOWN", _UNKNOWN_BLOB}:
            return None
        raise self._not_returned(reply, codes)

    def _not_returned(self, reply: WebReply, codes: set[str]) -> RegistryUnanswered:
        reasons = ", ".join([str(reply.status), *sorted(codes)])
        denied = reply.status in _DENIED or reply.status == _ABSENT
        login = "" if self._login else ", without a login"
        what = f"{self._host} does not return {self._reference.repository} ({reasons}{login})"
        return RegistryUnanswered(what, denied=denied, reached=True)

    def _request(self, path: str, form: bytes | None = None) -> WebReply:
        return self._authorized(WebRequest(url=f"{self._base}/{path}", headers={"Accept": ", ".join(TYPES)}, form=form))

    def _send_with_retries(self, request: WebRequest) -> WebReply:
        for wait_s in (*WAITS_S, None):
            busy: WebReply | None = None
            try:
                reply = self._connection.send(request)
            except WebUnreachable as error:
                if wait_s is None or error.permanent:
                    raise RegistryUnanswered(str(error), tls=error.tls) from error
            else:
                if wait_s is None or reply.status not in _BUSY:
                    return reply
                busy = reply
            self._clock.wait(pause_s(wait_s, busy))
        raise AssertionError  # the last attempt returns or raises

    def _authorization_for(self, challenge: str) -> Mapping[str, str]:
        """The header for a challenge (RFC 7235 and the token protocol of the distribution specification)."""
        scheme, _, rest = challenge.partition(" ")
        if scheme.lower() == "basic" and self._login is not None and self._login.user:
            return self._login.header
        if scheme.lower() != "bearer":
            return {}
        parts = dict(re.findall(r'(\w+)="([^"]*)"', rest))
        realm = parts.get("realm", "")
        if not realm.startswith("https://") and not self._base.startswith("http://"):
            raise RegistryUnanswered(f"{self._host} requests credentials over an unencrypted connection")
        service = parts.get("service", "")
        reply = self._send_with_retries(self._token_request(realm, service, self._sources))
        if reply.status != _OK and self._sources:  # reading of another repository may be denied
            reply = self._send_with_retries(self._token_request(realm, service, frozenset()))
        content = object_of(reply.body) if reply.status == _OK else {}
        token = content.get("token") or content.get("access_token")
        if not isinstance(token, str) or not token.isprintable():
            login = "" if self._login else ", without a login"
            access = "the push to" if "push" in self._rights else "reading of"
            raise RegistryUnanswered(
                f"{self._host} denies {access} {self._reference.repository} ({reply.status}{login})", denied=True
            )
        return {"Authorization": f"Bearer {token}"}

    def _token_request(self, realm: str, service: str, sources: frozenset[str]) -> WebRequest:
        # The minimal scopes, whatever the challenge names.
        scopes = [f"repository:{self._reference.repository}:{self._rights}"]
        scopes += [f"repository:{name}:pull" for name in sorted(sources)]
        scope = [("service", service), *(("scope", name) for name in scopes)]
        if self._login is not None and self._login.identity:
            form = {"service": service, "scope": " ".join(scopes)}
            form |= {"grant_type": "refresh_token", "client_id": _CLIENT, "refresh_token": self._login.identity}
            return WebRequest(url=realm, form=urlencode(form).encode())
        sign = "&" if urlsplit(realm).query else "?"
        secret = self._login.header if self._login is not None else {}
        return WebRequest(url=f"{realm}{sign}{urlencode(scope)}", secret=secret)
