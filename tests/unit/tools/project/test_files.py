"""Reading projects from disk, and writing files."""

import os
import stat
import threading
from contextlib import suppress
from pathlib import Path, PurePosixPath

import pytest

from mlflow_uv.command.errors import BadInput, BadProject, ToolFailed
from mlflow_uv.tools.project.files import (
    NoProject,
    UnreadableProject,
    bounds_of,
    line_of,
    members,
    read_project,
    write_atomically,
)
from mlflow_uv.tools.system.content import digests_in


def pyproject(folder: Path, text: str = "") -> Path:
    """Make a project in a folder, with a text after its `[project]`."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "pyproject.toml").write_text(f'[project]\nname = "{folder.name.lower()}"\n{text}')
    return folder


def workspace(folder: Path, members: str, exclude: str = "") -> Path:
    """Make a workspace root."""
    return pyproject(folder, f"[tool.uv.workspace]\nmembers = [{members}]\nexclude = [{exclude}]\n")


def test_a_project_is_its_folder_name_and_settings(tmp_path: Path) -> None:
    """
    What every step asks of a project.
    """
    folder = pyproject(tmp_path / "wine", '[tool.mlflow-uv]\nmodel-name = "w"\n')

    found = read_project(folder)

    assert ("wine", True, {"model-name": "w"}, folder / "uv.lock") == (
        found.name,
        found.named,
        found.settings,
        found.lock,
    )


def test_a_virtual_root_goes_by_its_folder(tmp_path: Path) -> None:
    """
    A workspace root without `[project]` still has to be called something.
    """
    (tmp_path / "pyproject.toml").write_text("[tool.uv.workspace]\nmembers = []\n")

    found = read_project(tmp_path)

    assert (tmp_path.name, False) == (found.name, found.named)


@pytest.mark.parametrize("place", [".", "no/such/folder"])
def test_a_folder_without_a_manifest_is_no_project(tmp_path: Path, place: str) -> None:
    """
    The message names the folder and the way out.
    """
    with pytest.raises(NoProject) as caught:
        read_project(tmp_path / place)

    assert ("it has no pyproject.toml", "--project FOLDER, or `uv init`") == (caught.value.why, caught.value.fix)


def test_a_file_is_no_project_and_its_folder_may_be(tmp_path: Path) -> None:
    """
    Whoever names pyproject.toml means its folder.
    """
    (tmp_path / "pyproject.toml").touch()

    with pytest.raises(BadProject) as caught:
        read_project(tmp_path / "pyproject.toml")

    flag, folder = caught.value.fix.split()
    assert ("--project", tmp_path, tmp_path) == (flag, Path(folder), read_project(Path(folder)).folder)


@pytest.mark.parametrize(
    ("content", "line"),
    [(b"[project]\nname = \n", 2), (b"a = 1\nb = [1, ,]\n", 2), (b"# \xff\n", 1)],
)
def test_a_manifest_that_is_not_toml_says_where(tmp_path: Path, content: bytes, line: int) -> None:
    """
    The line is what an annotation points to.
    """
    (tmp_path / "pyproject.toml").write_bytes(content)

    with pytest.raises(UnreadableProject) as caught:
        read_project(tmp_path)

    assert (tmp_path / "pyproject.toml", line) == (caught.value.path, caught.value.line)


# What real uv does with each of these is held by tests/contracts/test_uv.py.
@pytest.mark.parametrize(
    ("members", "exclude", "folder", "belongs"),
    [
        ('"packages/core"', "", "packages/core", True),
        ('"packages/*"', "", "packages/core", True),
        ('"./packages/*/"', "", "packages/core", True),
        ('"packages/?ore"', "", "packages/core", True),
        ('"packages/[ck]ore"', "", "packages/core", True),
        ('"packages/**/core"', "", "packages/core", True),
        ('"packages/**/core"', "", "packages/a/b/core", True),
        ('"packages/**/core"', "", "packages/other", False),
        ('"packages/**"', "", "packages", False),
        ('"*"', "", "packages/core", False),
        ('"Packages/*"', "", "packages/core", False),
        ('"packages/*"', '"packages/co*"', "packages/core", False),
        ('"packages/*"', '"packages"', "packages/core", True),
        ("", "", "packages/core", False),
    ],
)
def test_a_member_is_covered_by_the_lock_of_its_workspace(
    tmp_path: Path, members: str, exclude: str, folder: str, belongs: bool
) -> None:
    """
    uv's rule: patterns of the workspace's root, part by part, minus what it excludes.
    """
    workspace(tmp_path, members, exclude)
    pyproject(tmp_path / folder)

    found = read_project(tmp_path / folder).root

    assert (tmp_path if belongs else tmp_path / folder) == found


def test_a_project_between_a_member_and_the_root_ends_the_search(tmp_path: Path) -> None:
    """
    uv looks no further than the nearest project above.
    """
    workspace(tmp_path, '"a/b"')
    pyproject(tmp_path / "a")
    pyproject(tmp_path / "a" / "b")

    found = read_project(tmp_path / "a" / "b").root

    assert tmp_path / "a" / "b" == found


def test_members_are_those_whose_lock_is_the_roots(tmp_path: Path) -> None:
    """
    Excluded folders, nested workspaces and vendored environments are not members.
    """
    workspace(tmp_path, '"packages/*", "apps/**"', '"packages/old"')
    for folder in ("packages/b", "packages/a", "packages/old", "apps/x/.venv/lib/y", "elsewhere"):
        pyproject(tmp_path / folder)
    workspace(tmp_path / "packages/own", "")
    (tmp_path / "packages/notes").mkdir()

    found = members(read_project(tmp_path))

    assert ["packages/a", "packages/b"] == [str(one.folder.relative_to(tmp_path)) for one in found]


def test_a_project_without_a_workspace_has_no_members(tmp_path: Path) -> None:
    """
    A plain project is alone, whatever lies below it.
    """
    pyproject(tmp_path)
    pyproject(tmp_path / "below")

    found = members(read_project(tmp_path))

    assert () == found


def test_a_write_replaces_the_whole_file(tmp_path: Path) -> None:
    """
    Missing folders are made, and the old content is gone.
    """
    target = tmp_path / "new folder" / "ü.txt"

    write_atomically(target, b"longer than the next\n")
    write_atomically(target, b"short\n")

    assert b"short\n" == target.read_bytes()


def test_a_write_that_fails_leaves_the_old_file_and_nothing_else(tmp_path: Path) -> None:
    """
    A reader never sees a part, and no temporary file is left behind.
    """
    folder = tmp_path / "it"
    folder.mkdir()
    (folder / "inside").touch()

    with pytest.raises(ToolFailed, match="cannot be written"):
        write_atomically(folder, b"x")

    assert [folder] == list(tmp_path.iterdir())


def test_a_write_keeps_the_mode_of_the_file(tmp_path: Path) -> None:
    """
    Who may read a file stays its owner's decision.
    """
    target = tmp_path / "it"
    target.touch()
    target.chmod(0o640)

    write_atomically(target, b"x")

    assert 0o640 == stat.S_IMODE(target.stat().st_mode)


def test_a_new_file_has_the_mode_that_any_program_would_give_it(tmp_path: Path) -> None:
    """
    A temporary file is private to its owner; what it becomes is not.
    """
    (tmp_path / "plain").touch()

    write_atomically(tmp_path / "it", b"x")

    assert (tmp_path / "plain").stat().st_mode == (tmp_path / "it").stat().st_mode


def test_a_link_stays_a_link(tmp_path: Path) -> None:
    """
    Writing through a link changes what it points to.
    """
    (tmp_path / "real").write_bytes(b"old")
    (tmp_path / "link").symlink_to("real")

    write_atomically(tmp_path / "link", b"new")

    assert (True, b"new") == ((tmp_path / "link").is_symlink(), (tmp_path / "real").read_bytes())


def test_every_file_of_a_tree_is_digested_by_its_posix_path(tmp_path: Path) -> None:
    """
    Folders in any depth, names of any kind, empty folders not at all.
    """
    (tmp_path / "a b" / "ü").mkdir(parents=True)
    (tmp_path / "empty").mkdir()
    (tmp_path / "a b" / "ü" / "x").write_bytes(b"")
    (tmp_path / "z").write_bytes(b"1")

    found = dict(digests_in(tmp_path))

    assert {PurePosixPath("a b/ü/x"), PurePosixPath("z")} == found.keys()
    assert found[PurePosixPath("a b/ü/x")].startswith("e3b0c442")


@pytest.mark.parametrize(
    ("needles", "line"), [(("beta",), 2), (("nothing", "gamma"), 3), (("nothing",), 1), (("gamma", "alpha"), 3)]
)
def test_the_line_to_point_at(tmp_path: Path, needles: tuple[str, ...], line: int) -> None:
    """
    The first needle that occurs decides; a file that says nothing is pointed at from its top.
    """
    (tmp_path / "it").write_text("alpha\nbeta\ngamma\n")

    found = line_of(tmp_path / "it", *needles)

    assert line == found


def test_a_file_that_is_not_there_is_pointed_at_from_its_top(tmp_path: Path) -> None:
    """
    A missing lock has an annotation too.
    """
    found = line_of(tmp_path / "uv.lock", "x")

    assert 1 == found


@pytest.mark.parametrize("name", ["link/file", "file", "new/link/../../link/file"])
def test_a_link_leads_no_file_out_of_the_folder_that_bounds_it(tmp_path: Path, name: str) -> None:
    """
    Neither a folder on the way nor the file itself.
    """
    inside, outside = tmp_path / "inside", tmp_path / "outside"
    inside.mkdir()
    outside.mkdir()
    (inside / "link").symlink_to("../outside")
    (inside / "file").symlink_to("../outside/file")

    with pytest.raises(BadInput):
        write_atomically(inside / name, b"new", within=inside)

    assert [] == list(outside.iterdir())


def test_a_link_inside_is_followed_and_stays_a_link(tmp_path: Path) -> None:
    """
    Folders that are missing are made, and the mode of a file is kept.
    """
    (tmp_path / "link").symlink_to("deep/er/file")

    write_atomically(tmp_path / "link", b"old", within=tmp_path)
    (tmp_path / "deep/er/file").chmod(0o640)
    write_atomically(tmp_path / "link", b"new", within=tmp_path)

    file = tmp_path / "deep/er/file"
    assert (True, b"new", 0o640) == ((tmp_path / "link").is_symlink(), file.read_bytes(), file.stat().st_mode & 0o777)
    assert [file] == list(file.parent.iterdir())


def test_a_link_that_comes_and_goes_leads_nothing_out(tmp_path: Path) -> None:
    """
    Whoever swaps a folder, or the file, for a link between the look and the writing gets nothing written elsewhere.
    """
    inside, outside = tmp_path / "inside", tmp_path / "outside"
    inside.mkdir()
    outside.mkdir()
    (outside / "file").write_bytes(b"precious")
    (inside / "folder").symlink_to(outside)  # or the writer may make a folder there, which no link replaces
    done = threading.Event()

    def swap() -> None:
        while not done.is_set():
            for target in (tmp_path / "outside", inside / "other"):
                (tmp_path / "new").symlink_to(target)
                (tmp_path / "new").replace(inside / "folder")
                (tmp_path / "new").symlink_to(target / "file")
                (tmp_path / "new").replace(inside / "file")

    swapper = threading.Thread(target=swap)
    swapper.start()
    try:
        for _ in range(300):
            for name in ("folder/file", "file"):
                with suppress(BadInput, ToolFailed):
                    write_atomically(inside / name, b"new", within=inside)
    finally:
        done.set()
        swapper.join()

    assert {"file": b"precious"} == {path.name: path.read_bytes() for path in outside.iterdir()}


def test_a_file_is_bound_by_its_project_or_its_repository(tmp_path: Path) -> None:
    """
    What lies in neither is bound by nothing.
    """
    (tmp_path / "repository/.git").mkdir(parents=True)
    project = tmp_path / "repository/project"

    found = [bounds_of(tmp_path / name, project) for name in ("repository/project/a", "repository/b", "c")]

    assert [project, tmp_path / "repository", None] == found


def test_no_pipe_or_device_is_replaced(tmp_path: Path) -> None:
    """
    As root, a file would take the place of `/dev/null`.
    """
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)

    with pytest.raises(ToolFailed, match="it is a device, a pipe or a socket"):
        write_atomically(pipe, b"x")

    assert pipe.is_fifo()
