"""TLS servers of the tests."""

import ssl
from pathlib import Path


def server_context(certificate: Path, key: Path) -> ssl.SSLContext:
    """A context of a server; connections that clients reset before the handshake are closed as all others are."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.sslsocket_class = _ClosedWhenCollected
    context.load_cert_chain(certificate, key)
    return context


class _ClosedWhenCollected(ssl.SSLSocket):
    """
    The socket of a connection that may be reset at any time.

    `wrap_socket` raises for one that is reset before it asks for the peer's name, and leaves the new socket open.
    """

    def __del__(self) -> None:
        self.close()
