"""
Closes connections whose request head arrives too slowly or whose client does not read the response.

uvicorn has a timeout for idle kept-alive connections, but none for a connection that has sent nothing, or only part of
a request head; such connections cost a client nothing and stay open for ever. Every request is parsed by h11, whichever
other parsers are installed: the limits below are h11's, and what is rejected does not depend on the model's packages.
"""

from asyncio import TimerHandle, Transport
from http import HTTPStatus
from typing import Any

import h11
from uvicorn.protocols.http.h11_impl import H11Protocol

from ..settings import Settings


def protocol(settings: Settings) -> "type[Connection]":
    """A connection class with the limits of these settings."""
    limits = {
        "head_timeout": settings.head_timeout,
        "reader_timeout": settings.request_timeout,
        "most": settings.connections,
    }
    return type("LimitedConnection", (Connection,), limits)


class Connection(H11Protocol):  # type: ignore[misc]  # uvicorn is not installed where types are checked
    """uvicorn's connection with timeouts in seconds; `most` is the maximum number of connections of one worker."""

    head_timeout = 30.0
    reader_timeout = 60.0
    most = 1000
    _timer: "TimerHandle | None" = None
    _begun = False  # whether part of a request head was read

    def connection_made(self, transport: Transport) -> None:
        """See asyncio.Protocol."""
        super().connection_made(transport)
        if len(self.connections) > self.most:
            self._close_with(
                HTTPStatus.SERVICE_UNAVAILABLE, f"All {self.most} connections that CONNECTIONS allows are in use."
            )
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
        """See H11Protocol: after a response comes the next request head, or the end of the connection."""
        super().on_response_complete()
        if self.transport.is_closing():
            self._abort_later(self.reader_timeout)

    def timeout_keep_alive_handler(self) -> None:
        """See H11Protocol: it closes the connection, which waits for a client that does not read its response."""
        super().timeout_keep_alive_handler()
        self._abort_later(self.reader_timeout)

    def connection_lost(self, exc: "Exception | None") -> None:
        """See asyncio.Protocol."""
        self._set_timer(None)
        super().connection_lost(exc)

    def _expect_head(self) -> None:
        """Start the timeout once per request head; further bytes do not extend it."""
        if self._timer is None:
            self._set_timer(self.loop.call_later(self.head_timeout, self._on_head_timeout))

    def _on_head_timeout(self) -> None:
        sentence = f"The request head did not arrive within HEAD_TIMEOUT ({self.head_timeout:g} s)."
        self._close_with(HTTPStatus.REQUEST_TIMEOUT if self._begun else None, sentence)

    def _close_with(self, status: "HTTPStatus | None", sentence: str) -> None:
        """Close the connection, after an error response if a status is given and no response has begun."""
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
        """Bound the time that closing waits until everything is written."""
        self._set_timer(self.loop.call_later(seconds, self.transport.abort))

    def _set_timer(self, timer: "TimerHandle | None") -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._timer = timer
