"""Finding the projects below a folder, and the folders that are not searched."""

from pathlib import Path

import pytest

from mlflow_uv.tools.git.git import Git
from mlflow_uv.tools.project.files import Project, UnreadableProject
from mlflow_uv.tools.project.tree import projects_below, projects_of
from mlflow_uv.tools.system.process import SystemRunner
from tests import checkout

GIT = Git(SystemRunner(), variables={"PATH": "/usr/local/bin:/usr/bin:/bin"})
PROJECT = '[project]\nname = "a"\n'


def plant(top: Path, *locked: str, manifest: str = PROJECT) -> None:
    """Projects with a lock in these folders."""
    for name in locked:
        folder = top / name
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "pyproject.toml").write_text(manifest)
        (folder / "uv.lock").write_text("version = 1\n")


def below(top: Path, *exclude: str) -> list[str]:
    """What is found, relative to the folder."""
    return named(projects_below(top, GIT, exclude=exclude), top)


def named(found: tuple[Project | UnreadableProject, ...], top: Path) -> list[str]:
    """Projects by their root, manifests that cannot be read by their path."""
    roots = (one.root if isinstance(one, Project) else one.path for one in found)
    return [root.relative_to(top).as_posix() for root in roots]


@pytest.fixture(params=["git", "no git"])
def top(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """A folder that is a repository, and one that is not: the answers are the same."""
    folder = tmp_path / "mono répo"
    folder.mkdir()
    if request.param == "git":
        checkout.git(folder, "init", "--quiet")
    return folder


def test_every_locked_project_is_found_once_by_its_root(top: Path) -> None:
    """
    A workspace is one project, its own; a project inside that it does not list is another one.
    """
    plant(top, "services/api", "modèles/b c")
    plant(top, "ws", manifest='[tool.uv.workspace]\nmembers = ["packages/*"]\n')
    (top / "ws" / "packages" / "one").mkdir(parents=True)
    (top / "ws" / "packages" / "one" / "pyproject.toml").write_text(PROJECT)
    plant(top, "ws/apart")

    found = below(top)

    assert ["modèles/b c", "services/api", "ws", "ws/apart"] == found


def test_the_folder_s_own_project_comes_first_and_needs_no_lock(top: Path) -> None:
    """
    Who names a folder means it, locked or not; a project below counts if it has a lock or says that uv manages it.
    """
    (top / "pyproject.toml").write_text(PROJECT)
    plant(top, "a")
    for name, more in (("poetry", "[tool.poetry]\n"), ("ours", "[tool.uv]\n"), ("not", "[tool.uv]\nmanaged = false\n")):
        (top / name).mkdir()
        (top / name / "pyproject.toml").write_text(PROJECT + more)

    found = below(top)

    assert [".", "a", "ours"] == found


def test_copies_environments_and_what_is_excluded_are_not_entered(top: Path) -> None:
    """
    Other people's projects are not asked, nor those that the caller leaves out.
    """
    plant(top, "mine", "node_modules/x", "env/lib/site-packages/y", "src/_vendor/z", "third_party/w", "old/deep/v")

    found = below(top, "old")

    assert ["mine"] == found


def test_what_git_ignores_is_not_entered(tmp_path: Path) -> None:
    """
    A build folder that git ignores holds copies; a lock that is not committed yet is one all the same.
    """
    checkout.git(tmp_path, "init", "--quiet")
    (tmp_path / ".gitignore").write_text("build/\n")
    plant(tmp_path, "build/copy", "new")

    found = below(tmp_path)

    assert ["new"] == found


def test_a_link_that_leads_round_in_a_circle_ends(top: Path) -> None:
    """
    Links to folders are not followed.
    """
    plant(top, "a")
    (top / "a" / "again").symlink_to(top)

    found = below(top)

    assert ["a"] == found


def test_a_manifest_that_cannot_be_read_is_found_if_it_has_a_lock(top: Path) -> None:
    """
    A template is no TOML on purpose; beside a lock it is a mistake.
    """
    plant(top, "broken", manifest="[project\n")
    (top / "template").mkdir()
    (top / "template" / "pyproject.toml").write_text("{{ name }}\n")

    found = below(top)

    assert ["broken/pyproject.toml"] == found


def test_changed_files_lead_to_their_projects(top: Path) -> None:
    """
    A member's manifest leads to its workspace, a file outside any project nowhere, a vendored one nowhere.
    """
    plant(top, "ws", manifest='[tool.uv.workspace]\nmembers = ["packages/*"]\n')
    plant(top, "vendor/x", "a")
    (top / "ws" / "packages" / "one").mkdir(parents=True)
    (top / "ws" / "packages" / "one" / "pyproject.toml").write_text(PROJECT)
    names = ("ws/packages/one/pyproject.toml", "ws/uv.lock", "vendor/x/uv.lock", "README.md", "a/deep/er/file.py")

    found = projects_of([top / name for name in names], top)

    assert ["ws", "a"] == named(found, top)


def test_a_checkout_below_a_folder_called_vendor_is_still_ours(tmp_path: Path) -> None:
    """
    Only names inside the checkout count.
    """
    top = tmp_path / "vendor" / "repo"
    plant(top, "a")

    found = projects_of([top / "a" / "uv.lock"], top)

    assert (["a"], ["a"]) == (named(found, top), below(top))


def test_a_manifest_that_only_configures_other_tools_is_no_project(top: Path) -> None:
    """
    Not where it is asked for either: neither by its folder nor as a changed file.
    """
    (top / "pyproject.toml").write_text("[tool.ruff]\nline-length = 100\n")
    plant(top, "svc/a")

    found = named(projects_of([top / "pyproject.toml", top / "svc/a/pyproject.toml"], top), top)

    assert (["svc/a"], ["svc/a"]) == (below(top), found)


def test_the_folder_s_own_project_that_uv_does_not_manage_is_left_out(top: Path) -> None:
    """
    `managed = false` is said of it as of any other.
    """
    (top / "pyproject.toml").write_text(f"{PROJECT}[tool.uv]\nmanaged = false\n")
    plant(top, "svc/a")

    assert ["svc/a"] == below(top)
