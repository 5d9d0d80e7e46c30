"""Sends HTTP requests with the host's proxy and certificates, within limits of size and time."""

import http.client
import re
import socket
import ssl
import time
import urllib.error
import urllib.request
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import field
from pathlib import Path
from typing import Any
from urllib.parse import SplitResult, urljoin, urlsplit

from ...core.security.origins import is_loopback
from ...payloads.messages.lazy_dataclass import lazy_dataclass
from .disk_errors import disk_errors
from .threads import within

TIMEOUT_S = 20.0
WHOLE_S = 60.0
REDIRECTS = 5
PIECE = 1 << 16
_OK = 200
TRUSTED = ("SSL_CERT_FILE", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "PIP_CERT")


class WebUnreachable(Exception):
    """
    No usable response from a server; the message is the reason, in one line.

    `slow` says that the time was over, `permanent` that a later attempt would fail too (name, certificate, size).
    """

    def __init__(self, reason: str, *, slow: bool = False, permanent: bool = False) -> None:
        super().__init__(reason)
        self.slow = slow
        self.permanent = permanent


@lazy_dataclass
class WebRequest:
    """
    A request; `secret` headers are sent only to the origin of the URL, not to other origins in redirects.

    Without a `method` it is GET, or POST with a `form`. `upload` is a file that is sent as the body, piece by piece.
    `limit` is the maximum size of the response in bytes. The body of a successful response is written to `target`, if
    that is given, and may take any time as long as some of it arrives.
    """

    url: str
    headers: Mapping[str, str] = field(default_factory=dict)
    secret: Mapping[str, str] = field(default_factory=dict, repr=False)
    form: bytes | None = field(default=None, repr=False)
    method: str | None = None
    upload: Path | None = None
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

    def __init__(self, variables: Mapping[str, str], *, whole_s: float = WHOLE_S) -> None:
        """`send` takes at most `whole_s` seconds for a response that is not written to a file."""
        self._variables = variables
        self._whole_s = whole_s

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
        _require_whole(reply.headers, len(reply.body), str(host))
        return reply

    def _in_time(self, url: str, request: WebRequest, headers: Mapping[str, str], until: float) -> WebReply:
        """One response; headers and body of a slow server count, since `http.client` limits only the single read."""
        if request.upload is not None or request.target is not None:
            return self._once(url, request, headers, until)
        try:
            task_s = max(0.0, until - time.monotonic())
            return within(lambda: self._once(url, request, headers, until), timeout_s=task_s)
        except TimeoutError:
            host = _parts(url).hostname
            raise WebUnreachable(f"{host} does not answer within {self._whole_s:g} s", slow=True) from None

    def _once(
        self, url: str, request: WebRequest, headers: Mapping[str, str], until: float, timeout_s: float = TIMEOUT_S
    ) -> WebReply:
        parts = urlsplit(url)
        host = parts.hostname or ""
        try:
            with ExitStack() as stack:
                data: Any = request.form
                if request.upload is not None:
                    data = stack.enter_context(request.upload.open("rb"))
                    headers = {**headers, "Content-Length": str(request.upload.stat().st_size)}
                # `send` checked the scheme, and callers of `post` accept any HTTP URL.
                ready = urllib.request.Request(url, data=data, headers=dict(headers), method=request.method)  # noqa: S310
                try:
                    response = self._opener(parts.scheme, host).open(ready, timeout=timeout_s)
                except urllib.error.HTTPError as error:
                    response = error
                stack.enter_context(response)
                if request.target is not None and response.status == _OK:
                    return _written(response, request.limit, request.target, host)
                return _reply(response, request.limit, until if request.upload is None else time.monotonic() + WHOLE_S)
        except urllib.error.URLError as error:
            raise WebUnreachable(
                f"{host} does not answer: {_line(error.reason)}",
                slow=isinstance(error.reason, TimeoutError),
                permanent=isinstance(error.reason, (socket.gaierror, ssl.SSLCertVerificationError)),
            ) from error
        except (OSError, http.client.HTTPException, ValueError) as error:
            slow = isinstance(error, TimeoutError)
            raise WebUnreachable(f"{host} does not answer: {_line(error)}", slow=slow) from error

    def _opener(self, scheme: str, host: str) -> Any:
        class NoRedirects(urllib.request.HTTPRedirectHandler):
            """`send` follows redirects itself, because it decides which headers each origin gets."""

            def http_error_302(self, *_: Any, **__: Any) -> Any:
                return None

            http_error_301 = http_error_303 = http_error_307 = http_error_308 = http_error_302

        proxies = self._proxies(scheme, host)
        handlers: list[Any] = [urllib.request.ProxyHandler(proxies), NoRedirects()]
        if scheme == "https":
            context = ssl.create_default_context()
            for bundle in self._bundles(host):
                context.load_verify_locations(cafile=bundle)
            handlers.append(urllib.request.HTTPSHandler(context=context))
        return urllib.request.build_opener(*handlers)

    def _proxies(self, scheme: str, host: str) -> dict[str, str]:
        def known(name: str) -> str:
            return self._variables.get(name) or self._variables.get(name.upper()) or ""

        skip: Any = vars(urllib.request)["proxy_bypass_environment"]  # not in the type stubs
        if is_loopback(host) or skip(host, {"no": known("no_proxy")}):
            return {}
        proxy = known(f"{scheme}_proxy") or known("all_proxy")
        return {scheme: proxy} if proxy else {}

    def _bundles(self, host: str) -> list[str]:
        """Certificate files trusted in addition to the system's: those of variables, and Docker's for a registry."""
        named = [Path(self._variables[name]) for name in TRUSTED if self._variables.get(name)]
        named += sorted(Path("/etc/docker/certs.d").glob(f"{host}*/*.crt"))
        return [str(path) for path in named if path.is_file()]


def _reply(response: Any, limit: int, until: float) -> WebReply:
    body = bytearray()
    while piece := response.read1(PIECE):  # what has arrived: `read` waits until it has all of it
        body += piece
        if len(body) > limit:
            raise WebUnreachable(f"the response is larger than {limit >> 20} MiB", permanent=True)
        if time.monotonic() > until:
            raise WebUnreachable("the response takes too long", slow=True)
    return WebReply(status=response.status, headers=_headers(response), body=bytes(body))


def _written(response: Any, limit: int, target: Path, host: str) -> WebReply:
    """Write a body to a file; the response has none. Raises NoSpace: a full disk is no fault of the server."""
    size, headers = 0, _headers(response)
    with ExitStack() as stack:
        with disk_errors("the download", target):
            out = stack.enter_context(target.open("wb"))
        while piece := response.read(PIECE):
            size += len(piece)
            if size > limit:
                raise WebUnreachable(f"the response is larger than {limit} bytes", permanent=True)
            with disk_errors("the download", target):
                out.write(piece)
                out.flush()
    _require_whole(headers, size, host)
    return WebReply(status=response.status, headers=headers, body=b"")


def _require_whole(headers: Mapping[str, str], size: int, host: str) -> None:
    """Raise WebUnreachable if the connection ended before the body did; `http.client` returns what it has."""
    length = re.fullmatch(r"[0-9]{1,18}", headers.get("content-length", ""))
    if length and size < int(length[0]):
        raise WebUnreachable(f"{host} closed the connection in the middle of its response")


def _headers(response: Any) -> dict[str, str]:
    return {name.lower(): value for name, value in response.headers.items()}


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


def _line(reason: object) -> str:
    return " ".join(str(reason).split())[:200] or "the connection was closed"
