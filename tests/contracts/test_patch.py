"""git applies the printed patch, and the lock is fresh afterwards; printing it leaves the checkout unchanged."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from mlflow_uv.command.errors import BadProject, ToolFailed
from mlflow_uv.command.host import Host
from mlflow_uv.core.lock_difference.lock_update import apply_command, suggestions_of, updates_of_patch
from mlflow_uv.ops.lock.patch import patch_of
from mlflow_uv.steps import check_lock
from mlflow_uv.surfaces.terminal import terminal
from mlflow_uv.tools.lock_toolbox import locktools
from mlflow_uv.tools.project.files import read_project
from mlflow_uv.tools.uv.messages import LockState
from mlflow_uv.tools.uv.uv import LockRequest
from tests import projects
from tests.checkout import commit, git, repository

QUESTION = LockRequest(respect_env=False, offline=True)


@pytest.fixture
def wheels(tmp_path: Path) -> Path:
    """Packages, outside every repository."""
    for name in ("grape", "yeast", "cork"):
        projects.wheel(tmp_path / "wheels", name, "1.0")
    return tmp_path / "wheels"


@pytest.fixture
def repo(tmp_path: Path, wheels: Path) -> Path:
    """A repository with a locked project in a folder whose name is not easy, data beside it, and a link."""
    top = tmp_path / "the repo é"
    folder = projects.project(top / "ümläut and space" / "wine", "grape", wheels=wheels)
    projects.lock(folder)
    (folder / "data.bin").write_bytes(b"x" * 2_000_000)
    (folder / "link").symlink_to("pyproject.toml")
    (top / ".gitignore").write_text("ignored\n")
    (top / "ignored").write_text("secret")
    repository(top)
    return folder


def patched(folder: Path, target: Path) -> bool:
    """Whether a patch was written."""
    host = Host.of(os.environ, folder=folder, python=Path(sys.executable))
    with locktools(host, console=terminal()) as tools:
        patch = patch_of(read_project(folder), tools, QUESTION)
    if patch:
        target.write_bytes(patch)
    return bool(patch)


def fresh(folder: Path) -> bool:
    """Whether uv calls the lock fresh."""
    done = subprocess.run(["uv", "lock", "--check", "--offline"], cwd=folder, capture_output=True, check=False)
    return done.returncode == 0


def everything(folder: Path) -> dict[Path, tuple[bytes, int]]:
    """Every file, with its bytes and when it was written."""
    return {
        path: (path.read_bytes(), path.stat().st_mtime_ns)
        for path in folder.rglob("*")
        if path.is_file() and not path.is_symlink()
    }


def test_a_stale_lock_becomes_fresh_by_its_patch(repo: Path, tmp_path: Path) -> None:
    """
    Nothing in the checkout changes until git applies it, in the root of the repository.
    """
    top = repo.parents[1]
    projects.depend_on(repo, "grape", "cork")
    before = everything(top)

    written = patched(repo, tmp_path / "lock.patch")

    untouched = before == everything(top)
    git(top, "apply", str(tmp_path / "lock.patch"))
    assert (True, True, True) == (written, untouched, fresh(repo))


def test_one_patch_makes_every_lock_of_a_monorepo_fresh(repo: Path, wheels: Path, tmp_path: Path) -> None:
    """
    One that is stale, one that is missing and one that is fresh: the step writes one file for all of them.
    """
    top = repo.parents[1]
    for name in ("b", "c"):
        projects.lock(projects.project(top / name, "grape", name=name, wheels=wheels))
    projects.depend_on(repo, "grape", "cork")
    (top / "b" / "uv.lock").unlink()
    host = Host.of(os.environ, folder=top, python=Path(sys.executable))

    with locktools(host, console=terminal()) as tools:
        report = check_lock.run(check_lock.Inputs(project=top, patch=tmp_path / "locks.patch"), tools)

    git(top, "apply", str(tmp_path / "locks.patch"))
    verdicts = [one.verdict for one in report.outputs.projects.include]
    assert [LockState.MISSING, LockState.FRESH, LockState.STALE] == verdicts
    assert [True, True, True] == [fresh(one) for one in (top / "b", top / "c", repo)]


def test_what_is_not_committed_counts(repo: Path, tmp_path: Path) -> None:
    """
    A member that git does not know yet is part of the workspace; an ignored file is not.
    """
    top = repo.parents[1]
    with (repo / "pyproject.toml").open("a") as file:
        file.write('[tool.uv.workspace]\nmembers = ["new *"]\n')
    projects.project(repo / "new one", "yeast", name="core")

    patched(repo / "new one", tmp_path / "lock.patch")

    git(top, "apply", str(tmp_path / "lock.patch"))
    assert ("yeast" in (repo / "uv.lock").read_text(), True) == (True, fresh(repo))


def test_a_missing_lock_is_a_new_file(repo: Path, tmp_path: Path) -> None:
    """
    The patch creates it.
    """
    (repo / "uv.lock").unlink()
    commit(repo)

    patched(repo, tmp_path / "lock.patch")

    git(repo.parents[1], "apply", str(tmp_path / "lock.patch"))
    assert fresh(repo)


def test_a_fresh_lock_has_no_patch(repo: Path, tmp_path: Path) -> None:
    """
    Nothing differs, and no file is written.
    """
    written = patched(repo, tmp_path / "lock.patch")

    assert (False, False) == (written, (tmp_path / "lock.patch").exists())


def test_outside_a_repository_the_patch_is_for_the_folder_of_the_lock(tmp_path: Path, wheels: Path) -> None:
    """
    git applies it there too; an environment beside the project is not copied.
    """
    folder = projects.project(tmp_path / "plain", "grape", wheels=wheels)
    projects.lock(folder)
    (folder / "env").mkdir()
    (folder / "env" / "pyvenv.cfg").touch()
    projects.depend_on(folder, "cork")

    patched(folder, tmp_path / "lock.patch")

    git(folder, "apply", str(tmp_path / "lock.patch"))
    assert fresh(folder)


def test_an_index_that_is_a_folder_is_recorded_by_its_own_place(repo: Path, tmp_path: Path, wheels: Path) -> None:
    """
    uv writes it down as a whole where a source names it: not the place of the copy.
    """
    with (repo / "pyproject.toml").open("a") as file:
        file.write('[tool.uv.sources]\ngrape = { index = "more" }\n')
        file.write(f'[[tool.uv.index]]\nname = "more"\nurl = "{os.path.relpath(wheels, repo)}"\nformat = "flat"\n')

    patched(repo, tmp_path / "lock.patch")

    git(repo.parents[1], "apply", str(tmp_path / "lock.patch"))
    assert fresh(repo)


def test_a_path_outside_the_repository_is_refused(repo: Path, tmp_path: Path) -> None:
    """
    It is named, and why; the checkout stays as it is.
    """
    projects.project(tmp_path / "outside", name="barrel")
    projects.depend_on(repo, "barrel")
    with (repo / "pyproject.toml").open("a") as file:
        file.write(f'[tool.uv.sources]\nbarrel = {{ path = "{os.path.relpath(tmp_path / "outside", repo)}" }}\n')

    with pytest.raises(BadProject, match=r"`barrel` comes from .* outside the repository"):
        patched(repo, tmp_path / "lock.patch")


def test_what_cannot_be_locked_is_said_as_uv_says_it(repo: Path, tmp_path: Path) -> None:
    """
    Requirements without a solution have no patch.
    """
    projects.depend_on(repo, "grape>9")

    with pytest.raises(ToolFailed, match="No solution found"):
        patched(repo, tmp_path / "lock.patch")


def test_a_submodule_is_copied_as_it_lies_there(repo: Path, tmp_path: Path) -> None:
    """
    A member in a repository of its own.
    """
    module = projects.project(tmp_path / "module", "yeast", name="module")
    repository(module)
    top = repo.parents[1]
    git(
        top, "-c", "protocol.file.allow=always", "submodule", "--quiet", "add", str(module), "ümläut and space/wine/sub"
    )
    with (repo / "pyproject.toml").open("a") as file:
        file.write('[tool.uv.workspace]\nmembers = ["sub"]\n')

    patched(repo, tmp_path / "lock.patch")

    git(top, "apply", str(tmp_path / "lock.patch"))
    assert ("yeast" in (repo / "uv.lock").read_text(), True) == (True, fresh(repo))


def test_a_stale_lock_becomes_fresh_by_its_suggestions(repo: Path, tmp_path: Path) -> None:
    """
    What the comment on a pull request offers is what uv writes: the patch to paste, and the suggestions together.
    """
    top = repo.parents[1]
    projects.depend_on(repo, "grape", "cork", "yeast")
    patched(repo, tmp_path / "lock.patch")
    (update,) = updates_of_patch((tmp_path / "lock.patch").read_bytes())
    before = (repo / "uv.lock").read_text()

    lines = before.split("\n")
    for suggestion in reversed(suggestions_of(update)):
        lines[suggestion.first_line - 1 : suggestion.last_line] = suggestion.lines
    subprocess.run(["sh", "-e", "-c", apply_command(update)], cwd=top, check=True)

    assert (True, (repo / "uv.lock").read_text()) == (fresh(repo), "\n".join(lines))
    assert before != (repo / "uv.lock").read_text()


def test_a_patch_that_cannot_be_made_is_a_warning(repo: Path, tmp_path: Path) -> None:
    """
    The step says that the lock is stale, and why it has no patch.
    """
    projects.project(tmp_path / "outside", name="barrel")
    projects.depend_on(repo, "barrel")
    with (repo / "pyproject.toml").open("a") as file:
        file.write(f'[tool.uv.sources]\nbarrel = {{ path = "{os.path.relpath(tmp_path / "outside", repo)}" }}\n')
    host = Host.of(os.environ, folder=repo, python=Path(sys.executable))

    with locktools(host, console=terminal()) as tools:
        report = check_lock.run(check_lock.Inputs(project=repo, patch=tmp_path / "lock.patch"), tools)

    warnings = [finding for finding in report.findings if finding.rule == "lock-patch"]
    assert (LockState.STALE, None, ["warning"], True) == (
        report.outputs.verdict,
        report.outputs.patch,
        [finding.severity.value for finding in warnings],
        "outside the repository" in warnings[0].why,
    )
