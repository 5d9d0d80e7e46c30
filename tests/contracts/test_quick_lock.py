"""The hook check-lock gives the same answer with uv alone and with the whole step, whatever is in the folders."""

import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import NamedTuple

import pytest

from mlflow_uv.core.security.kept_variables import steers_uv
from tests import projects
from tests.checkout import commit, repository
from tests.hostile.test_uv_settings import BACKEND
from tests.waiting import CEILING_S

# Both run the hook's own entry point; the second one always runs the whole step.
QUICK = "import runpy; runpy.run_module('mlflow_uv_hooks', run_name='__main__')"
FULL = "import sys; from mlflow_uv_hooks.hook import main; sys.exit(main())"
# Says whether the step was imported.
TRACED = f"""
import sys
try:
    {QUICK}
except SystemExit as ended:
    print("step" if "mlflow_uv.steps.check_lock" in sys.modules else "uv alone")
"""
BOTH = ("pyproject.toml", "uv.lock")
TWO = tuple(f"{project}/{name}" for project in "ab" for name in BOTH)
ONE = tuple(f"a/{name}" for name in BOTH)


class Shape(NamedTuple):
    """Changes a repository with a fresh project in `a`; the files and variables with which the hook runs."""

    change: Callable[[Path], object] = lambda _top: None
    files: tuple[str, ...] = ONE
    variables: Mapping[str, str] = {}
    quick: bool = False
    code: int = 0


def more(text: str) -> Callable[[Path], object]:
    """Add lines to the manifest."""

    def append(top: Path) -> None:
        manifest = top / "a" / "pyproject.toml"
        manifest.write_text(f"{manifest.read_text()}{text}\n")

    return append


def written(path: str, text: str | bytes) -> Callable[[Path], object]:
    """Write a file below the repository, or above it."""

    def write(top: Path) -> None:
        target = top / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(text.encode() if isinstance(text, str) else text)

    return write


def replaced(path: str, old: str, new: str) -> Callable[[Path], object]:
    """Replace words of a file."""
    return lambda top: (top / path).write_text((top / path).read_text().replace(old, new))


def linked(path: str) -> Callable[[Path], object]:
    """Put a link in the place of a file, which moves out of the repository."""

    def link(top: Path) -> None:
        away = top.parent / "away"
        shutil.move(top / path, away)
        (top / path).symlink_to(away)

    return link


def second(top: Path, *, name: str = "b") -> None:
    """Add a second locked project."""
    projects.lock(projects.project(top / name, "grape", name="beer", wheels=top / "wheels"))


def member(top: Path) -> None:
    """Make the project the root of a workspace with a member."""
    projects.project(top / "a" / "m", "grape", name="member", wheels=top / "wheels")
    more('[tool.uv.workspace]\nmembers = ["m"]\n')(top)
    projects.lock(top / "a")


def local(source: str) -> Callable[[Path], object]:
    """Let the project depend on a local package, whose metadata only its build backend knows."""

    def change(top: Path) -> None:
        inner = top / "a" / "inner"
        inner.mkdir()
        (inner / "pyproject.toml").write_text(
            '[project]\nname = "inner"\nversion = "1"\ndynamic = ["dependencies"]\n'
            '[build-system]\nrequires = []\nbuild-backend = "backend"\nbackend-path = ["."]\n'
        )
        mark = f'open({str(top.parent / "ran")!r}, "a").write("ran")\n'
        (inner / "backend.py").write_text(mark + BACKEND.replace("wine", "inner").replace("0.1.0", "1"))
        projects.depend_on(top / "a", "grape", "inner")
        more(f"[tool.uv.sources]\ninner = {source}\n")(top)
        projects.lock(top / "a")

    return change


def piped(top: Path) -> None:
    """Put a pipe in the place of the lock; git would not add it."""
    shutil.rmtree(top / ".git")
    (top / "a" / "uv.lock").unlink()
    os.mkfifo(top / "a" / "uv.lock")


def elsewhere(top: Path) -> None:
    """Move the range of Pythons to another table."""
    replaced("a/pyproject.toml", "requires-python", "# ")(top)
    more("[tool.x]\nrequires-python = 1")(top)


def second_stale(top: Path) -> None:
    """Add a second project whose lock is stale."""
    second(top)
    projects.depend_on(top / "b", "yeast")


def second_ignored(top: Path) -> None:
    """Add a second project, which git ignores."""
    second(top)
    (top / ".gitignore").write_text("b/\n")


def fake_uv(text: str) -> Callable[[Path], object]:
    """Put a program before uv on PATH."""

    def change(top: Path) -> None:
        program = top.parent / "bin" / "uv"
        program.parent.mkdir()
        program.write_text(f"#!/bin/sh\n{text}\n")
        program.chmod(0o755)

    return change


SHAPES = {
    "fresh": Shape(quick=True),
    "only the lock": Shape(files=("a/uv.lock",), quick=True),
    "only the manifest": Shape(files=("a/pyproject.toml",), quick=True),
    "no files": Shape(files=(), quick=True),
    "a file of no project": Shape(files=("setup.py",)),
    "a file that is gone": Shape(files=("a/setup.cfg",), quick=True),
    "in a folder with dots": Shape(files=("a/../a/uv.lock",)),
    "a flag": Shape(files=("--offline", "a/uv.lock")),
    "an unknown flag": Shape(files=("--ofline", "a/uv.lock"), code=2),
    "two dashes": Shape(files=("--", "a/uv.lock")),
    "stale": Shape(lambda top: projects.depend_on(top / "a", "grape", "yeast"), code=1),
    "missing": Shape(lambda top: (top / "a" / "uv.lock").unlink(), code=1),
    "no TOML": Shape(more("a ="), code=1),
    "a conflict": Shape(more("\n<<<<<<< HEAD\n"), code=1),
    "TOML of a later version": Shape(more("[tool.x]\na = {\n  b = 1,\n}\n"), quick=True),
    "not UTF-8": Shape(written("a/pyproject.toml", b'[project]\nname = "\xff"\n'), code=1),
    "a byte-order mark": Shape(
        lambda top: written("a/pyproject.toml", b"\xef\xbb\xbf" + (top / "a/pyproject.toml").read_bytes())(top),
        quick=True,
    ),
    "a lock that is no TOML": Shape(written("a/uv.lock", "version = \n"), code=1),
    "an empty lock": Shape(written("a/uv.lock", ""), code=1),
    "deep tables": Shape(more(f"[tool.x]\na = {'[' * 101}{']' * 101}\n"), code=1),
    "a large manifest": Shape(more("#" * 1_000_001), code=1),
    "no range of Pythons": Shape(replaced("a/pyproject.toml", "requires-python", "# requires-python"), code=1),
    "a range in another table": Shape(elsewhere, code=1),
    "not managed": Shape(more("[tool.uv]\nmanaged = false\n")),
    "a setting of uv": Shape(more('[tool.uv]\nresolution = "lowest"\n'), code=1),
    "a required version": Shape(more('[tool.uv]\nrequired-version = "==0.0.1"\n'), code=5),
    "our settings": Shape(more("[tool.mlflow-uv]\nmodel-name = 'a'\n[tool.mlflow-uv.promote]\ngates = []"), quick=True),
    "an unknown setting": Shape(more("[tool.mlflow-uv]\nmodle-name = 1\n"), code=2),
    "settings that are no table": Shape(more("[tool]\nmlflow-uv = 1\n"), code=2),
    "respect-env": Shape(more("[tool.mlflow-uv]\nrespect-env = true\n"), variables={"UV_RESOLUTION": "lowest"}, code=1),
    "a rule that holds": Shape(more('[tool.mlflow-uv.policy]\nminimum-uv = "0.1"\n')),
    "a rule that is broken": Shape(more("[tool.mlflow-uv.policy]\nrequire-hashes = true\n"), code=1),
    "a rule with an escape": Shape(more('[tool."mlflow-u\\u0076".policy]\nrequire-hashes = true\n'), code=1),
    "another cache": Shape(more('[tool.uv]\ncache-dir = "../c"\n')),
    "another cache with an escape": Shape(more('[tool.uv]\n"cache-d\\u0069r" = "../c"\n')),
    "hostile uv.toml": Shape(written("a/uv.toml", 'cache-dir = "../c"\npython-downloads-json-url = "x"\n')),
    "uv.toml above": Shape(written("uv.toml", 'resolution = "lowest"\n')),
    "uv.toml outside of the repository": Shape(written("../uv.toml", 'resolution = "lowest"\n')),
    "settings outside of the repository": Shape(written("../pyproject.toml", '[tool.uv]\nresolution = "lowest"\n')),
    "a manifest above": Shape(written("pyproject.toml", "[tool.ruff]\nline-length = 120\n"), quick=True),
    "a manifest above whose tools are no table": Shape(written("pyproject.toml", "tool = 5\n"), code=1),
    "a manifest above that is no TOML": Shape(written("pyproject.toml", "a = \n"), code=1),
    "settings of the user": Shape(written("../home/.config/uv/uv.toml", 'resolution = "lowest"\n')),
    "variables of the caller": Shape(variables={"UV_RESOLUTION": "lowest", "UV_INDEX_X_PASSWORD": "p"}),
    "started by `uv run`": Shape(variables={"UV_RUN_RECURSION_DEPTH": "1"}, quick=True),
    "credentials of an index": Shape(variables={"UV_INDEX_X_PASSWORD": "p"}, quick=True),
    "trusted indexes": Shape(variables={"MLFLOW_UV_TRUSTED_INDEXES": "https://a.test", "UV_INDEX_X_PASSWORD": "p"}),
    "trusted indexes that are none": Shape(
        variables={"MLFLOW_UV_TRUSTED_INDEXES": "a", "UV_INDEX_X_PASSWORD": "p"}, code=2
    ),
    "a workspace": Shape(member),
    "a member of a workspace": Shape(member, files=("a/m/pyproject.toml",)),
    "a second project": Shape(second),
    "a second project that is stale": Shape(second_stale, files=TWO, code=1),
    "two projects": Shape(second, files=TWO, quick=True),
    "a vendored project": Shape(lambda top: second(top, name="vendor/b"), quick=True),
    "a project that git ignores": Shape(second_ignored, quick=True),
    "spaces and unicode": Shape(
        lambda top: shutil.move(top / "a", top / "mein bière"), files=("mein bière/uv.lock",), quick=True
    ),
    "a linked lock": Shape(linked("a/uv.lock"), quick=True),
    "a linked manifest": Shape(linked("a/pyproject.toml"), quick=True),
    "a linked folder": Shape(lambda top: (top / "l").symlink_to("a"), files=("l/uv.lock",), quick=True),
    "a pipe": Shape(piped, files=("a/uv.lock",), code=1),
    "a device as a request for a Python": Shape(
        lambda top: (top / "a/.python-version").symlink_to("/dev/zero"), code=1
    ),
    "a request for a Python": Shape(written("a/.python-version", "./program\n"), quick=True),
    "a folder of the tree as a repository": Shape(
        lambda top: [written(f"{name}", "x")(top) for name in ("HEAD", "objects/x", "refs/x")]
    ),
    "not a repository": Shape(lambda top: shutil.rmtree(top / ".git")),
    "an editable package": Shape(local('{ path = "inner", editable = true }')),
    "a local package": Shape(local('{ path = "inner" }')),
    "no uv": Shape(variables={"PATH": "/nonexistent"}),
    "a uv that does nothing": Shape(fake_uv("exit 0")),
    "a uv that lies": Shape(fake_uv("echo 'warning: x' >&2; echo 'Resolved 1 package in 1ms' >&2")),
    "a uv that fails": Shape(fake_uv("exit 7")),
    "a repository of our runner": Shape(variables={"GITHUB_ACTIONS": "true", "GITHUB_EVENT_NAME": "push"}),
}  # fmt: skip
CORE = ("fresh", "stale", "a rule with an escape", "variables of the caller", "a second project", "two projects")


@pytest.fixture
def top(tmp_path: Path) -> Path:
    """A repository with a fresh project in `a`."""
    top = tmp_path / "repo"
    projects.wheel(top / "wheels", "grape", "1.0")
    projects.wheel(top / "wheels", "yeast", "2.0")
    projects.lock(projects.project(top / "a", "grape", wheels=top / "wheels"))
    (tmp_path / "home").mkdir()
    repository(top)
    return top


def answer(code: str, top: Path, shape: Shape) -> tuple[int, str]:
    """The exit code and the output of a hook."""
    ours = {name: value for name, value in os.environ.items() if not name.startswith(("UV_", "GITHUB_", "XDG_"))}
    path = f"{top.parent / 'bin'}{os.pathsep}{ours['PATH']}"
    cache = subprocess.run(["uv", "cache", "dir"], check=True, capture_output=True, text=True).stdout.strip()
    variables = {**ours, "PATH": path, "HOME": str(top.parent / "home"), "UV_CACHE_DIR": cache, **shape.variables}
    argv = [sys.executable, "-I", "-c", code, "check-lock", *shape.files]
    done = subprocess.run(
        argv,
        cwd=top,
        env=variables,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
        timeout=CEILING_S,
    )
    return done.returncode, done.stdout


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=() if name in CORE else pytest.mark.extended) for name in SHAPES]
)
def test_both_ways_give_the_same_answer(top: Path, name: str) -> None:
    """
    The exit code and every word; and the step is not imported where uv alone can decide.
    """
    shape = SHAPES[name]
    shape.change(top)
    if (top / ".git").exists():
        commit(top)
    ran = top.parent / "ran"
    ran.unlink(missing_ok=True)

    _, way = answer(TRACED, top, shape)
    assert not ran.exists()
    full, quick = answer(FULL, top, shape), answer(QUICK, top, shape)

    assert full == quick
    assert ("uv alone" if shape.quick else "step") == way.splitlines()[-1], way
    assert shape.code == full[0], full[1]


def test_uv_run_sets_nothing_that_steers(tmp_path: Path) -> None:
    """
    Many start pre-commit with it, and the hook must not name a variable that nobody has set.
    """
    program = [sys.executable, "-I", "-c", "import os; print(*os.environ)"]
    argv = ["uv", "run", "--no-project", "--offline", "--python", sys.executable, *program]
    before = {name: value for name, value in os.environ.items() if not name.startswith("UV_")}

    done = subprocess.run(argv, cwd=tmp_path, env=before, check=True, capture_output=True, text=True)

    set_by_uv = {*done.stdout.split()} - {*before}
    assert "UV_RUN_RECURSION_DEPTH" in set_by_uv
    assert [] == [name for name in set_by_uv if steers_uv(name)]
