"""Makes a wheel of any size, and serves it from an index on this machine."""

import base64
import hashlib
import http.server
import os
import threading
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

NAME, VERSION = "massive", "1.0"
_PIECE = 1 << 20
_METADATA = f"Metadata-Version: 2.1\nName: {NAME}\nVersion: {VERSION}\n"
_INFO = f"{NAME}-{VERSION}.dist-info"


def make_wheel(folder: Path, megabytes: int) -> Path:
    """A wheel with a shared library of so many megabytes, of which half can be compressed, as in real ones."""
    wheel = folder / f"{NAME}-{VERSION}-py3-none-any.whl"
    library, digest = f"{NAME}/lib{NAME}.so", hashlib.sha256()
    with zipfile.ZipFile(wheel, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
        with archive.open(library, "w", force_zip64=True) as out:
            for _ in range(megabytes):
                piece = os.urandom(_PIECE // 2) + bytes(_PIECE // 2)
                digest.update(piece)
                out.write(piece)
        rows = [_row(library, digest.digest(), megabytes * _PIECE)]
        texts = {
            f"{NAME}/__init__.py": "",
            f"{_INFO}/METADATA": _METADATA,
            f"{_INFO}/WHEEL": "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
        }
        for name, text in texts.items():
            archive.writestr(name, text)
            rows.append(_row(name, hashlib.sha256(text.encode()).digest(), len(text)))
        archive.writestr(f"{_INFO}/RECORD", "\n".join((*rows, f"{_INFO}/RECORD,,", "")))
    return wheel


def _row(name: str, digest: bytes, size: int) -> str:
    return f"{name},sha256={base64.urlsafe_b64encode(digest).rstrip(b'=').decode()},{size}"


@contextmanager
def index(folder: Path, wheel: Path) -> Iterator[str]:
    """The address of an index that has the wheel and its metadata."""
    page = folder / "simple" / NAME
    page.mkdir(parents=True)
    with wheel.open("rb") as content:
        digest = hashlib.file_digest(content, "sha256").hexdigest()
    (folder / f"{wheel.name}.metadata").write_text(_METADATA)
    metadata = f'data-core-metadata="sha256={hashlib.sha256(_METADATA.encode()).hexdigest()}"'
    (page / "index.html").write_text(f'<a href="/{wheel.name}#sha256={digest}" {metadata}>{wheel.name}</a>')
    handler = partial(_Quiet, directory=str(folder))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}/simple/"
        finally:
            server.shutdown()
            thread.join()


class _Quiet(http.server.SimpleHTTPRequestHandler):
    """Serves files and says nothing."""

    def log_message(self, *_: object) -> None:
        """Nothing."""
