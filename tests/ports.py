"""Ports of this machine for servers that the tests start, and for servers that are not there."""

import fcntl
import os
import secrets
import socket
import tempfile
from pathlib import Path

# Between those that programs have by default, and those that the kernel gives to whoever asks for any: Linux's begin at
# 32768, those of macOS later.
PORTS = range(20_000, 32_768)
_FOLDER = Path(tempfile.gettempdir(), f"mlflow-uv-test-ports-{os.getuid()}")


def free_port() -> int:
    """
    A port on which nobody listens, and that no other caller gets until this process ends.

    One of the kernel's would be another program's before a server, which takes seconds to start, listens there.
    """
    _FOLDER.mkdir(exist_ok=True)
    while True:
        port = PORTS[secrets.randbelow(len(PORTS))]
        reserved = os.open(_FOLDER / str(port), os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(reserved, fcntl.LOCK_EX | fcntl.LOCK_NB)  # of this process until it ends
            with socket.socket() as probe:
                probe.bind(("", port))
        except OSError:  # of another process, or of an earlier call
            os.close(reserved)
        else:
            return port
