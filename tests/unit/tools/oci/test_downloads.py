"""Blobs are downloaded several at once, and end together."""

import threading
from collections.abc import Callable
from pathlib import Path
from typing import cast

import pytest

from mlflow_uv.core.image.composition import GZIP_TYPE, Blob
from mlflow_uv.tools.oci.downloads import BlobDownloads
from mlflow_uv.tools.oci.repository import RegistryUnanswered, Repository


class Slow:
    """A repository: one blob is refused, and each other one arrives when it is told to stop."""

    def __init__(self, refused: str) -> None:
        self.refused = refused
        self.started = threading.Barrier(2, timeout=30)
        self.stopped: list[str] = []

    def download(self, blob: Blob, target: Path, *, stop: Callable[[], bool]) -> None:
        self.started.wait()
        if blob.digest == self.refused:
            raise RegistryUnanswered("refused")
        while not stop():
            threading.Event().wait(0.001)
        self.stopped.append(blob.digest)
        raise RegistryUnanswered("stopped")


def test_where_one_fails_the_others_end(tmp_path: Path) -> None:
    """
    They are of no use without it; the error is that of the one that failed.
    """
    repository = Slow("sha256:2")
    blobs = [Blob(media_type=GZIP_TYPE, digest=f"sha256:{number}", size=1) for number in (1, 2)]

    with pytest.raises(RegistryUnanswered, match="refused"):
        BlobDownloads(cast("Repository", repository)).fetch({blob: tmp_path / blob.digest for blob in blobs})

    assert ["sha256:1"] == repository.stopped
