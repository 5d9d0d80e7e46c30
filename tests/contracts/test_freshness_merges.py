"""The fix for a lock with conflict markers works at every stage of a merge; real git and uv."""

import subprocess
from pathlib import Path

import pytest

from tests import checkout, projects
from tests.contracts.lock_checks import carry_out, check


def merge(folder: Path, branch: str = "theirs") -> None:
    """Merge a branch, which conflicts."""
    done = subprocess.run(
        ["git", *checkout.IDENTITY, "merge", branch], cwd=folder, capture_output=True, text=True, check=False
    )
    assert "CONFLICT" in done.stdout, done.stdout + done.stderr


def settle_manifest(wine: Path) -> None:
    """Resolve the manifest by hand, as everybody must: both sides' requirements."""
    manifest = wine / "pyproject.toml"
    lines = [line for line in manifest.read_text().splitlines() if line[:7] not in ("<<<<<<<", "=======", ">>>>>>>")]
    kept = [line for line in lines if not line.startswith("dependencies = ")]
    at = next(position for position, line in enumerate(kept) if line.startswith("requires-python"))
    kept.insert(at + 1, 'dependencies = ["cork", "grape", "yeast"]')
    manifest.write_text("\n".join(kept) + "\n")


@pytest.fixture
def conflicted(tmp_path: Path) -> tuple[Path, Path]:
    """A repository and a project in it, in the middle of a merge whose lock conflicts; the manifest is settled."""
    top = tmp_path / "repo"
    wine = top / "models" / "my wine"
    for name in ("cork", "grape", "yeast"):
        projects.wheel(top / "wheels", name, "1.0")
    projects.lock(projects.project(wine, "grape", wheels=top / "wheels"))
    checkout.repository(top)
    checkout.git(top, "checkout", "--quiet", "-b", "theirs")
    projects.depend_on(wine, "grape", "yeast")
    projects.lock(wine)
    checkout.commit(top)
    checkout.git(top, "checkout", "--quiet", "main")
    projects.depend_on(wine, "cork", "grape")
    projects.lock(wine)
    checkout.commit(top)
    merge(top)
    settle_manifest(wine)
    assert "<<<<<<<" in (wine / "uv.lock").read_text()
    return top, wine


def unmerged(top: Path) -> None:
    """Nothing of the merge was added yet."""
    checkout.git(top, "add", "--", ":(glob)**/pyproject.toml")


def added(top: Path) -> None:
    """Everything was added with its markers."""
    checkout.git(top, "add", "--all")


def committed(top: Path) -> None:
    """The merge was committed with its markers."""
    checkout.commit(top)


def built_upon(top: Path) -> None:
    """And further commits came after it, one of which touched the lock."""
    checkout.commit(top)
    (lock,) = top.rglob("uv.lock")
    lock.write_text(lock.read_text() + "\n")
    checkout.commit(top)
    (top / "README.md").write_text("wine\n")
    checkout.commit(top)


def forgotten(top: Path) -> None:
    """No history has a lock that can be read."""
    subprocess.run(["rm", "-rf", top / ".git"], check=True)


STATES = [(unmerged, "--ours"), (added, "HEAD"), (committed, ""), (built_upon, ""), (forgotten, "rm -f")]


@pytest.mark.parametrize(("state", "word"), STATES)
def test_the_fix_for_a_conflict_mends_it_where_it_is_printed(conflicted: tuple[Path, Path], state, word: str) -> None:
    """
    Before the conflict was committed and after: the command works there, and the lock is fresh with both sides in it.
    """
    top, wine = conflicted
    state(top)
    answer = check(top)

    carry_out(answer.error.fix, top)

    assert ("unreadable", "lock-conflict", True) == (answer.verdict, answer.error.rule, word in answer.error.fix)
    assert "fresh" == check(top).verdict
    assert {"cork", "grape", "yeast"} <= set((wine / "uv.lock").read_text().split('"'))
    if state is unmerged:
        assert "" == checkout.git(top, "ls-files", "--unmerged")


def test_a_lock_that_only_theirs_has_is_taken_from_there(tmp_path: Path) -> None:
    """
    We deleted it and they changed it: git leaves theirs in place, which needs no more than `uv lock`.
    """
    for name in ("grape", "yeast"):
        projects.wheel(tmp_path / "wheels", name, "1.0")
    wine = projects.project(tmp_path, "grape", wheels=tmp_path / "wheels")
    projects.lock(wine)
    checkout.repository(wine)
    checkout.git(wine, "checkout", "--quiet", "-b", "theirs")
    projects.depend_on(wine, "grape", "yeast")
    projects.lock(wine)
    checkout.commit(wine)
    checkout.git(wine, "checkout", "--quiet", "main")
    (wine / "uv.lock").unlink()
    checkout.commit(wine)
    merge(wine)

    answer = check(wine)

    assert ("fresh", ()) == (answer.verdict, answer.errors)


def test_a_broken_lock_that_git_has_whole_is_brought_back(tmp_path: Path) -> None:
    """
    Somebody's editor broke it: the index has it as it was.
    """
    projects.wheel(tmp_path / "wheels", "grape", "1.0")
    wine = projects.project(tmp_path / "wine", "grape", wheels=tmp_path / "wheels")
    lock = projects.lock(wine)
    whole = lock.read_bytes()
    checkout.repository(tmp_path)
    lock.write_bytes(whole[:60])
    answer = check(tmp_path)

    carry_out(answer.error.fix, tmp_path)

    assert ("unreadable", "git checkout -- wine/uv.lock && uv lock --project wine") == (
        answer.verdict,
        answer.error.fix,
    )
    assert whole == lock.read_bytes()
