"""Finding the locked projects that a change outside of their folders affects."""

from pathlib import Path

import pytest

from mlflow_uv.tools.git.git import Git
from mlflow_uv.tools.project.dependants import dependants
from mlflow_uv.tools.system.process import SystemRunner
from tests import checkout

GIT = Git(SystemRunner(), variables={"PATH": "/usr/local/bin:/usr/bin:/bin"})


def plant(top: Path, name: str, *, manifest: str = "", sources: tuple[str, ...] | None = ()) -> Path:
    """A project in a folder, with a lock that was made from itself and from these folders; None: without a lock."""
    folder = top / name
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "pyproject.toml").write_text(f'[project]\nname = "{folder.name}"\n{manifest}')
    if sources is not None:
        packages = (f'[[package]]\nname = "p"\nsource = {{ editable = "{source}" }}\n' for source in (".", *sources))
        (folder / "uv.lock").write_text("version = 1\n\n" + "\n".join(packages))
    return folder


def concerned(top: Path, *changed: str) -> list[str]:
    """The projects that these changed files concern, relative to the top."""
    files = [top / name for name in changed]
    return [folder.relative_to(top).as_posix() for folder in dependants(files, top, GIT)]


@pytest.fixture(params=["git", "no git"])
def top(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """A folder that is a repository, and one that is not: the answers are the same."""
    folder = tmp_path / "mono répo"
    folder.mkdir()
    if request.param == "git":
        checkout.git(folder, "init", "--quiet")
    return folder


def test_a_lock_that_was_made_from_a_changed_folder_is_concerned(top: Path) -> None:
    """
    Wherever both lie, and whichever file tells the requirements there.
    """
    plant(top, "apps/x", sources=("../../libs/a",))
    plant(top, "apps/y", sources=("../../libs/b",))
    for name in ("a", "b"):
        plant(top, f"libs/{name}", sources=None)

    found = [concerned(top, f"libs/a/{file}") for file in ("pyproject.toml", "setup.cfg", "setup.py")]

    assert [["apps/x"]] * 3 == found


def test_a_changed_lock_concerns_nobody_else(top: Path) -> None:
    """
    uv reads the manifest of a folder, never the lock that lies beside it.
    """
    plant(top, "apps/x", sources=("../../libs/a",))
    plant(top, "libs/a")

    assert [] == concerned(top, "libs/a/uv.lock")


def test_the_root_of_another_workspace_concerns_those_who_use_its_members(top: Path) -> None:
    """
    Its sources hold for its members, wherever these are used.
    """
    plant(top, "libs", manifest='[tool.uv.workspace]\nmembers = ["a"]\n')
    plant(top, "libs/a", sources=None)
    plant(top, "apps/x", sources=("../../libs/a",))

    assert ["apps/x"] == concerned(top, "libs/pyproject.toml")


@pytest.mark.parametrize(("file", "text"), [("uv.toml", "x"), ("pyproject.toml", '[tool.uv]\nprerelease = "allow"\n')])
def test_settings_above_concern_who_inherits_them(top: Path, file: str, text: str) -> None:
    """
    Not a project that has settings of its own, nor one that finds others on the way up.
    """
    (top / file).write_text(text)
    plant(top, "svc/x")
    plant(top, "svc/own", manifest='[tool.uv]\nprerelease = "allow"\n')
    plant(top, "other/y")
    (top / "other" / "uv.toml").write_text("")

    assert ["svc/x"] == concerned(top, file)


def test_a_manifest_above_without_settings_of_uv_concerns_nobody(top: Path) -> None:
    """
    Most manifests at the top of a repository only configure other tools.
    """
    (top / "pyproject.toml").write_text("[tool.ruff]\nline-length = 100\n")
    plant(top, "svc/x")

    assert [] == concerned(top, "pyproject.toml")


def test_settings_that_were_taken_away_concern_who_inherited_them(tmp_path: Path) -> None:
    """
    The last commit had them, so that the lock may have been made with them.
    """
    (tmp_path / "pyproject.toml").write_text('[tool.uv]\nprerelease = "allow"\n')
    plant(tmp_path, "svc/x")
    checkout.repository(tmp_path)
    (tmp_path / "pyproject.toml").write_text("[tool.ruff]\nline-length = 100\n")

    assert ["svc/x"] == concerned(tmp_path, "pyproject.toml")


def test_a_lock_that_uv_does_not_read_concerns_nobody(top: Path) -> None:
    """
    The lock of a workspace covers its members, whatever lies beside their manifests.
    """
    plant(top, "libs", manifest='[tool.uv.workspace]\nmembers = ["a", "b"]\n', sources=("a", "b"))
    plant(top, "libs/a", sources=("../b",))
    plant(top, "libs/b", sources=None)

    found = [concerned(top, file) for file in ("libs/b/pyproject.toml", "libs/pyproject.toml")]

    assert [["libs"], []] == found
