"""Reading files from an untrusted source."""

import os
from pathlib import Path

import pytest

from mlflow_uv.command.errors import BadInput
from mlflow_uv.tools.system.untrusted_file import read_untrusted


def test_a_regular_file_is_read_up_to_the_limit(tmp_path: Path) -> None:
    """
    One byte more is refused.
    """
    (tmp_path / "a").write_bytes(b"12345")

    assert b"12345" == read_untrusted(tmp_path / "a", limit=5)
    with pytest.raises(BadInput, match="larger than 4 bytes"):
        read_untrusted(tmp_path / "a", limit=4)


def test_nothing_but_a_regular_file_is_read(tmp_path: Path) -> None:
    """
    A link shows another file, a pipe waits forever, and a device has no end.
    """
    (tmp_path / "secret").write_bytes(b"x")
    (tmp_path / "link").symlink_to(tmp_path / "secret")
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "folder").mkdir()

    for name, why in (("link", "symbolic link"), ("pipe", "regular"), ("folder", "regular"), ("none", "No such file")):
        with pytest.raises(BadInput, match=why):
            read_untrusted(tmp_path / name, limit=5)
    with pytest.raises(BadInput, match="regular"):
        read_untrusted(Path("/dev/zero"), limit=5)
