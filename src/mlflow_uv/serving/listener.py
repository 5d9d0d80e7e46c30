"""Who gets the next connection? Of several workers each in its turn; and at the end, nobody is left at the door."""

import math
import select
import socket
import time

TURN = 0.0005  # seconds: long enough for another worker to wake up, short enough for who waits


class Listener(socket.socket):
    """
    A socket that takes connections one by one where several workers listen on it.

    All of them wake up for a connection. The first would take all that come at once, and keep them for as long as their
    clients stay; so who has taken one leaves the next to the others for a moment.
    """

    turn = 0.0
    _taken = -math.inf

    def accept(self) -> "tuple[socket.socket, object]":
        """See socket.socket. Raises BlockingIOError where there is none, or it is another's turn."""
        if time.monotonic() < self._taken + self.turn:
            raise BlockingIOError
        found = super().accept()
        self._taken = time.monotonic()
        return found

    def waited_for(self) -> bool:
        """Whether somebody has connected whom nobody has taken yet."""
        poll = select.poll()
        poll.register(self, select.POLLIN)
        return bool(poll.poll(0))
