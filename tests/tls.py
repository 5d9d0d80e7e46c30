"""TLS sockets of the tests: one whose connection was reset is closed as all others are."""

import ssl
from pathlib import Path


class ClosedWhereNoneWasMade(ssl.SSLSocket):
    """
    The socket of a client or a server, whose connection may be reset at any time.

    Before Python 3.13, `wrap_socket` raises for one that is reset before it asks for the peer's name, and leaves the
    new socket open: a ResourceWarning, that fails whichever test runs.
    """

    def __del__(self) -> None:
        if not hasattr(self, "_connected"):  # the last thing that is set before the handshake, which closes by itself
            self.close()
        super().__del__()  # type: ignore[misc]  # warns of one that somebody left open; not in the type stubs


def server_context(certificate: Path, key: Path) -> ssl.SSLContext:
    """A context of a server with a certificate."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    return context
