"""A registry on this machine."""

import shutil
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

_STARTED_S = 30.0
_PROGRAM = shutil.which("docker-registry") or "docker-registry"
_CONFIG = """\
version: 0.1
storage:
  filesystem:
    rootdirectory: {folder}
http:
  addr: 127.0.0.1:{port}
"""


@contextmanager
def registry(folder: Path) -> Iterator[tuple[str, Callable[[], int]]]:
    """A registry that stores in a folder: its host, and the bytes that it has stored."""
    folder.mkdir(parents=True, exist_ok=True)
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    (folder / "config.yml").write_text(_CONFIG.format(folder=folder / "data", port=port))
    process = subprocess.Popen(
        (_PROGRAM, "serve", folder / "config.yml"), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    try:
        until = time.monotonic() + _STARTED_S
        while time.monotonic() < until and not listens(port):
            time.sleep(0.05)
        yield f"127.0.0.1:{port}", lambda: sum(f.stat().st_size for f in folder.rglob("data") if f.is_file())
    finally:
        process.terminate()
        process.wait()


def listens(port: int) -> bool:
    """Whether a program answers there."""
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0
