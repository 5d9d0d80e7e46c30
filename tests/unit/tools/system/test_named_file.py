"""Reading files that the caller named."""

import os
from pathlib import Path

import pytest

from mlflow_uv.command.errors import BadInput
from mlflow_uv.tools.system.named_file import read_named


def test_a_file_a_link_and_a_pipe_are_read_up_to_the_limit(tmp_path: Path) -> None:
    """
    A shell gives a pipe for `<(command)`, as a link that leads nowhere else.
    """
    (tmp_path / "a").write_bytes(b"12345")
    (tmp_path / "link").symlink_to(tmp_path / "a")
    reading, writing = os.pipe()
    os.write(writing, b"12345")
    os.close(writing)

    found = [read_named(path, limit=5) for path in (tmp_path / "a", tmp_path / "link", Path(f"/dev/fd/{reading}"))]

    os.close(reading)
    assert [b"12345"] * 3 == found
    with pytest.raises(BadInput, match="is not read") as raised:
        read_named(Path("/dev/zero"), limit=4)
    assert "it is larger than 4 bytes" == raised.value.why


def test_what_is_not_there_is_named(tmp_path: Path) -> None:
    """
    A folder, too.
    """
    for path, why in ((tmp_path / "none", "No such file or directory"), (tmp_path, "Is a directory")):
        with pytest.raises(BadInput) as raised:
            read_named(path, limit=4)

        assert (f"`{path}` is not read", why) == (raised.value.what, raised.value.why)
