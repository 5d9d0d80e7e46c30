"""Which paths a tested container may read."""

from pathlib import Path

import pytest

from mlflow_uv.command.errors import BadInput
from mlflow_uv.core.security.serve_mounts import serve_mounts


def test_a_file_and_a_folder_may_be_mounted_once(tmp_path: Path) -> None:
    """
    Under any name that an engine reads as one path.
    """
    file = tmp_path / "it's größer $HOME.txt"
    file.touch()
    paths = [str(file), str(tmp_path)]

    mounts = serve_mounts([*paths, str(file)])

    assert tuple(paths) == mounts


@pytest.mark.parametrize(
    "path",
    [
        "data", "", "/a,readonly=false", '/a"b', "/usr/../etc", "/a\nb", "/", "/opt", "/opt/model", "/opt/venv/bin",
        "/proc/1", "/dev/null", "/tmp", "/no/such/file",
    ],
)  # fmt: skip
def test_another_path_is_refused(path: str) -> None:
    """
    One that is relative, would be more than a path for the engine, hides files of the image, or is not there.
    """
    with pytest.raises(BadInput, match="`serve-mounts`"):
        serve_mounts([path])
