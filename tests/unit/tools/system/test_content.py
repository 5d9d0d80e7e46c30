"""Digests of folders, which depend on names and bytes alone."""

import hashlib
import os
from pathlib import Path, PurePosixPath

from mlflow_uv.tools.system.content import digests_in


def test_every_file_of_a_folder_has_the_digest_of_its_bytes(tmp_path: Path) -> None:
    """
    By its relative path, in a fixed order, whatever its time.
    """
    (tmp_path / "b").mkdir()
    (tmp_path / "b" / "two").write_text("2")
    (tmp_path / "one").write_text("1")
    before = list(digests_in(tmp_path))
    os.utime(tmp_path / "one", (1, 1))

    digests = list(digests_in(tmp_path))

    one, two = (hashlib.sha256(text).hexdigest() for text in (b"1", b"2"))
    assert [(PurePosixPath("one"), one), (PurePosixPath("b/two"), two)] == digests == before
