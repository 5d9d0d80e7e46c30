"""A reverse proxy on loopback that counts calls and injects faults into chosen ones."""

import re
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from enum import Enum
from http.client import HTTPConnection, HTTPException, HTTPResponse
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import urlsplit

from tests.waiting import CEILING_S

PIECE = 1 << 16
# What belongs to one connection, and what the proxy says itself.
HOP_BY_HOP = {"connection", "content-length", "date", "keep-alive", "server", "transfer-encoding"}


class Fault(Enum):
    """What may happen to a call."""

    ERROR = "500"
    TOO_MANY = "429"
    UNAVAILABLE = "503"
    DROPPED_BEFORE = "dropped before the server saw it"
    DROPPED_AFTER = "dropped after the server did it"
    CUT = "answer cut in the middle"
    STALLED = "no answer in time"


class Held(Enum):
    """Where a call waits until somebody was killed."""

    BEFORE = "before the server saw it"
    AFTER = "after the server did it"


@dataclass(kw_only=True)
class Proxy:
    """Calls are numbered from 1, from the last time `forget` was called."""

    upstream: str
    token: str | None = None
    stall_s: float = 5.0
    calls: list[str] = field(default_factory=list)
    injected: int = 0
    held: threading.Event = field(default_factory=threading.Event)
    uri: str = ""
    largest_body: int = 0
    _turn: threading.Lock = field(default_factory=threading.Lock)
    _fault: Fault | None = None
    _hold: Held | None = None
    _call: re.Pattern[str] | None = None
    _before: int = 0
    _at: int = 0
    _lasting: bool = False
    _down_s: float | None = None
    _until: float = 0.0
    _closed: threading.Event = field(default_factory=threading.Event)

    def forget(self) -> None:
        """Count from one again, and spoil nothing."""
        with self._turn:
            self.calls, self.injected, self._fault, self._hold, self._call = [], 0, None, None, None
            self._before = 0
            self._down_s, self._until = None, 0.0
            self.held.clear()

    def inject(self, fault: Fault, *, at: int | str, lasting: bool = False) -> None:
        """Spoil the call of that number, or the first that fits the pattern; `lasting`: and every one after it."""
        self.forget()
        self._fault, self._lasting = fault, lasting
        self._at, self._call = (at, None) if isinstance(at, int) else (0, re.compile(at))

    def go_down(self, *, at: int, seconds: float) -> None:
        """From the call of that number on, answer nobody for a while."""
        self.inject(Fault.DROPPED_BEFORE, at=at, lasting=True)
        self._down_s = seconds

    def hold(self, where: Held, *, call: str, before: int = 0) -> None:
        """Let the first call that fits a pattern, after `before` others, wait for ever; `held` is set when it came."""
        self.forget()
        self._hold, self._at, self._call, self._before = where, 0, re.compile(call), before

    @property
    def spoiled(self) -> str:
        """The first call that was spoiled."""
        return self.calls[self._at - 1] if self.injected else "none"

    def count(self, call: str) -> tuple[Fault | None, Held | None]:
        """Take down a call, and say what becomes of it."""
        with self._turn:
            self.calls.append(call)
            number = len(self.calls)
            if self._call is not None and self._call.search(call):
                if self._before:
                    self._before -= 1
                else:
                    self._at, self._call = number, None
            if self._hold is not None and number == self._at:
                return None, self._hold
            if self._down_s is not None and self._fault is not None and number >= self._at:
                self._until = self._until or time.monotonic() + self._down_s
                if time.monotonic() > self._until:
                    self._fault = None
            if self._fault is not None and (number == self._at or (self._lasting and number > self._at > 0)):
                self.injected += 1
                return self._fault, None
        return None, None

    def wait(self, seconds: float | None = None) -> None:
        """Wait, or until the proxy is closed."""
        self._closed.wait(seconds)

    def close(self) -> None:
        """Let nobody wait any longer."""
        self._closed.set()


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    proxy: Proxy

    def handle_one_request(self) -> None:
        with suppress(ConnectionError, HTTPException, ValueError):
            super().handle_one_request()
            return
        self.close_connection = True

    def __getattr__(self, name: str):  # every method of HTTP is handled in one way
        if name.startswith("do_"):
            return self.pass_on
        raise AttributeError(name)

    def log_message(self, *_: object) -> None:
        """Say nothing."""

    def pass_on(self) -> None:
        proxy = self.proxy
        if proxy.token is not None and self.headers["Authorization"] != f"Bearer {proxy.token}":
            self._drain()
            self._answer(401, b"a token is needed")
            return
        fault, hold = proxy.count(f"{self.command} {urlsplit(self.path).path}")
        if hold is Held.BEFORE:
            proxy.held.set()
            proxy.wait()
        match fault:
            case Fault.ERROR | Fault.TOO_MANY | Fault.UNAVAILABLE:
                self._drain()
                self._answer(int(fault.value), b"spoiled")
            case Fault.STALLED:
                self._drain()
                proxy.wait(proxy.stall_s)
                self.close_connection = True
            case Fault.DROPPED_BEFORE:
                self.close_connection = True
            case _ if hold is Held.BEFORE:
                self.close_connection = True
            case _:
                self._forward(fault, hold)

    def _forward(self, fault: Fault | None, hold: Held | None) -> None:
        there = urlsplit(self.proxy.upstream)
        connection = HTTPConnection(there.hostname or "", there.port, timeout=CEILING_S)
        try:
            connection.putrequest(self.command, self.path, skip_host=True, skip_accept_encoding=True)
            for name, value in self.headers.items():
                if name.lower() not in {"connection", "keep-alive"} and not (
                    self.proxy.token is not None and name.lower() == "authorization"
                ):
                    connection.putheader(name, value)
            connection.endheaders()
            self._copy_body(connection)
            answer = connection.getresponse()
            if fault is Fault.DROPPED_AFTER or hold is Held.AFTER:
                answer.read()
                if hold is Held.AFTER:
                    self.proxy.held.set()
                    self.proxy.wait()
                self.close_connection = True
                return
            self._hand_back(answer, cut=fault is Fault.CUT)
        finally:
            connection.close()

    def _copy_body(self, connection: HTTPConnection) -> None:
        sent = 0
        if "chunked" in self.headers.get("Transfer-Encoding", ""):
            while True:
                size = int(self.rfile.readline().split(b";")[0], 16)
                piece = self.rfile.read(size)
                self.rfile.readline()
                connection.send(b"%x\r\n%b\r\n" % (size, piece))
                sent += size
                if size == 0:
                    break
        for piece in self._pieces():
            connection.send(piece)
            sent += len(piece)
        self.proxy.largest_body = max(self.proxy.largest_body, sent)

    def _pieces(self) -> Iterator[bytes]:
        left = int(self.headers.get("Content-Length") or 0)
        while left:
            piece = self.rfile.read(min(left, PIECE))
            if not piece:
                raise ConnectionError("the client went away")
            left -= len(piece)
            yield piece

    def _drain(self) -> None:
        for _ in self._pieces():
            pass

    def _hand_back(self, answer: HTTPResponse, *, cut: bool) -> None:
        self.send_response_only(answer.status, answer.reason)
        for name, value in answer.getheaders():
            if name.lower() not in HOP_BY_HOP:
                self.send_header(name, value)
        bodiless = self.command == "HEAD" or answer.status in {204, 304}
        chunked = answer.length is None and not bodiless
        self.send_header(
            *(("Transfer-Encoding", "chunked") if chunked else ("Content-Length", str(answer.length or 0)))
        )
        self.end_headers()
        if bodiless:
            return
        if cut:
            whole = answer.read()
            answer_part = whole[: len(whole) // 2]
            self.wfile.write(b"%x\r\n%b" % (len(whole), answer_part) if chunked else answer_part)
            self.close_connection = True
            return
        while piece := answer.read(PIECE):
            self.wfile.write(b"%x\r\n%b\r\n" % (len(piece), piece) if chunked else piece)
        if chunked:
            self.wfile.write(b"0\r\n\r\n")

    def _answer(self, status: int, body: bytes) -> None:
        self.send_response_only(status)
        if status == int(Fault.UNAVAILABLE.value):
            self.send_header("Retry-After", "1")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


@contextmanager
def proxy_of(upstream: str, *, token: str | None = None, stall_s: float = 5.0) -> Iterator[Proxy]:
    """A proxy in front of a server, while the block runs; with `token`, for those alone who carry it."""
    proxy = Proxy(upstream=upstream, token=token, stall_s=stall_s)
    server = ThreadingHTTPServer(("127.0.0.1", 0), type("Handler", (_Handler,), {"proxy": proxy}))
    server.daemon_threads = True
    proxy.uri = f"http://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    try:
        yield proxy
    finally:
        proxy.close()
        server.shutdown()
        thread.join()
        server.server_close()
