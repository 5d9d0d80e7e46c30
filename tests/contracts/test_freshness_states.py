"""States of a lock that no comparison explains: no network, no Python, variables, files that cannot be read."""

import shutil
import subprocess
import time
from pathlib import Path

import pytest

from mlflow_uv.command.errors import LockNotFresh
from mlflow_uv.command.report import Severity
from mlflow_uv.core.freshness.causes import Cause
from mlflow_uv.ops.lock.freshness import examine, require_fresh
from mlflow_uv.tools.project.files import read_project
from mlflow_uv.tools.uv.messages import LockState
from tests import projects
from tests.indexes import index_of, served

from .lock_examination import examined, tools_in

DEAD = "http://127.0.0.1:9/simple"  # the port that discards: nobody listens


@pytest.fixture
def wheels(tmp_path: Path) -> Path:
    """Packages."""
    for version in ("1.0", "1.1"):
        projects.wheel(tmp_path / "wheels", "grape", version)
    projects.wheel(tmp_path / "wheels", "cork", "3.0")
    return tmp_path / "wheels"


@pytest.fixture
def wine(tmp_path: Path, wheels: Path) -> Path:
    """A locked project."""
    folder = projects.project(tmp_path / "wine", "grape", wheels=wheels)
    projects.lock(folder)
    return folder


@pytest.fixture
def online(tmp_path: Path, wheels: Path):
    """A project locked from an index over HTTP; the folder, the index's URL, and an empty cache."""
    with served(index_of(tmp_path / "index", *wheels.iterdir())) as url:
        folder = projects.project(tmp_path / "online", "grape==1.0")
        with (folder / "pyproject.toml").open("a") as file:
            file.write(f'[[tool.uv.index]]\nname = "served"\nurl = "{url}"\ndefault = true\n')
        subprocess.run(["uv", "lock", "--quiet"], cwd=folder, check=True)
        yield folder, url, {"UV_CACHE_DIR": str(tmp_path / "empty cache")}


# without an answer


def test_a_difference_without_a_network_is_stale(online) -> None:
    """
    uv cannot look at the new requirement; that the lock was not made from it is certain.
    """
    folder, _, cache = online
    projects.depend_on(folder, "grape==1.1")

    found = examined(folder, **cache)

    assert (LockState.STALE, (Cause.REQUIREMENT_CHANGED,), ()) == (found.state, found.causes, found.changes)


def test_with_a_network_it_is_also_known_what_would_change(online) -> None:
    """
    The same, asked where the index answers.
    """
    folder, _, cache = online
    projects.depend_on(folder, "grape==1.1", "cork")

    found = examined(folder, offline=False, **cache)

    changes = ("Add cork v3.0", "Update grape v1.0 -> v1.1")
    assert (LockState.STALE, changes) == (found.state, found.changes)
    assert [Cause.REQUIREMENT_CHANGED, Cause.REQUIREMENT_ADDED] == list(found.causes)


def test_a_network_that_is_not_there_is_not_waited_for(online) -> None:
    """
    What is known without it is told, after a moment.
    """
    folder, url, cache = online
    manifest, lock = folder / "pyproject.toml", folder / "uv.lock"
    for file in (manifest, lock):
        file.write_text(file.read_text().replace(url, DEAD))
    projects.depend_on(folder, "grape==1.1")
    start = time.monotonic()

    found = examined(folder, offline=False, **cache)

    assert (LockState.STALE, (Cause.REQUIREMENT_CHANGED,)) == (found.state, found.causes)
    assert time.monotonic() - start < 60


BACKEND = """\
import pathlib
def prepare_metadata_for_build_wheel(folder, settings=None):
    info = pathlib.Path(folder, "wine-0.1.0.dist-info")
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.2\\nName: wine\\nVersion: 0.1.0\\nRequires-Dist: grape\\n")
    return info.name
prepare_metadata_for_build_editable = prepare_metadata_for_build_wheel
"""
BUILT = '[build-system]\nrequires = []\nbuild-backend = "backend"\nbackend-path = ["."]\n'


def test_what_cannot_be_told_without_a_network_is_not_called_stale(tmp_path: Path, wheels: Path) -> None:
    """
    Only a build tells the requirements, and what it needs is not here: unverifiable, with uv's own words.
    """
    folder = projects.project(tmp_path / "wine", wheels=wheels, more=BUILT)
    manifest = folder / "pyproject.toml"
    manifest.write_text(manifest.read_text().replace("dependencies = []", 'dynamic = ["dependencies"]'))
    (folder / "backend.py").write_text(BACKEND)
    projects.lock(folder)
    manifest.write_text(manifest.read_text().replace("requires = []", 'requires = ["not-here"]'))

    found = examined(folder, UV_CACHE_DIR=str(tmp_path / "empty cache"))

    (finding,) = found.findings
    assert (LockState.UNVERIFIABLE, "lock-network", Severity.ERROR) == (found.state, finding.rule, finding.severity)
    assert ("without a network" in finding.what, "out of date" in finding.text) == (True, False)


def test_what_a_build_tells_is_as_good_as_what_is_written(tmp_path: Path, wheels: Path) -> None:
    """
    uv builds where it must, without a network if what builds needs none.
    """
    folder = projects.project(tmp_path / "wine", wheels=wheels, more=BUILT)
    manifest = folder / "pyproject.toml"
    manifest.write_text(manifest.read_text().replace("dependencies = []", 'dynamic = ["dependencies"]'))
    (folder / "backend.py").write_text(BACKEND)
    projects.lock(folder)
    fresh = examined(folder)
    (folder / "backend.py").write_text(BACKEND.replace("Requires-Dist: grape", "Requires-Dist: cork"))

    stale = examined(folder, UV_CACHE_DIR=str(tmp_path / "empty cache"))

    assert (LockState.FRESH, LockState.STALE) == (fresh.state, stale.state)
    assert ("lock-requirement-changed",) == tuple(one.rule for one in stale.findings)


def test_uv_s_own_switch_is_as_good_as_ours(online) -> None:
    """
    UV_OFFLINE means that nothing is asked over the network.
    """
    folder, _, cache = online
    projects.depend_on(folder, "grape==1.1")

    found = examined(folder, offline=False, UV_OFFLINE="1", **cache)

    assert (LockState.STALE, ()) == (found.state, found.changes)


def test_any_python_that_the_project_allows_will_do(wine: Path) -> None:
    """
    A `.python-version` that is not installed does not keep a fresh lock from being called so.
    """
    (wine / ".python-version").write_text("3.99\n")

    found = examined(wine)

    assert (LockState.FRESH, ()) == (found.state, found.findings)


def test_a_python_that_is_not_here_makes_a_lock_unverifiable(wine: Path) -> None:
    """
    None that the project allows: that is neither fresh nor stale.
    """
    for file, text in (("pyproject.toml", ">=3.9"), ("uv.lock", ">=3.9")):
        (wine / file).write_text((wine / file).read_text().replace(text, ">=3.99"))

    found = examined(wine)

    (finding,) = found.findings
    assert (LockState.UNVERIFIABLE, "lock-interpreter") == (found.state, finding.rule)


def test_without_a_python_a_difference_is_still_one(wine: Path) -> None:
    """
    What the files say does not need an interpreter.
    """
    projects.depend_on(wine, "grape", "cork")
    (wine / "pyproject.toml").write_text((wine / "pyproject.toml").read_text().replace(">=3.9", ">=3.99"))

    found = examined(wine)

    assert LockState.STALE is found.state
    assert (Cause.REQUIRES_PYTHON, Cause.REQUIREMENT_ADDED) == found.causes


def test_a_missing_lock_is_missing(wine: Path) -> None:
    """
    On the place where it would be, with the command that makes it.
    """
    (wine / "uv.lock").unlink()

    found = examined(wine)

    (finding,) = found.findings
    assert (LockState.MISSING, "lock-missing", wine / "pyproject.toml") == (found.state, finding.rule, finding.path)
    assert (finding.fix, found.lock_sha256) == ("uv lock", "")


def test_a_missing_lock_that_uv_cannot_write_says_what_to_change(wine: Path) -> None:
    """
    `uv lock` alone would fail; it succeeds once the requirement is changed, as the fix says.
    """
    (wine / "uv.lock").unlink()
    projects.depend_on(wine, "cork", "grape>9")

    found = examined(wine)

    missing, unsolvable = found.findings
    assert (LockState.MISSING, "lock-missing", "lock-unsolvable") == (found.state, missing.rule, unsolvable.rule)
    assert missing.fix == unsolvable.fix
    assert str(missing.fix).endswith("then `uv lock`")
    assert (wine / "pyproject.toml", 5) == (unsolvable.path, unsolvable.line)
    assert not (wine / "uv.lock").exists()
    projects.depend_on(wine, "cork", "grape")
    assert (LockState.MISSING, "uv lock") == (examined(wine).state, examined(wine).findings[0].fix)


@pytest.mark.parametrize(
    ("requirements", "line"), [(("cork", "grape==1.0", "grape==1.1"), 5), (("cork", "grape>9"), 5)], ids=["two", "none"]
)
def test_requirements_without_a_solution_are_told_on_their_line(
    wine: Path, requirements: tuple[str, ...], line: int
) -> None:
    """
    The requirement that uv names, and what it says of it; that the lock was made from others matters no more.
    """
    projects.depend_on(wine, *requirements)

    found = examined(wine)

    (finding,) = found.findings
    assert (LockState.UNSOLVABLE, "lock-unsolvable", line) == (found.state, finding.rule, finding.line)
    assert "grape" in finding.why


def test_the_member_whose_requirement_has_no_solution_is_named(tmp_path: Path, wheels: Path) -> None:
    """
    uv names the requirement; it stands in another manifest than the one that was asked about.
    """
    root = projects.project(tmp_path / "root", wheels=wheels, more='[tool.uv.workspace]\nmembers = ["core"]\n')
    member = projects.project(root / "core", "cork", name="core")
    projects.lock(root)
    (member / "pyproject.toml").write_text(
        '[project]\nname = "core"\nversion = "1"\ndependencies = [\n  "cork>9",\n]\n'
    )

    (finding,) = examined(root).findings

    assert (member / "pyproject.toml", 5) == (finding.path, finding.line)


def test_a_line_that_is_no_requirement_is_told_as_such(wine: Path) -> None:
    """
    uv would try to build the project, and tell what a build backend says.
    """
    projects.depend_on(wine, "grape", "cork>>1")

    found = examined(wine, UV_CACHE_DIR=str(wine.parent / "empty cache"))

    (finding,) = found.findings
    assert (LockState.UNREADABLE, 5) == (found.state, finding.line)
    assert "`cork>>1` is not a requirement" == finding.what


def test_steps_that_make_something_from_a_lock_refuse_one_that_is_not_fresh(wine: Path) -> None:
    """
    In the words of the first finding.
    """
    projects.depend_on(wine, "grape<1.1")

    with tools_in(wine, UV_OFFLINE="1") as tools, pytest.raises(LockNotFresh) as caught:
        require_fresh(read_project(wine), tools, respect_env=False)

    assert caught.value.what.startswith("`grape<1.1` in [project] dependencies is not what")
    assert "uv lock" == caught.value.fix


# variables


@pytest.mark.parametrize("name", ["UV_EXCLUDE_NEWER", "UV_RESOLUTION", "UV_PRERELEASE", "UV_FORK_STRATEGY"])
def test_a_variable_that_makes_a_fresh_lock_look_stale_is_named(wine: Path, name: str) -> None:
    """
    Where the caller wants its variables to count: which of several it is.
    """
    values = {
        "UV_EXCLUDE_NEWER": "2031-01-01T00:00:00Z",
        "UV_RESOLUTION": "lowest",
        "UV_PRERELEASE": "allow",
        "UV_FORK_STRATEGY": "fewest",
    }
    harmless = {"UV_PYTHON_PREFERENCE": "system", "UV_NO_SYNC": "1"}

    with tools_in(wine, **{name: values[name]}, **harmless) as tools:
        found = examine(read_project(wine), tools, respect_env=True, offline=True)

    (finding,) = found.findings
    assert (LockState.STALE, (Cause.ENVIRONMENT,)) == (found.state, found.causes)
    assert (f"`{name}` makes uv.lock look out of date", f"unset {name}") == (finding.what, finding.fix)


def test_a_lock_that_is_stale_anyway_is_not_blamed_on_a_variable(wine: Path) -> None:
    """
    Without the variable it would be stale too.
    """
    projects.depend_on(wine, "grape<1.1")

    found = examined(wine, respect_env=True, UV_PRERELEASE="allow")

    assert Cause.ENVIRONMENT not in found.causes
    assert LockState.STALE is found.state


def test_an_index_of_the_caller_does_not_make_a_lock_stale(root: Path, tmp_path: Path) -> None:
    """
    A job behind a mirror: the lock is fresh, and the variable that hides it is named.
    """
    for name in ("pyproject.toml", "uv.lock", "README.md"):
        shutil.copy(root / name, tmp_path / name)

    found = examined(tmp_path, UV_DEFAULT_INDEX=DEAD, UV_CACHE_DIR=str(tmp_path / "empty cache"))

    (finding,) = found.findings
    assert (LockState.FRESH, Severity.NOTICE, "lock-environment") == (found.state, finding.severity, finding.rule)
    assert "`UV_DEFAULT_INDEX` makes uv.lock look out of date" == finding.what


def test_a_configuration_of_the_caller_does_not_make_a_lock_stale(wine: Path, tmp_path: Path) -> None:
    """
    Nor does a uv.toml from elsewhere.
    """
    (tmp_path / "their.toml").write_text('exclude-newer = "2031-01-01T00:00:00Z"\n')

    found = examined(wine, UV_CONFIG_FILE=str(tmp_path / "their.toml"))

    assert (LockState.FRESH, (Cause.ENVIRONMENT,)) == (found.state, found.causes)


# what cannot be read


CONFLICT = "<<<<<<< HEAD\n=======\n>>>>>>> other\n"


@pytest.mark.parametrize(
    ("data", "cause", "line"),
    [
        (b'version = 1\nrevision = 3\n\n[[package]]\nname = "gr', Cause.UNREADABLE, 5),
        (f"version = 1\n{CONFLICT}".encode(), Cause.CONFLICT, 2),
        (b"version = 2\n", Cause.FORMAT, 1),
        (b'version = 1\nrequires-python = ">=3.9"\n# \xff\n', Cause.UNREADABLE, 3),
        (b"", Cause.UNREADABLE, 1),
        (b'version = 1\nrequires-python = ">=3.9"\n\n[[package]]\nname = "x"\n', Cause.UNREADABLE, 4),
    ],
    ids=["truncated", "conflict", "newer", "not text", "empty", "no source"],
)
def test_a_lock_that_cannot_be_read_is_told_on_the_line(wine: Path, data: bytes, cause: Cause, line: int) -> None:
    """
    What is wrong with it, where, and a command that brings it back.
    """
    (wine / "uv.lock").write_bytes(data)

    found = examined(wine)

    (finding,) = found.findings
    assert (LockState.UNREADABLE, (cause,), line) == (found.state, found.causes, finding.line)
    assert (wine / "uv.lock", True) == (finding.path, bool(finding.why and finding.fix))


def test_a_lock_of_fifty_megabytes_is_told_like_any_other(wine: Path) -> None:
    """
    However large, it is fresh, and cut short it is unreadable at its last line.
    """
    lock = wine / "uv.lock"
    padding = (b"# " + b"x" * 997 + b"\n") * 50_000
    lock.write_bytes(lock.read_bytes() + padding)

    fresh = examined(wine)
    lock.write_bytes(lock.read_bytes() + b"[[package")
    broken = examined(wine)

    (finding,) = broken.findings
    assert (LockState.FRESH, LockState.UNREADABLE) == (fresh.state, broken.state)
    assert lock.read_bytes().count(b"\n") + 1 == finding.line


def _loop(lock: Path) -> None:
    lock.unlink()
    lock.symlink_to(lock.name)


def _folder(lock: Path) -> None:
    lock.unlink()
    lock.mkdir()


@pytest.mark.parametrize("spoil", [_loop, _folder])
def test_a_lock_that_is_no_file_is_unreadable(wine: Path, spoil) -> None:
    """
    A link to itself, or a folder in its place.
    """
    spoil(wine / "uv.lock")

    found = examined(wine)

    assert (LockState.UNREADABLE, (Cause.UNREADABLE,), "") == (found.state, found.causes, found.lock_sha256)


@pytest.mark.parametrize(
    ("text", "cause", "line"),
    [
        (f'[project]\nname = "core"\n{CONFLICT}', Cause.CONFLICT, 3),
        ('[project]\nname = "core', Cause.UNREADABLE, 2),
        ('[project]\nname = "core"\n', Cause.UNREADABLE, 1),
        ("[project]\nname = 3\n", Cause.UNREADABLE, 2),
    ],
    ids=["conflict", "truncated", "no version", "no name"],
)
def test_a_manifest_of_a_member_that_cannot_be_read_is_told_on_its_line(
    tmp_path: Path, wheels: Path, text: str, cause: Cause, line: int
) -> None:
    """
    The lock is asked about, and the trouble is elsewhere.
    """
    root = projects.project(tmp_path / "a root", wheels=wheels, more='[tool.uv.workspace]\nmembers = ["c*"]\n')
    member = projects.project(root / "core", "cork", name="core") / "pyproject.toml"
    projects.lock(root)
    member.write_text(text)

    found = examined(root)

    (finding,) = found.findings
    assert (LockState.UNREADABLE, (cause,)) == (found.state, found.causes)
    assert (member, line) == (finding.path, finding.line)


@pytest.mark.parametrize("members", ["3", '"core"', "[3]", '[""]', '["/x"]', '["**x"]', '["../*"]'])
def test_members_that_are_no_patterns_are_no_traceback(wine: Path, members: str) -> None:
    """
    Whatever uv makes of it is told; most of it it refuses, on its line.
    """
    with (wine / "pyproject.toml").open("a") as file:
        file.write(f"[tool.uv.workspace]\nmembers = {members}\n")

    found = examined(wine)

    rows = (wine / "pyproject.toml").read_text().splitlines()
    told = [rows[one.line - 1].partition(" ")[0] for one in found.findings]
    assert (found.state, told) in ((LockState.UNREADABLE, ["members"]), (LockState.FRESH, []))


def test_a_source_that_uv_cannot_use_is_told_on_its_line(wine: Path) -> None:
    """
    An index that nobody declared.
    """
    with (wine / "pyproject.toml").open("a") as file:
        file.write('[tool.uv.sources]\ngrape = { index = "nobody" }\n')

    found = examined(wine)

    (finding,) = found.findings
    rows = (wine / "pyproject.toml").read_text().splitlines()
    assert (LockState.UNREADABLE, "lock-source") == (found.state, finding.rule)
    assert rows[finding.line - 1].startswith("grape = {")


@pytest.mark.extended
def test_a_very_large_lock_is_told_like_a_small_one(wine: Path) -> None:
    """
    Fifty megabytes that are not TOML to the end.
    """
    (wine / "uv.lock").write_bytes(b"version = 1\n" + b"# " + b"x" * 98 + b"\n" * 2 + b"# y\n" * 12_500_000 + b"a = [")

    found = examined(wine)

    assert LockState.UNREADABLE == found.state
