"""Sends one HTTP request; imported with the first one, because few steps send any."""

import http.client
import os
import socket
import ssl
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import IO, Any
from urllib.parse import urlsplit

from ...command.errors import ToolFailed
from ...core.image.reference import TlsProblem
from ...core.security.origins import is_loopback
from .disk_errors import AGAIN, disk_errors
from .web import TRUSTED, WHOLE_S, WebReply, WebRequest, WebUnreachable, require_whole

PIECE = 1 << 16
_MOST_REFUSAL = 64 << 10  # bytes of a refusal or a redirect, also where a caller expects less
_SENT_AT_ONCE = 128 << 10  # bytes; the time limit of a socket is one for each of these pieces
_ALERT_S = 5.0  # for the reason for which a server closed a connection
_OK = 200
_SUCCESSES = range(200, 300)
# Its path, number, size and the time of its last change.
_FileState = tuple[str, int, int, int]
# Where Docker and Podman look for the certificates of registries: for everybody, and in the home of a user.
_OF_ENGINES = ("/etc/docker/certs.d", "/etc/containers/certs.d")
_OF_USERS = (".config/containers/certs.d", ".config/docker/certs.d")
_AUTHORITY, _CLIENT = ".crt", ".cert"
# A server answered the start of a TLS connection in another protocol; OpenSSL 3.4 has the second name.
_PLAIN = frozenset({"WRONG_VERSION_NUMBER", "RECORD_LAYER_FAILURE"})
# How the names of alerts end by which a server refuses a client's certificate, or a client without one.
_OF_CLIENTS = (
    "CERTIFICATE_REQUIRED", "UNKNOWN_CA", "BAD_CERTIFICATE", "UNSUPPORTED_CERTIFICATE", "CERTIFICATE_EXPIRED",
    "CERTIFICATE_REVOKED", "CERTIFICATE_UNKNOWN", "ACCESS_DENIED", "HANDSHAKE_FAILURE",
)  # fmt: skip


class WebExchange:
    """
    Sends requests with the proxy and the certificates that variables name.

    Reading the certificates of a system takes longer than a request to a server nearby, so they are read once for each
    server, and again if a file is another one.
    """

    def __init__(self, variables: Mapping[str, str]) -> None:
        self._variables = variables
        self._contexts: dict[tuple[str, tuple[_FileState, ...]], ssl.SSLContext] = {}
        self._reading = threading.Lock()

    def once(
        self, url: str, request: WebRequest, headers: Mapping[str, str], *, until: float, timeout_s: float
    ) -> WebReply:
        """
        Send one request; a body that is not written to a file must be complete at a time of the monotonic clock.

        Raises WebUnreachable.
        """
        parts = urlsplit(url)
        host = parts.hostname or ""
        try:
            with ExitStack() as stack:
                data: Any = request.form
                if request.upload is not None:
                    file = stack.enter_context(_opened(request.upload))
                    part = request.part or range(os.fstat(file.fileno()).st_size)
                    data = _FilePart(file, part, request.stop)
                    headers = {**headers, "Content-Length": str(len(part))}
                # `send` checked the scheme, and callers of `post` accept any HTTP URL.
                ready = urllib.request.Request(url, data=data, headers=dict(headers), method=request.method)  # noqa: S310
                try:
                    response = self._opener(parts.scheme, parts.netloc).open(ready, timeout=timeout_s)
                except urllib.error.HTTPError as error:
                    response = error
                stack.enter_context(response)
                if request.target is not None and response.status == _OK:
                    return _written(response, request, request.target, host)
                success = response.status in _SUCCESSES
                limit = request.limit if success else max(request.limit, _MOST_REFUSAL)
                return _reply(response, limit, until if request.upload is None else time.monotonic() + WHOLE_S)
        except urllib.error.URLError as error:
            raise _unreachable(host, self._reason(url, error.reason, timeout_s)) from error
        except (OSError, http.client.HTTPException, ValueError) as error:
            raise _unreachable(host, self._reason(url, error, timeout_s)) from error

    def _opener(self, scheme: str, netloc: str) -> Any:
        class NoRedirects(urllib.request.HTTPRedirectHandler):
            """`send` follows redirects itself, because it decides which headers each origin gets."""

            def http_error_302(self, *_: Any, **__: Any) -> Any:
                return None

            http_error_301 = http_error_303 = http_error_307 = http_error_308 = http_error_302

        proxies = self._proxies(scheme, urlsplit(f"//{netloc}").hostname or "")
        handlers: list[Any] = [urllib.request.ProxyHandler(proxies), NoRedirects()]
        if scheme == "https":
            handlers.append(urllib.request.HTTPSHandler(context=self._context(netloc)))
        return urllib.request.build_opener(*handlers)

    def _context(self, netloc: str) -> ssl.SSLContext:
        found = certificates_of(netloc, self._variables)
        keys = [path.with_suffix(".key") for path in found if path.suffix == _CLIENT]
        key = netloc, tuple(map(_state_of, (*map(Path, self._bundles(netloc)), *found, *keys)))
        with self._reading:
            if key not in self._contexts:
                self._contexts[key] = self._new_context(netloc)
            return self._contexts[key]

    def _new_context(self, netloc: str) -> ssl.SSLContext:
        context = ssl.create_default_context()
        for bundle in self._bundles(netloc):
            try:
                context.load_verify_locations(cafile=bundle)
            except OSError as error:  # `ssl.SSLError`, too
                reason = f"no certificate can be read from {bundle}: {_line(error.strerror or error)}"
                raise WebUnreachable(reason, permanent=True, tls=TlsProblem.UNREADABLE_BUNDLE) from error
        self._identify(context, netloc)
        return context

    def _reason(self, url: str, error: object, timeout_s: float) -> object:
        """
        Return the error, or what the server says to a client that waits for it instead of sending a request.

        In TLS 1.3 a server may refuse the client's certificate and close the connection while the client is sending:
        then nobody reads the alert.
        """
        parts = urlsplit(url)
        host = parts.hostname or ""
        closed = isinstance(error, (ssl.SSLEOFError, ConnectionError)) and not isinstance(error, ConnectionRefusedError)
        if parts.scheme != "https" or not closed or self._proxies(parts.scheme, host):
            return error
        try:
            with (
                socket.create_connection((host, parts.port or 443), min(timeout_s, _ALERT_S)) as connection,
                self._context(parts.netloc).wrap_socket(connection, server_hostname=host) as encrypted,
            ):
                encrypted.recv(1)
        except (OSError, WebUnreachable) as alert:
            return alert if tls_problem(alert) else error
        return error

    def _proxies(self, scheme: str, host: str) -> dict[str, str]:
        def known(name: str) -> str:
            return self._variables.get(name) or self._variables.get(name.upper()) or ""

        skip: Any = vars(urllib.request)["proxy_bypass_environment"]  # not in the type stubs
        if is_loopback(host) or skip(host, {"no": known("no_proxy")}):
            return {}
        proxy = known(f"{scheme}_proxy") or known("all_proxy")
        return {scheme: proxy} if proxy else {}

    def _bundles(self, netloc: str) -> list[str]:
        """
        Certificate files trusted in addition to the system's: those of variables, and those of engines for a registry.

        The latter are in folders that are called as the registry, with its port: what is trusted for one is not for
        another whose name begins with the same letters.
        """
        named = [Path(self._variables[name]) for name in TRUSTED if self._variables.get(name)]
        named += [path for path in certificates_of(netloc, self._variables) if path.suffix == _AUTHORITY]
        return [str(path) for path in named if path.is_file()]

    def _identify(self, context: ssl.SSLContext, netloc: str) -> None:
        """Use the client certificate that engines have for a registry: `NAME.cert`, with its key in `NAME.key`."""
        certificate = next((p for p in certificates_of(netloc, self._variables) if p.suffix == _CLIENT), None)
        if certificate is None:
            return
        key = certificate.with_suffix(".key")
        problem: object = "there is no such file"
        if key.is_file():
            try:
                context.load_cert_chain(certificate, key, password=lambda: "")  # asks nobody for a password
                return
            except (OSError, ValueError) as error:  # `ssl.SSLError`, too
                problem = error.strerror if isinstance(error, OSError) and error.strerror else error
        reason = f"the client certificate {certificate} cannot be used with its key {key}: {_line(problem)}"
        raise WebUnreachable(reason, permanent=True, tls=TlsProblem.UNUSABLE_KEY)


def _state_of(file: Path) -> _FileState:
    """What tells a file from another one under its name."""
    try:
        state = file.stat()
    except OSError:
        return (str(file), 0, 0, 0)
    return (str(file), state.st_ino, state.st_size, state.st_ctime_ns)


def certificates_of(netloc: str, variables: Mapping[str, str]) -> list[Path]:
    """
    The files of authorities (`*.crt`) and of clients (`*.cert`) for a registry, in the folders of engines.

    Such a folder has the name of the registry, with its port.
    """
    folders = [Path(folder) for folder in _OF_ENGINES]
    if home := variables.get("HOME"):
        folders += [Path(home, folder) for folder in _OF_USERS]
    if Path(netloc).name != netloc:
        return []
    return [p for folder in folders for p in sorted((folder / netloc).glob("*")) if p.suffix in {_AUTHORITY, _CLIENT}]


def _opened(file: Path) -> IO[bytes]:
    """A file to send. Raises ToolFailed without it, which is no fault of the server."""
    try:
        return file.open("rb")
    except FileNotFoundError as error:
        raise ToolFailed(what=f"`{file}` cannot be sent", why="somebody removed it meanwhile", fix=AGAIN) from error


class _FilePart:
    """Bytes of a file, as `http.client` reads a body."""

    def __init__(self, file: IO[bytes], part: range, stop: Callable[[], bool] | None) -> None:
        file.seek(part.start)
        self._file = file
        self._left = len(part)
        self._stop = stop

    def read(self, _most: int) -> bytes:
        """
        Return the next bytes: more than the 8 KiB that `http.client` asks for, which sends what it is given.

        Threads that compress and compare meanwhile let this one go on once for each piece. Raises OSError once the
        upload is stopped.
        """
        if self._stop is not None and self._stop():
            raise OSError("the upload was stopped")
        piece = self._file.read(min(_SENT_AT_ONCE, self._left))
        self._left -= len(piece)
        return piece


def _reply(response: Any, limit: int, until: float) -> WebReply:
    body = bytearray()
    while piece := response.read1(PIECE):  # what has arrived: `read` waits until it has all of it
        body += piece
        if len(body) > limit:
            raise WebUnreachable(f"the response is larger than {limit} bytes", permanent=True)
        if time.monotonic() > until:
            raise WebUnreachable("the response takes too long", slow=True)
    return WebReply(status=response.status, headers=_headers(response), body=bytes(body))


def _written(response: Any, request: WebRequest, target: Path, host: str) -> WebReply:
    """Write a body to a file; the response has none. Raises NoSpace: a full disk is no fault of the server."""
    size, headers = 0, _headers(response)
    with ExitStack() as stack:
        with disk_errors("the download", target):
            out = stack.enter_context(target.open("wb"))
        while piece := response.read1(PIECE):  # what has arrived, so that a slow download is stopped at once
            size += len(piece)
            if size > request.limit:
                raise WebUnreachable(f"the response is larger than {request.limit} bytes", permanent=True)
            if request.stop is not None and request.stop():
                raise WebUnreachable("the download was stopped", permanent=True)
            with disk_errors("the download", target):
                out.write(piece)
                out.flush()
    require_whole(headers, size, host)
    return WebReply(status=response.status, headers=headers, body=b"")


def _headers(response: Any) -> dict[str, str]:
    return {name.lower(): value for name, value in response.headers.items()}


def _unreachable(host: str, error: object) -> WebUnreachable:
    """The error for a connection that failed, or ended before there was a response."""
    tls = tls_problem(error)
    reason = "it speaks no TLS, as a server for plain HTTP" if tls is TlsProblem.PLAIN else _line(error)
    return WebUnreachable(
        f"{host} does not answer: {reason}",
        slow=isinstance(error, TimeoutError),
        permanent=isinstance(error, socket.gaierror) or tls is not None,
        tls=tls,
    )


def tls_problem(error: object) -> TlsProblem | None:
    """
    Why a TLS connection failed; None for another reason.

    A server refuses a client by an alert, in TLS 1.3 only once the client has sent its request.
    """
    if not isinstance(error, ssl.SSLError):
        return None
    reason = error.reason or ""
    if reason in _PLAIN:
        return TlsProblem.PLAIN
    if isinstance(error, ssl.SSLCertVerificationError):
        return TlsProblem.UNTRUSTED
    return TlsProblem.REFUSED_CLIENT if "_ALERT_" in reason and reason.endswith(_OF_CLIENTS) else None


def _line(reason: object) -> str:
    return " ".join(str(reason).split())[:200] or "the connection was closed"
