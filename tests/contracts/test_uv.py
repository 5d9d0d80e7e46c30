"""Assumptions about uv's output, checked with real uv. No network: the packages are wheels beside the projects."""

import os
import shlex
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import pytest

from mlflow_uv.command.errors import BadInput, ToolFailed, ToolMissing
from mlflow_uv.core.freshness.causes import Cause
from mlflow_uv.core.lock.selection import Selection
from mlflow_uv.tools.project.files import members, read_project
from mlflow_uv.tools.system.process import SystemRunner
from mlflow_uv.tools.uv.messages import LockState
from mlflow_uv.tools.uv.uv import LockRequest, Uv
from tests import projects

PROGRAM = Path(sys.executable).parent / "uv"
ASKED = LockRequest(respect_env=False, offline=True)


def uv(
    more: Mapping[str, str] | None = None, *, asked: Path | None = PROGRAM, own: Path | None = None, **variables: str
) -> Uv:
    """Real uv, on behalf of a caller with these variables, without a network."""
    caller = {**os.environ, "UV_OFFLINE": "1", **variables, **(more or {})}
    return Uv(SystemRunner(), variables=caller, named=asked, own=own)


@pytest.fixture
def wheels(tmp_path: Path) -> Path:
    """Packages beside the projects."""
    folder = tmp_path / "wheels"
    projects.wheel(folder, "grape", "1.0", ("yeast",))
    projects.wheel(folder, "grape", "1.1", ("yeast",))
    projects.wheel(folder, "yeast", "2.0")
    projects.wheel(folder, "cork", "3.0")
    return folder


EXTRAS = '[project.optional-dependencies]\nserve = ["cork"]\n[dependency-groups]\ndev = ["cork"]\ntrain = ["cork"]\n'


@pytest.fixture
def wine(tmp_path: Path, wheels: Path) -> Path:
    """A locked project with an extra and groups."""
    folder = projects.project(tmp_path / "wine", "grape==1.0", wheels=wheels, more=EXTRAS)
    projects.lock(folder)
    return folder


# the state of a lock


def test_a_fresh_lock_is_fresh(wine: Path) -> None:
    """
    A lock that nobody touched since it was written.
    """
    verdict = uv().lock_state(read_project(wine), ASKED)

    assert LockState.FRESH is verdict.state


@pytest.mark.parametrize(
    "made_fresh_again",
    [lambda text: text.replace("\n", "\r\n"), lambda text: text + "\n# a comment\n", lambda text: text],
    ids=["CRLF", "comment", "same"],
)
def test_what_does_not_change_a_resolution_does_not_make_a_lock_stale(wine: Path, made_fresh_again) -> None:
    """
    Line ends and comments of the manifest are not requirements.
    """
    manifest = wine / "pyproject.toml"
    manifest.write_bytes(made_fresh_again(manifest.read_text()).encode())

    verdict = uv().lock_state(read_project(wine), ASKED)

    assert LockState.FRESH is verdict.state


def test_a_stale_lock_is_stale_and_what_would_change_is_known(wine: Path) -> None:
    """
    The state, the file it is about, and uv's own list of changes.
    """
    projects.depend_on(wine, "grape==1.1", "cork")
    project = read_project(wine)

    verdict = uv().lock_state(project, ASKED)
    changes = uv().lock_state(project, replace(ASKED, changes=True)).changes

    assert (LockState.STALE, "uv.lock") == (verdict.state, verdict.file)
    assert ("Update grape v1.0 -> v1.1",) == changes


def test_asking_what_would_change_changes_nothing(wine: Path) -> None:
    """
    A request about the lock leaves the lock and the folder as they are.
    """
    projects.depend_on(wine, "yeast")
    before = {path: path.read_bytes() for path in wine.rglob("*") if path.is_file()}

    uv().lock_state(read_project(wine), ASKED)
    uv().lock_state(read_project(wine), replace(ASKED, changes=True))

    assert before == {path: path.read_bytes() for path in wine.rglob("*") if path.is_file()}


def test_a_missing_lock_is_missing(tmp_path: Path) -> None:
    """
    Nobody has locked yet: that is not a stale lock.
    """
    project = read_project(projects.project(tmp_path / "wine"))

    verdict = uv().lock_state(project, ASKED)

    assert (LockState.MISSING, "uv.lock") == (verdict.state, verdict.file)


def test_requirements_without_a_solution_are_said_to_be_so(wine: Path) -> None:
    """
    Two requirements that exclude each other are no stale lock: `uv lock` would not mend them.
    """
    projects.depend_on(wine, "grape==1.0", "grape==1.1")

    verdict = uv().lock_state(read_project(wine), ASKED)

    assert (LockState.UNSOLVABLE, "pyproject.toml") == (verdict.state, verdict.file)
    assert "grape" in verdict.complaint


@pytest.mark.parametrize(
    ("file", "text", "line"),
    [
        ("uv.lock", "version = 1\n<<<<<<< HEAD\n", 2),
        ("uv.lock", 'version = 1\nrequires-python = ">=3.9"\n[[package]]\nversion = 3\n', 3),
        ("pyproject.toml", '[project]\nname = "wine"\nversion = 3\n', 3),
    ],
    ids=["merge", "not a lock", "not a manifest"],
)
def test_what_cannot_be_parsed_says_in_which_file_and_on_which_line(
    wine: Path, file: str, text: str, line: int
) -> None:
    """
    A merge conflict in a lock, or a manifest that is TOML but no project.
    """
    (wine / file).write_text(text)

    verdict = uv().lock_state(read_project(wine), ASKED)

    assert (LockState.UNREADABLE, file, line) == (verdict.state, verdict.file, verdict.line)


def test_a_package_that_cannot_be_reached_makes_a_lock_unverifiable(tmp_path: Path) -> None:
    """
    Without a network nothing is known of a lock that would have to be resolved: neither stale nor unsolvable.
    """
    folder = projects.project(tmp_path / "wine")
    projects.lock(folder)
    projects.depend_on(folder, "no-such-package-anywhere-of-this-name")

    verdict = uv(UV_CACHE_DIR=str(tmp_path / "cache")).lock_state(read_project(folder), ASKED)

    assert (LockState.UNVERIFIABLE, Cause.NETWORK) == (verdict.state, verdict.cause)


def test_a_lock_that_is_fresh_and_one_that_is_stale_say_so_when_asked_for_changes(wine: Path) -> None:
    """
    What a dry run says is a verdict too, also where no version changes.
    """
    request = replace(ASKED, changes=True)
    fresh = uv().lock_state(read_project(wine), request)
    projects.depend_on(wine, "grape>=1.0,<1.1")

    stale = uv().lock_state(read_project(wine), request)

    assert (LockState.FRESH, LockState.STALE, ()) == (fresh.state, stale.state, stale.changes)


def test_a_uv_without_anything_to_lock_is_believed_too(tmp_path: Path) -> None:
    """
    It says that it resolved, and no number of packages.
    """
    (tmp_path / "pyproject.toml").write_text("[tool.uv.workspace]\nmembers = []\n")
    projects.lock(tmp_path)

    verdict = uv().lock_state(read_project(tmp_path), ASKED)

    assert LockState.FRESH is verdict.state


def test_an_interpreter_that_is_not_here_makes_a_lock_unverifiable(wine: Path) -> None:
    """
    uv wants one before it looks at a lock; any that the project allows will do.
    """
    (wine / ".python-version").write_text("3.99\n")

    without = uv().lock_state(read_project(wine), ASKED)
    given = uv().lock_state(read_project(wine), replace(ASKED, python=Path(sys.executable)))

    assert (LockState.UNVERIFIABLE, Cause.INTERPRETER) == (without.state, without.cause)
    assert LockState.FRESH is given.state


@pytest.mark.parametrize(
    ("data", "cause"), [(b"version = 2\n", Cause.FORMAT), (b"\xff", Cause.UNREADABLE)], ids=["newer", "not text"]
)
def test_a_lock_that_this_uv_cannot_read_is_unreadable(wine: Path, data: bytes, cause: Cause) -> None:
    """
    A format of tomorrow, and what is no text.
    """
    (wine / "uv.lock").write_bytes(data)

    verdict = uv().lock_state(read_project(wine), ASKED)

    assert (LockState.UNREADABLE, cause, "uv.lock") == (verdict.state, verdict.cause, Path(verdict.file).name)


# whose environment


STEERING = {
    "UV_EXCLUDE_NEWER": "2001-01-01T00:00:00Z",
    "UV_RESOLUTION": "lowest",
    "UV_PRERELEASE": "allow",
    "UV_FORK_STRATEGY": "fewest",
    "UV_FROZEN": "1",
    "UV_LOCKED": "1",
    "UV_NO_SYNC": "1",
    "UV_PYTHON": "3.6",
    "UV_PROJECT_ENVIRONMENT": "/no/such/folder",
    "UV_NO_INDEX": "1",
    "UV_NO_SOURCES": "1",
    "UV_NO_CONFIG": "1",
    "UV_PROJECT": "/no/such/folder",
    "UV_WORKING_DIRECTORY": "/no/such/folder",
    "UV_CONSTRAINT": "/no/such/file",
    "UV_OVERRIDE": "/no/such/file",
    "UV_NO_BINARY": "1",
    "UV_ISOLATED": "1",
}


@pytest.mark.core_variants(5)
@pytest.mark.parametrize(("name", "value"), STEERING.items())
def test_the_caller_s_variables_do_not_make_a_fresh_lock_stale(wine: Path, name: str, value: str) -> None:
    """
    What a job sets for its own purposes does not change what the lock is, and is named.
    """
    program = uv({name: value})

    verdict = program.lock_state(read_project(wine), ASKED)

    assert (LockState.FRESH, (name,)) == (verdict.state, program.set_aside(respect_env=False))


@pytest.mark.parametrize("name", ["UV_EXCLUDE_NEWER", "UV_RESOLUTION", "UV_PRERELEASE", "UV_FORK_STRATEGY"])
def test_the_caller_s_variables_would_make_it_stale(wine: Path, name: str) -> None:
    """
    The reason why they are set aside: with `respect-env` the same lock is stale, and uv says by what.
    """
    program = uv({name: STEERING[name]})

    verdict = program.lock_state(read_project(wine), replace(ASKED, respect_env=True))

    assert (LockState.STALE, True) == (verdict.state, bool(verdict.again)), verdict


def test_a_python_environment_of_the_caller_is_left_alone(wine: Path, tmp_path: Path) -> None:
    """
    An active virtual environment is neither asked nor changed, and none is made in the checkout.
    """
    (tmp_path / "venv").mkdir()
    (tmp_path / "venv" / "keep").touch()
    program = uv(VIRTUAL_ENV=str(tmp_path / "venv"), UV_PROJECT_ENVIRONMENT=str(tmp_path / "venv"))

    program.lock_state(read_project(wine), ASKED)
    program.export(read_project(wine), Selection())

    assert [tmp_path / "venv" / "keep"] == list((tmp_path / "venv").iterdir())
    assert not (wine / ".venv").exists()


# export


LOCK_WITH_HASHES = """version = 1
revision = 3
requires-python = ">=3.9"

[[package]]
name = "grape"
version = "1.0"
source = { registry = "https://index.test/simple" }
sdist = { url = "https://index.test/grape-1.0.tar.gz", hash = "sha256:AAA", size = 1 }
wheels = [{ url = "https://index.test/grape-1.0-py3-none-any.whl", hash = "sha256:BBB", size = 1 }]

[[package]]
name = "wine"
version = "0.1.0"
source = { virtual = "." }
dependencies = [{ name = "grape" }]

[package.metadata]
requires-dist = [{ name = "grape" }]
""".replace("AAA", "a" * 64).replace("BBB", "b" * 64)


def test_an_export_is_the_same_every_time(wine: Path) -> None:
    """
    Byte-stable: asked twice, from another folder, under another locale, it is the same text.
    """
    first = uv().export(read_project(wine), Selection(extras=("serve",)))

    second = uv(LC_ALL="C", TZ="Asia/Tokyo").export(read_project(wine), Selection(extras=("serve",)))

    assert "cork==3.0\ngrape==1.0\nyeast==2.0\n" == first.text
    assert (first.text, first.digest) == (second.text, second.digest)


@pytest.mark.parametrize(
    ("selection", "text"),
    [
        (Selection(), "grape==1.0\nyeast==2.0\n"),
        (Selection(extras=("serve",)), "cork==3.0\ngrape==1.0\nyeast==2.0\n"),
        (Selection(groups=("train",)), "cork==3.0\ngrape==1.0\nyeast==2.0\n"),
    ],
)
def test_what_was_not_selected_is_not_exported(wine: Path, selection: Selection, text: str) -> None:
    """
    Extras and groups by name; the default group `dev` is for developers.
    """
    found = uv().export(read_project(wine), selection)

    assert text == found.text


def test_an_export_carries_the_hashes_of_the_lock(tmp_path: Path) -> None:
    """
    For an installer that insists on them; nothing is fetched to know them.
    """
    folder = projects.project(tmp_path / "wine", "grape")
    (folder / "uv.lock").write_text(LOCK_WITH_HASHES)

    found = uv().export(read_project(folder), Selection())

    digests = [f"sha256:{digit * 64}" for digit in "ab"]
    assert ("grape==1.0\n", True, digests) == (found.text, found.hashed, list(found.pins[0].hashes))


@pytest.mark.parametrize(
    "selection", [Selection(extras=("x",)), Selection(groups=("x",)), Selection(package="x")], ids=str
)
def test_a_selection_that_the_lock_does_not_have_is_the_user_s_mistake(wine: Path, selection: Selection) -> None:
    """
    uv says it in three ways; we say that the selection is wrong.
    """
    with pytest.raises(BadInput, match="the selection is not in the lock"):
        uv().export(read_project(wine), selection)


def test_a_local_package_is_set_apart(tmp_path: Path, wheels: Path) -> None:
    """
    A member of the workspace that the project needs is a path, which means nothing elsewhere.
    """
    root = tmp_path / "root"
    sources = '[tool.uv.workspace]\nmembers = ["core"]\n[tool.uv.sources]\ncore = {workspace = true}\n'
    built = '[build-system]\nrequires = []\nbuild-backend = "backend"\n'
    projects.project(root, "core", "yeast", wheels=wheels, more=sources)
    projects.project(root / "core", "cork", name="core", more=built)
    projects.lock(root)

    found = uv().export(read_project(root), Selection())

    assert ("cork==3.0\nyeast==2.0\n", ["./core"]) == (found.text, [local.path for local in found.local])


# workspaces


@pytest.mark.parametrize(
    ("patterns", "exclude", "folder"),
    [
        ('"packages/core"', "", "packages/core"),
        ('"packages/*"', "", "packages/core"),
        ('"./packages/*/"', "", "packages/core"),
        ('"packages/?ore"', "", "packages/core"),
        ('"packages/[ck]ore"', "", "packages/core"),
        ('"packages/**/core"', "", "packages/core"),
        ('"packages/**/core"', "", "packages/a/b/core"),
        ('"packages/**/core"', "", "packages/other"),
        ('"packages/**"', "", "packages"),
        ('"*"', "", "packages/core"),
        ('"Packages/*"', "", "packages/core"),
        ('"packages/*"', '"packages/co*"', "packages/core"),
        ('"packages/*"', '"packages"', "packages/core"),
    ],
)
def test_the_lock_of_a_project_is_where_uv_would_write_it(
    tmp_path: Path, patterns: str, exclude: str, folder: str
) -> None:
    """
    Which folder's uv.lock covers a project is uv's decision, and we read the manifests as it does.
    """
    root = tmp_path / "root"
    projects.project(root, more=f"[tool.uv.workspace]\nmembers = [{patterns}]\nexclude = [{exclude}]\n")
    project = projects.project(root / folder, name="core")

    projects.lock(project) if read_project(project).root == project else _lock_at(project)

    assert [read_project(project).lock] == list(root.rglob("uv.lock"))


def _lock_at(folder: Path) -> None:
    subprocess.run([PROGRAM, "lock", "--offline", "--quiet"], cwd=folder, check=True)


def test_a_project_in_between_ends_the_search(tmp_path: Path) -> None:
    """
    uv looks no further than the nearest project above, workspace or not.
    """
    root = tmp_path / "root"
    projects.project(root, more='[tool.uv.workspace]\nmembers = ["a/b"]\n')
    projects.project(root / "a", name="a")
    project = projects.project(root / "a" / "b", name="b")

    _lock_at(project)

    assert [read_project(project).lock] == list(root.rglob("uv.lock"))


def test_a_member_is_asked_of_the_lock_of_its_root(tmp_path: Path, wheels: Path) -> None:
    """
    A member whose requirements changed makes the root's lock stale, asked from either folder.
    """
    root = tmp_path / "root"
    projects.project(root, wheels=wheels, more='[tool.uv.workspace]\nmembers = ["packages/*"]\n')
    member = projects.project(root / "packages" / "core", "yeast", name="core")
    projects.lock(root)
    fresh = uv().lock_state(read_project(member), ASKED).state
    projects.depend_on(member, "cork")

    stale = {uv().lock_state(read_project(folder), ASKED).state for folder in (root, member)}

    assert (LockState.FRESH, {LockState.STALE}) == (fresh, stale)
    assert [member] == [one.folder for one in members(read_project(root))]


def test_a_member_is_exported_alone(tmp_path: Path, wheels: Path) -> None:
    """
    What is served is the member, not everything its workspace locks.
    """
    root = tmp_path / "root"
    projects.project(root, "grape==1.0", wheels=wheels, more='[tool.uv.workspace]\nmembers = ["core"]\n')
    member = projects.project(root / "core", "cork", name="core")
    projects.lock(root)

    found = uv().export(read_project(member), Selection())

    assert "cork==3.0\n" == found.text


# which uv


def another_uv(folder: Path, version: str) -> Path:
    """A program that says it is another version of uv, and is not asked anything else."""
    folder.mkdir()
    program = folder / "uv"
    program.write_text(f'#!/bin/sh\n[ "$1" = --version ] && echo "uv {version}"\n')
    program.chmod(0o755)
    return program


def test_uv_tells_its_version() -> None:
    """
    The words before the version are the ones we skip.
    """
    found = uv().version(str(PROGRAM))

    assert found is not None
    assert found[0].isdigit()


def test_the_uv_on_path_is_used_if_the_project_accepts_it(wine: Path, tmp_path: Path) -> None:
    """
    `required-version` decides between the caller's uv and ours.
    """
    old = another_uv(tmp_path / "old", "0.1.0")
    caller = uv(asked=None, own=PROGRAM, PATH=f"{old.parent}{os.pathsep}{os.environ['PATH']}")
    with (wine / "pyproject.toml").open("a") as file:
        file.write('[tool.uv]\nrequired-version = ">=0.9"\n')

    found = caller.program(read_project(wine))
    verdict = caller.lock_state(read_project(wine), ASKED)

    assert (str(PROGRAM), LockState.FRESH) == (found, verdict.state)


def test_uv_toml_goes_before_the_manifest(wine: Path) -> None:
    """
    uv ignores `[tool.uv]` where there is a uv.toml: a range there that nobody satisfies is refused by us as by uv.
    """
    (wine / "uv.toml").write_text('required-version = "==0.0.1"\n')

    with pytest.raises(ToolMissing, match=r"requires ==0\.0\.1"):
        uv().program(read_project(wine))
    refused = subprocess.run([PROGRAM, "lock", "--check"], cwd=wine, capture_output=True, text=True, check=False)

    assert "Required uv version `==0.0.1` does not match" in refused.stderr


# environments


def test_an_environment_is_made_where_we_say(wine: Path, tmp_path: Path) -> None:
    """
    From the lock, in a private folder; the checkout has no `.venv` afterwards.
    """
    python = uv(UV_PROJECT_ENVIRONMENT=str(tmp_path / "theirs")).sync(
        read_project(wine), Selection(), tmp_path / "ours", on_line=lambda _line: None
    )

    done = subprocess.run([python, "-c", "import grape, yeast"], check=False)
    assert (0, False, False) == (done.returncode, (tmp_path / "theirs").exists(), (wine / ".venv").exists())


def test_the_python_of_an_environment_is_known_before_it_is_made(wine: Path, tmp_path: Path) -> None:
    """
    It is the one that `uv sync` takes, whatever `.venv` or variable of the caller says; none where there is none.
    """
    project = read_project(wine)
    subprocess.run((PROGRAM, "venv", "--quiet", wine / ".venv"), check=True)
    (wine / ".venv" / "pyvenv.cfg").write_text("home = /nonexistent\nversion_info = 3.8.0\n")
    asked = uv({"UV_PYTHON": "3.99", "VIRTUAL_ENV": str(wine / ".venv")})

    version = asked.python_of(project)
    python = asked.sync(project, Selection(), tmp_path / "environment", on_line=lambda _line: None)
    (wine / ".python-version").write_text("3.99\n")

    made = subprocess.run(
        (python, "-c", "import platform; print(platform.python_version())"), capture_output=True, check=True
    )
    assert made.stdout.decode().strip() == version
    assert None is uv().python_of(project), "asked again, since another run has its own answers"


def test_a_stale_lock_makes_no_environment(wine: Path, tmp_path: Path) -> None:
    """
    The lock is checked on the way; a lock that is missing or stale can be written by the printed command.
    """
    for spoil in ((wine / "uv.lock").unlink, lambda: projects.depend_on(wine, "cork")):
        spoil()

        with pytest.raises(ToolFailed, match="`uv sync --locked` failed") as raised:
            uv().sync(read_project(wine), Selection(), tmp_path / "ours", on_line=lambda _line: None)

        program, *arguments = shlex.split(str(raised.value.fix))
        assert ("uv", 0) == (program, subprocess.run((PROGRAM, *arguments), check=False).returncode)
        uv().sync(read_project(wine), Selection(), tmp_path / "ours", on_line=lambda _line: None)
