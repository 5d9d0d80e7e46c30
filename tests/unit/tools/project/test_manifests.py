"""The manifests that a lock depends on, and the lines of their keys."""

from pathlib import Path

import pytest

from mlflow_uv.core.freshness.causes import ManifestPlace
from mlflow_uv.core.lock.lockfile import read_lockfile
from mlflow_uv.tools.project.files import UnreadableProject, read_project
from mlflow_uv.tools.project.manifests import ManifestLines, read_workspace

LOCK = """\
version = 1
requires-python = ">=3.9"

[[package]]
name = "wine"
version = "1"
source = { virtual = "." }

[[package]]
name = "beside"
version = "1"
source = { editable = "../beside" }

[[package]]
name = "gone"
version = "1"
source = { directory = "../gone" }
"""


def write(path: Path, name: str, more: str = "") -> None:
    """Write a pyproject.toml."""
    path.mkdir(parents=True, exist_ok=True)
    (path / "pyproject.toml").write_text(f'[project]\nname = "{name}"\nversion = "1"\n{more}')


@pytest.fixture
def top(tmp_path: Path) -> Path:
    """A workspace with a member, and a package beside it."""
    write(tmp_path / "top", "wine", '[tool.uv.workspace]\nmembers = ["libs/*"]\n')
    write(tmp_path / "top/libs/cork", "cork")
    write(tmp_path / "beside", "beside")
    return tmp_path / "top"


def test_root_members_and_neighbours_are_read_once_each(top: Path) -> None:
    """
    From whichever member one looks; a folder that is not there is uv's to report.
    """
    workspaces = [
        read_workspace(read_project(folder), read_lockfile(LOCK.encode())) for folder in (top, top / "libs/cork")
    ]

    for workspace in workspaces:
        assert ["pyproject.toml", "libs/cork/pyproject.toml"] == [manifest.file for manifest in workspace.members]
        assert ["../beside/pyproject.toml"] == [manifest.file for manifest in workspace.neighbours]
        assert ("pyproject.toml", ("tool", "uv")) == (workspace.settings.file, workspace.options)


def test_settings_are_those_of_the_nearest_file(top: Path) -> None:
    """
    A uv.toml takes the place of `[tool.uv]`.
    """
    (top / "uv.toml").write_text("offline = true\n")

    workspace = read_workspace(read_project(top), None)

    assert (("uv.toml", ()), True) == ((workspace.settings.file, workspace.options), workspace.settings.get("offline"))


def test_a_root_without_a_name_is_no_member(top: Path) -> None:
    """
    It only holds the workspace together.
    """
    (top / "pyproject.toml").write_text('[tool.uv.workspace]\nmembers = ["libs/*"]\n')

    workspace = read_workspace(read_project(top / "libs/cork"), None)

    assert ["libs/cork/pyproject.toml"] == [manifest.file for manifest in workspace.members]


def test_a_member_that_cannot_be_read_is_an_error(top: Path) -> None:
    """
    uv would stop at it too.
    """
    (top / "libs/cork/pyproject.toml").write_text("[project\n")

    with pytest.raises(UnreadableProject):
        read_workspace(read_project(top), None)


def test_a_key_is_at_its_line_or_at_that_of_the_table_around_it(tmp_path: Path) -> None:
    """
    1 for a file that cannot be read, and for a key that is nowhere.
    """
    write(tmp_path, "wine", '\n[tool.uv]\nindex = [\n    { url = "a" },\n    { url = "b" },\n]\n')
    (tmp_path / "latin.toml").write_bytes(b"x = '\xff'\n")
    lines = ManifestLines(tmp_path)

    found = [
        lines.at(ManifestPlace(file, path))
        for file, path in (
            ("pyproject.toml", ("project", "version")),
            ("pyproject.toml", ("tool", "uv", "nothing")),
            ("pyproject.toml", ("nothing",)),
            ("latin.toml", ("x",)),
            ("gone.toml", ("x",)),
        )
    ]

    assert [3, 5, 1, 1, 1] == found


def test_a_file_is_read_once(tmp_path: Path) -> None:
    """
    Its lines are asked for with every difference.
    """
    write(tmp_path, "wine")
    lines = ManifestLines(tmp_path)
    first = lines.at(ManifestPlace("pyproject.toml", ("project", "version")))
    (tmp_path / "pyproject.toml").unlink()

    assert (3, 2) == (first, lines.at(ManifestPlace("pyproject.toml", ("project", "name"))))
