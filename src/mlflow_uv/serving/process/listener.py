"""Provides a listening socket whose connections are spread over several workers."""

import math
import select
import socket
import time

PAUSE_S = 0.0005  # long enough for another worker to wake up, short enough for a waiting client


class Listener(socket.socket):
    """
    A socket that accepts connections one by one where several workers listen on it.

    A connection wakes up all workers. The first one would accept every connection that is pending, and keep them for as
    long as their clients stay; so after each connection a worker pauses for `pause_s` and leaves the next to others.
    """

    pause_s = 0.0
    _accepted_s = -math.inf

    def accept(self) -> "tuple[socket.socket, object]":
        """See socket.socket. Raises BlockingIOError without a pending connection, and during the pause."""
        if time.monotonic() < self._accepted_s + self.pause_s:
            raise BlockingIOError
        connection = super().accept()
        self._accepted_s = time.monotonic()
        return connection

    def has_pending(self) -> bool:
        """Whether a connection is pending that no worker has accepted yet."""
        poll = select.poll()
        poll.register(self, select.POLLIN)
        return bool(poll.poll(0))
