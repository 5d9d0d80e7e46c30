"""Starts a Sigstore of the test, which signs and logs on this machine."""

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.waiting import CEILING_S

PROGRAM = Path(__file__).with_name("sigstore_service.py")


@contextmanager
def sigstore(python: Path, folder: Path, *clock: str) -> Iterator[Path]:
    """
    A Sigstore whose configuration and tokens are in a folder, which is made; it ends with the block.

    With the URL and the certificates of an authority for timestamps, its log is one of Rekor 2.
    """
    folder.mkdir()
    command = (str(python), "-I", str(PROGRAM), str(folder), *clock)
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert process.stdin is not None
    assert process.stdout is not None
    try:
        assert process.stdout.readline().startswith("http://127.0.0.1:")
        yield folder
    finally:
        process.stdin.close()
        process.wait(CEILING_S)
        process.stdout.close()
