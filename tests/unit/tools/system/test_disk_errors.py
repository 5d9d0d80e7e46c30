"""Errors of a disk, in words."""

from errno import ENOSPC
from pathlib import Path

import pytest

from mlflow_uv.command.errors import NoSpace, ToolFailed
from mlflow_uv.tools.system.disk_errors import AGAIN, disk_errors


def test_a_full_disk_has_a_fix(tmp_path: Path) -> None:
    """
    The place is named where the error names no file.
    """
    with pytest.raises(NoSpace) as full, disk_errors("the image", tmp_path, fix="free space"):
        raise OSError(ENOSPC, "No space left on device")

    assert ("the image cannot be written", f"No space left on device: {tmp_path}", "free space") == (
        full.value.what,
        full.value.why,
        full.value.fix,
    )


def test_another_error_names_its_file(tmp_path: Path) -> None:
    """
    Such as a folder that was deleted meanwhile.
    """
    why = r"the image cannot be written: No such file or directory: .*gone/x"

    def write() -> None:
        with disk_errors("the image", tmp_path):
            (tmp_path / "gone" / "x").write_text("")

    with pytest.raises(ToolFailed, match=why) as gone:
        write()
    (tmp_path / "gone").mkdir()
    write()

    assert AGAIN == gone.value.fix


def test_other_exceptions_pass(tmp_path: Path) -> None:
    """
    They have words of their own.
    """
    with pytest.raises(ToolFailed, match="mine"), disk_errors("the image", tmp_path):
        raise ToolFailed(what="mine")
