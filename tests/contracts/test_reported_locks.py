"""What others reported of uv's locks, hooks and lists, as small inputs: "Tried from outside" in docs/tested.md."""

import subprocess
from pathlib import Path

import pytest
from mlflow_uv_hooks.hook import main

from tests import checkout, exports, projects
from tests.contracts.lock_checks import carry_out, check

MEMBERS = '[tool.uv.workspace]\nmembers = ["packages/*"]\n'


@pytest.fixture
def wheels(tmp_path: Path) -> Path:
    """Packages."""
    for version in ("1.0", "2.0"):
        projects.wheel(tmp_path / "wheels", "grape", version)
    projects.wheel(tmp_path / "wheels", "yeast", "1.0")
    return tmp_path / "wheels"


@pytest.fixture
def workspace(tmp_path: Path, wheels: Path) -> Path:
    """A workspace of two members in a repository, locked and committed."""
    root = projects.project(tmp_path / "repo", name="cellar", more=MEMBERS, wheels=wheels)
    for name in ("barrel", "cork"):
        projects.project(root / "packages" / name, name=name)
    projects.lock(root)
    checkout.repository(root)
    return root


@pytest.mark.parametrize("switch", [None, "UV_FROZEN", "UV_LOCKED"])
def test_a_member_s_manifest_wakes_the_hook_whatever_the_job_sets(
    workspace: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], switch: str | None
) -> None:
    """
    A requirement of a member makes the root's lock stale, also where a job sets a switch that lets uv pass it.
    """
    projects.depend_on(workspace / "packages" / "cork", "grape")
    monkeypatch.chdir(workspace)
    if switch:
        monkeypatch.setenv(switch, "1")

    code = main(["check-lock", "packages/cork/pyproject.toml"])

    output = capsys.readouterr().err
    assert (1, True) == (code, "packages/cork/pyproject.toml:5: error: `grape` in [project] dep" in output), output


def test_a_folder_that_a_removed_member_left_behind_is_named(workspace: Path) -> None:
    """
    A cache keeps it alive, the glob matches it, and uv ends: what is left is removed, or excluded.
    """
    member = workspace / "packages" / "cork"
    (member / "pyproject.toml").unlink()
    checkout.commit(workspace)
    (member / ".mypy_cache").mkdir()
    (member / ".mypy_cache" / "x.json").write_text("{}")

    answer = check(workspace)

    assert ("unreadable", "lock-member") == (answer.verdict, answer.error.rule)
    assert "`packages/cork` matches `packages/*`, but is not a project" == answer.error.what
    assert 'remove the folder, or add `exclude = ["packages/cork"]` to [tool.uv.workspace]' == answer.error.fix
    manifest = workspace / "pyproject.toml"
    manifest.write_text(manifest.read_text().replace(MEMBERS, f'{MEMBERS}exclude = ["packages/cork"]\n'))
    projects.lock(workspace)
    assert "fresh" == check(workspace).verdict


def test_keys_that_a_merge_wrote_twice_are_mended_from_history(workspace: Path) -> None:
    """
    Git saw no conflict, and the lock is no TOML any more; the commit before has it whole.
    """
    lock = workspace / "uv.lock"
    whole = lock.read_bytes()
    lock.write_bytes(
        whole.replace(b'name = "cork"\nversion = "0.1.0"\n', b'name = "cork"\n' + b'version = "0.1.0"\n' * 2)
    )
    assert whole != lock.read_bytes()
    checkout.commit(workspace)
    answer = check(workspace)

    carry_out(answer.error.fix, workspace)

    assert ("unreadable", whole) == (answer.verdict, lock.read_bytes())
    assert "fresh" == check(workspace).verdict


def test_a_conflict_of_a_rebase_is_mended_where_it_stands(tmp_path: Path, wheels: Path) -> None:
    """
    uv lock does not read such a lock; the command that we name works in the middle of the rebase, which then goes on.
    """
    wine = projects.project(tmp_path / "repo", "grape==1.0", wheels=wheels)
    projects.lock(wine)
    checkout.repository(wine)
    checkout.git(wine, "checkout", "--quiet", "-b", "mine")
    lock = wine / "uv.lock"
    projects.depend_on(wine, "grape==2.0")
    projects.lock(wine)
    checkout.commit(wine)
    checkout.git(wine, "checkout", "--quiet", "main")
    manifest = wine / "pyproject.toml"
    manifest.write_text(f'{manifest.read_text()}\n[dependency-groups]\ndev = ["yeast"]\n')
    projects.lock(wine)
    checkout.commit(wine)
    checkout.git(wine, "checkout", "--quiet", "mine")
    subprocess.run(["git", *checkout.IDENTITY, "rebase", "main"], cwd=wine, capture_output=True, check=False)
    assert ("<<<<<<<" in lock.read_text(), "<<<<<<<" in manifest.read_text()) == (True, False)
    answer = check(wine)

    carry_out(f"{answer.error.fix} && GIT_EDITOR=true git rebase --continue", wine)

    assert ("unreadable", "lock-conflict") == (answer.verdict, answer.error.rule)
    assert ("fresh", "mine") == (check(wine).verdict, checkout.git(wine, "branch", "--show-current"))


BACKEND = """\
import pathlib
def prepare_metadata_for_build_wheel(folder, settings=None):
    info = pathlib.Path(folder, "wine-1.dist-info")
    info.mkdir()
    version = pathlib.Path("version").read_text()
    (info / "METADATA").write_text(f"Metadata-Version: 2.2\\nName: wine\\nVersion: {version}\\n")
    return info.name
prepare_metadata_for_build_editable = prepare_metadata_for_build_wheel
"""


def test_a_version_that_every_commit_changes_makes_no_lock_stale(tmp_path: Path, wheels: Path) -> None:
    """
    As those that a build backend takes from git's history.
    """
    built = '[build-system]\nrequires = []\nbuild-backend = "backend"\nbackend-path = ["."]\n'
    wine = projects.project(tmp_path / "wine", wheels=wheels, more=built)
    manifest = wine / "pyproject.toml"
    manifest.write_text(manifest.read_text().replace('version = "0.1.0"', 'dynamic = ["version"]'))
    (wine / "backend.py").write_text(BACKEND)
    (wine / "version").write_text("0.1.dev3")
    projects.lock(wine)
    (wine / "version").write_text("0.1.dev5")
    manifest.touch()

    assert "fresh" == check(wine).verdict


def test_members_that_exclude_each_other_have_lists_of_their_own(tmp_path: Path, wheels: Path) -> None:
    """
    Each with its own version, and not an empty list.
    """
    more = '[tool.uv]\nconflicts = [[{ package = "old" }, { package = "new" }]]\n[tool.uv.workspace]\nmembers = ["*"]\n'
    root = projects.project(tmp_path / "repo", name="cellar", wheels=wheels, more=more)
    for name, version in (("old", "1.0"), ("new", "2.0")):
        projects.project(root / name, f"grape=={version}", name=name)
    projects.lock(root)

    lists = [exports.exported(root, package=name).result for name in ("old", "new")]

    assert [["grape==1.0"], ["grape==2.0"]] == [
        [line for line in str(text).splitlines() if not line.startswith("-")] for text in lists
    ]


def test_an_edge_that_could_mean_two_packages_is_a_lock_that_uv_cannot_read(workspace: Path) -> None:
    """
    Written by another tool: what git has is brought back.
    """
    projects.depend_on(workspace / "packages" / "cork", "grape")
    lock = projects.lock(workspace)
    checkout.commit(workspace)
    whole = lock.read_bytes()
    twin = '\n[[package]]\nname = "grape"\nversion = "2.0"\nsource = { registry = "https://x.example/simple" }\n'
    lock.write_text(lock.read_text() + twin)
    answer = check(workspace)

    carry_out(answer.error.fix, workspace)

    assert ("unreadable", True) == (answer.verdict, "missing `source` field" in answer.error.why)
    assert ("fresh", whole) == (check(workspace).verdict, lock.read_bytes())


def test_a_pylock_of_nothing_has_the_key_that_pip_asks_for(tmp_path: Path, wheels: Path) -> None:
    """
    PEP 751 wants `packages` also where there are none.
    """
    wine = projects.project(tmp_path / "wine", wheels=wheels)
    projects.lock(wine)

    exports.exported(wine, pylock_file=Path("pylock.toml"))

    assert "\npackages = []\n" in (wine / "pylock.toml").read_text()
