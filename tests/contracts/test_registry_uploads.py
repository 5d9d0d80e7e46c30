"""Pushing blobs to a real registry: connections that break, and blobs that another repository has."""

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from mlflow_uv.core.image.composition import GZIP_TYPE, Blob
from mlflow_uv.core.image.reference import image_reference
from mlflow_uv.tools.oci.repository import Repository
from mlflow_uv.tools.oci.uploads import BlobUploads, SentBlobs
from mlflow_uv.tools.system.web import Web
from tests.registries import registry
from tests.unit.tools.oci.registryserver import digest_of
from tests.unit.tools.oci.test_registries import Hasty

PIECE = 1 << 20
DATA = bytes(range(256)) * (PIECE * 5 // 256) + b"end"
BLOB = Blob(media_type=GZIP_TYPE, digest=digest_of(DATA), size=len(DATA))


@dataclass
class Line:
    """A line to a registry that breaks: connections that send a PATCH, by their number, after so many bytes of it."""

    breaks: dict[int, int]
    patches: int = 0
    passed: int = 0
    mutex: threading.Lock = field(default_factory=threading.Lock)

    def forward(self, client: socket.socket, port: int) -> None:
        """One connection, until one side ends it or it breaks."""
        with client, socket.create_connection(("127.0.0.1", port)) as server:
            back = threading.Thread(target=pipe, args=(server, client), daemon=True)
            back.start()
            left, first = -1, True
            with suppress(OSError):
                while piece := client.recv(1 << 16):
                    if first and piece.startswith(b"PATCH"):
                        with self.mutex:
                            self.patches += 1
                            left = self.breaks.get(self.patches, -1)
                    first = False
                    if 0 <= left <= len(piece):
                        if left:
                            server.sendall(piece[:left])
                        break
                    left -= len(piece) if left >= 0 else 0
                    server.sendall(piece)
                    self.passed += len(piece)
            for side in (client, server):
                with suppress(OSError):
                    side.shutdown(socket.SHUT_RDWR)
            back.join()


def pipe(source: socket.socket, target: socket.socket) -> None:
    with suppress(OSError):
        while piece := source.recv(1 << 16):
            target.sendall(piece)


@contextmanager
def through(line: Line, port: int) -> Iterator[str]:
    """The address of a line to a registry."""
    listener = socket.create_server(("127.0.0.1", 0))

    def serve() -> None:
        with suppress(OSError):
            while True:
                client, _ = listener.accept()
                threading.Thread(target=line.forward, args=(client, port), daemon=True).start()

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    try:
        yield f"127.0.0.1:{listener.getsockname()[1]}"
    finally:
        listener.shutdown(socket.SHUT_RDWR)
        listener.close()
        thread.join()


def send(host: str, name: str, file: Path, source: str = "") -> SentBlobs:
    repository = Repository(Web({}), Hasty(), image_reference(f"{host}/{name}:1"), None, rights="pull,push")
    return BlobUploads(repository, {BLOB.digest: source} if source else {}, piece=PIECE).send({BLOB: file})


@pytest.mark.parametrize(
    ("breaks", "most"),
    [({}, 1), ({4: 0}, 1), ({2: 0, 3: 0, 6: 0}, 1), ({4: 300_000}, 2)],
    ids=["never", "between two pieces", "again and again", "in the middle of a piece"],
)
def test_a_push_survives_a_line_that_breaks(
    tmp_path: Path, registry_program: str, breaks: dict[int, int], most: int
) -> None:
    """
    Pieces that arrived are not sent again, except where the registry gives up the upload: it does if a piece is torn.
    """
    file = tmp_path / "blob"
    file.write_bytes(DATA)
    line = Line(breaks)
    with registry(tmp_path, registry_program) as host, through(line, int(host.rpartition(":")[2])) as address:
        sent = send(address, "wine", file)
        there = send(host, "wine", file)

    assert (SentBlobs(sent=len(DATA), mounted=0), SentBlobs(sent=0, mounted=0)) == (sent, there)
    assert len(DATA) <= line.passed < most * len(DATA) + 200_000
    assert line.patches >= len(breaks)


def test_a_blob_that_another_repository_has_is_not_sent(tmp_path: Path, registry_program: str) -> None:
    """
    A registry that does not find it there gets it.
    """
    file = tmp_path / "blob"
    file.write_bytes(DATA)
    with registry(tmp_path, registry_program) as host:
        first = send(host, "base", file)
        mounted = send(host, "wine", file, source="base")
        wrong = send(host, "other", file, source="nowhere")

    size = len(DATA)
    assert [(size, 0), (0, size), (size, 0)] == [(each.sent, each.mounted) for each in (first, mounted, wrong)]
