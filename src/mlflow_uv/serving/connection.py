"""
A connection that is given up when a request's head, or the reader of an answer, takes too long.

uvicorn has a deadline for a kept connection that says nothing, and none for one that has said a part of a head or has
never said anything; such connections cost a client nothing and stay for ever. One parser, h11, reads every request,
whichever others are installed: the limits below are h11's, and what is refused does not depend on the model's packages.
"""

from asyncio import TimerHandle, Transport
from http import HTTPStatus
from typing import Any

import h11
from uvicorn.protocols.http.h11_impl import H11Protocol

from .settings import Settings


def protocol(settings: Settings) -> "type[Connection]":
    """The class of connections with these limits."""
    limits = {
        "head_timeout": settings.head_timeout,
        "reader_timeout": settings.request_timeout,
        "most": settings.connections,
    }
    return type("LimitedConnection", (Connection,), limits)


class Connection(H11Protocol):  # type: ignore[misc]  # uvicorn is not installed where types are checked
    """uvicorn's own, with deadlines; `most` is how many there may be in one worker."""

    head_timeout = 30.0
    reader_timeout = 60.0
    most = 1000
    _timer: "TimerHandle | None" = None
    _begun = False  # whether a part of a head was read

    def connection_made(self, transport: Transport) -> None:
        """See asyncio.Protocol."""
        super().connection_made(transport)
        if len(self.connections) > self.most:
            self._give_up(HTTPStatus.SERVICE_UNAVAILABLE, f"There are {self.most} connections, as CONNECTIONS allows.")
            return
        self._expect_head()

    def data_received(self, data: bytes) -> None:
        """See asyncio.Protocol."""
        super().data_received(data)
        if self.transport.is_closing():
            self._abort_later(self.head_timeout)
        elif self.cycle is None or self.cycle.response_complete:
            self._begun = True
            self._expect_head()
        else:
            self._begun = False
            self._set_timer(None)

    def on_response_complete(self) -> None:
        """See H11Protocol: the next head, or the end of the connection, is what is waited for now."""
        super().on_response_complete()
        if self.transport.is_closing():
            self._abort_later(self.reader_timeout)

    def timeout_keep_alive_handler(self) -> None:
        """See H11Protocol: it closes, which waits for a client that does not read its answer."""
        super().timeout_keep_alive_handler()
        self._abort_later(self.reader_timeout)

    def connection_lost(self, exc: "Exception | None") -> None:
        """See asyncio.Protocol."""
        self._set_timer(None)
        super().connection_lost(exc)

    def _expect_head(self) -> None:
        """From the first byte on; the bytes that follow do not buy more time."""
        if self._timer is None:
            self._set_timer(self.loop.call_later(self.head_timeout, self._head_is_late))

    def _head_is_late(self) -> None:
        sentence = f"The head of the request did not arrive within HEAD_TIMEOUT, {self.head_timeout:g} s."
        self._give_up(HTTPStatus.REQUEST_TIMEOUT if self._begun else None, sentence)

    def _give_up(self, status: "HTTPStatus | None", sentence: str) -> None:
        """Close, and say why where somebody has asked for something."""
        if status is not None and self.conn.our_state is h11.IDLE and not self.transport.is_closing():
            headers = [("content-type", "text/plain; charset=utf-8"), ("connection", "close")]
            headers += [("content-length", str(len(sentence)))]
            events: tuple[Any, ...] = (
                h11.Response(status_code=status.value, headers=headers, reason=status.phrase.encode()),
                h11.Data(data=sentence.encode()),
                h11.EndOfMessage(),
            )
            for event in events:
                self.transport.write(self.conn.send(event))
        self.transport.close()
        self._abort_later(self.head_timeout)

    def _abort_later(self, seconds: float) -> None:
        """Closing waits until everything is written; not for ever."""
        self._set_timer(self.loop.call_later(seconds, self.transport.abort))

    def _set_timer(self, timer: "TimerHandle | None") -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._timer = timer
