"""Sends HTTP requests with the host's proxy and certificates, within limits of size and time."""

import re
import time
from collections.abc import Callable, Mapping
from dataclasses import field
from pathlib import Path
from typing import Any
from urllib.parse import SplitResult, urljoin, urlsplit

from ...core.image.reference import TlsProblem
from ...core.security.origins import is_loopback
from ...payloads.messages.lazy_dataclass import lazy_dataclass
from .threads import within

TIMEOUT_S = 20.0
WHOLE_S = 60.0
REDIRECTS = 5
TRUSTED = ("SSL_CERT_FILE", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "PIP_CERT")


class WebUnreachable(Exception):
    """
    No usable response from a server; the message is the reason, in one line.

    `slow` says that the time was over, `permanent` that a later attempt would fail too (name, certificate, size), and
    `tls` why no encrypted connection was established.
    """

    def __init__(
        self, reason: str, *, slow: bool = False, permanent: bool = False, tls: TlsProblem | None = None
    ) -> None:
        super().__init__(reason)
        self.slow = slow
        self.permanent = permanent
        self.tls = tls


@lazy_dataclass
class WebRequest:
    """
    A request; `secret` headers are sent only to the origin of the URL, not to other origins in redirects.

    Without a `method` it is GET, or POST with a `form`. `upload` is a file that is sent as the body, piece by piece, or
    the bytes of it that are in `part`. `limit` is the maximum size of a successful response in bytes; a refusal or a
    redirect may have 64 KiB. The body of a successful response is written to `target`, if that is given, and may take
    any time as long as some of it arrives. Sending a file, and writing one, end with an error once `stop` returns true.
    """

    url: str
    headers: Mapping[str, str] = field(default_factory=dict)
    secret: Mapping[str, str] = field(default_factory=dict, repr=False)
    form: bytes | None = field(default=None, repr=False)
    method: str | None = None
    upload: Path | None = None
    part: range | None = None
    stop: Callable[[], bool] | None = field(default=None, repr=False)
    target: Path | None = None
    limit: int = 4 << 20


@lazy_dataclass
class WebReply:
    """Status, headers with lower-case names, and body."""

    status: int
    headers: Mapping[str, str]
    body: bytes = field(repr=False)


class Web:
    """`send` uses HTTPS, and plain HTTP only to this machine; `post` uses whatever the URL has."""

    def __init__(self, variables: Mapping[str, str], *, whole_s: float = WHOLE_S, timeout_s: float = TIMEOUT_S) -> None:
        """
        `send` waits at most `timeout_s` seconds for the next bytes of a server.

        It takes at most `whole_s` for a response that is not written to a file.
        """
        self._variables = variables
        self._timeout_s = timeout_s
        self._whole_s = whole_s
        self._exchange: Any = None

    def has_certificates(self, netloc: str) -> bool:
        """Whether there are certificates for a registry (`HOST:PORT`) where Docker and Podman look for them."""
        from .web_exchange import certificates_of  # noqa: PLC0415  # as in `_once`

        return bool(certificates_of(netloc, self._variables))

    def send(self, request: WebRequest) -> WebReply:
        """
        Send a request and follow its redirects; one that changes something is not sent to another origin.

        Raises WebUnreachable for a server that does not respond in time, however slowly it sends, or is not trusted,
        for a malformed address, and for plain HTTP, which is allowed only from this machine to this machine.
        """
        url, origin = request.url, _origin(request.url)
        plain = is_loopback(origin[1])
        until = time.monotonic() + self._whole_s
        for _ in range(REDIRECTS):
            secret = request.secret if _origin(url) == origin else {}
            parts = _parts(url)
            if parts.scheme != "https" and not (parts.scheme == "http" and plain and is_loopback(parts.hostname or "")):
                raise WebUnreachable(f"{parts.hostname or origin[1]} is not contacted without encryption")
            reply = self._in_time(url, request, {**request.headers, **secret}, until)
            target = reply.headers.get("location")
            has_body = request.form is not None or request.upload is not None
            if reply.status not in {301, 302, 303, 307, 308} or not target or has_body:
                return reply
            try:
                url = urljoin(url, target)
            except ValueError as error:
                raise _malformed() from error
            if request.method not in {None, "GET", "HEAD"} and _origin(url) != origin:
                return reply
        raise WebUnreachable(f"{urlsplit(request.url).hostname} redirects in a loop")

    def post(self, request: WebRequest, *, timeout_s: float) -> WebReply:
        """
        Send a request once, by HTTPS or HTTP, and return the response, which may be a redirect.

        Raises WebUnreachable for a server that does not respond completely within `timeout_s` seconds, however slowly
        it sends, or that is not trusted.
        """
        until = time.monotonic() + timeout_s
        host = _parts(request.url).hostname
        try:
            reply = within(
                lambda: self._once(request.url, request, {**request.headers, **request.secret}, until, timeout_s),
                timeout_s=timeout_s,
            )
        except TimeoutError:
            raise WebUnreachable(f"{host} does not answer within {timeout_s:g} s", slow=True) from None
        require_whole(reply.headers, len(reply.body), str(host))
        return reply

    def _in_time(self, url: str, request: WebRequest, headers: Mapping[str, str], until: float) -> WebReply:
        """One response; headers and body of a slow server count, since `http.client` limits only the single read."""
        is_file = request.upload is not None or request.target is not None
        try:
            task_s = None if is_file else max(0.0, until - time.monotonic())
            return within(lambda: self._once(url, request, headers, until), timeout_s=task_s)
        except TimeoutError:
            host = _parts(url).hostname
            raise WebUnreachable(f"{host} does not answer within {self._whole_s:g} s", slow=True) from None

    def _once(
        self, url: str, request: WebRequest, headers: Mapping[str, str], until: float, timeout_s: float | None = None
    ) -> WebReply:
        from .web_exchange import WebExchange  # noqa: PLC0415  # imports `http.client`, `ssl` and `urllib.request`

        if self._exchange is None:  # two threads may make one each: neither is wrong
            self._exchange = WebExchange(self._variables)
        next_s = self._timeout_s if timeout_s is None else timeout_s
        reply: WebReply = self._exchange.once(url, request, headers, until=until, timeout_s=next_s)
        return reply


def require_whole(headers: Mapping[str, str], size: int, host: str) -> None:
    """Raise WebUnreachable if the connection ended before the body did; `http.client` returns what it has."""
    length = re.fullmatch(r"[0-9]{1,18}", headers.get("content-length", ""))
    if length and size < int(length[0]):
        raise WebUnreachable(f"{host} closed the connection in the middle of its response")


def _origin(url: str) -> tuple[str, str, int]:
    parts = _parts(url)
    return parts.scheme, parts.hostname or "", parts.port or {"https": 443}.get(parts.scheme, 80)


def _parts(url: str) -> SplitResult:
    """The parts of a URL with a valid host and port. Raises WebUnreachable without the URL, which may have a token."""
    try:
        parts = urlsplit(url)
        _ = parts.port
    except ValueError:
        raise _malformed() from None
    return parts


def _malformed() -> WebUnreachable:
    return WebUnreachable("its address is not a valid URL", permanent=True)
