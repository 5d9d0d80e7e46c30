"""The comparison of lock and manifests agrees with uv about the locks of public projects."""

import json
import os
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
import tomli

from mlflow_uv.core.freshness.causes import Cause, Difference
from mlflow_uv.core.freshness.staleness import differences
from mlflow_uv.core.lock.lockfile import read_lockfile
from mlflow_uv.core.lock.toml_lines import key_lines
from mlflow_uv.tools.project.files import read_project
from mlflow_uv.tools.project.manifests import read_workspace
from mlflow_uv.tools.system.process import SystemRunner
from mlflow_uv.tools.uv.messages import LockState, LockVerdict
from mlflow_uv.tools.uv.uv import LockRequest, Uv

PROGRAM = Path(sys.executable).parent / "uv"
PLACEHOLDERS = ("https://default-index.invalid/simple", "https://default-files.invalid")


@dataclass(frozen=True)
class Asked:
    """A lock, what uv says of it without a network, and the causes that we find."""

    lock: Path
    verdict: LockVerdict
    causes: tuple[Cause, ...]


@pytest.fixture(scope="module")
def genuine(root: Path, checkouts: tuple[Path, ...]) -> tuple[Path, ...]:
    """The locks with the addresses that uv writes where their placeholders stand, as our own lock has them."""
    ours = tomli.loads((root / "uv.lock").read_text())["package"]
    package = next(one for one in ours if "registry" in one["source"] and one.get("wheels"))
    files = "/".join(package["wheels"][0]["url"].split("/")[:3])
    for file in {file for lock in checkouts for file in (lock, *lock.parent.rglob("*.toml"))}:
        text = file.read_text()
        for placeholder, real in zip(PLACEHOLDERS, (package["source"]["registry"], files), strict=True):
            text = text.replace(placeholder, real)
        file.write_text(text)
    return checkouts


@pytest.fixture(scope="module")
def interpreters() -> tuple[Path, ...]:
    """Every Python of this machine, so that few projects lack theirs."""
    words = ("python", "list", "--only-installed", "--offline", "--no-config", "--output-format", "json")
    done = subprocess.run([PROGRAM, *words], capture_output=True, text=True, check=True, cwd="/")
    return (Path(sys.executable), *(Path(one["path"]) for one in json.loads(done.stdout)))


@pytest.fixture(scope="module")
def asked(
    genuine: tuple[Path, ...], interpreters: tuple[Path, ...], tmp_path_factory: pytest.TempPathFactory
) -> tuple[Asked, ...]:
    """Both opinions of every lock; uv has an empty cache, so that only what needs no network has an answer."""
    path = f"{PROGRAM.parent}{os.pathsep}{os.defpath}"  # no shims, which take their time to say that they are none
    variables = {**os.environ, "UV_CACHE_DIR": str(tmp_path_factory.mktemp("cache")), "PATH": path}
    uv = Uv(SystemRunner(), variables=variables, named=PROGRAM, own=None)
    return tuple(_ask(uv, lock, interpreters) for lock in genuine)


def _ask(uv: Uv, lock: Path, interpreters: tuple[Path, ...]) -> Asked:
    project = read_project(lock.parent)
    for python in (None, *interpreters):
        verdict = uv.lock_state(project, LockRequest(respect_env=False, offline=True, python=python))
        if verdict.cause is not Cause.INTERPRETER:
            break
    read = read_lockfile(lock.read_bytes())
    return Asked(lock, verdict, tuple(one.cause for one in differences(read, read_workspace(project, read))))


def test_what_uv_calls_fresh_has_no_difference(asked: tuple[Asked, ...]) -> None:
    """
    The oracle is uv: a difference that it does not see would be a lie.
    """
    fresh = [one for one in asked if one.verdict.state is LockState.FRESH]

    differing = [(one.lock, one.causes) for one in fresh if one.causes]

    judged = [one for one in asked if one.verdict.cause is not Cause.INTERPRETER]  # a machine may have one Python only
    assert [] == differing
    assert len(fresh) >= len(judged) / 2 > 0


@pytest.mark.extended
def test_what_uv_would_resolve_again_is_explained(asked: tuple[Asked, ...]) -> None:
    """
    Whatever uv says that it does not take as it is has a difference, and the one that uv names first is among them.
    """
    again = [one for one in asked if one.verdict.again]

    unexplained = [(one.lock, one.verdict.again) for one in again if not one.causes]

    assert [] == unexplained
    assert Counter(cause for one in again for cause in one.causes)[Cause.REQUIREMENT_CHANGED] > 0


@pytest.mark.extended
def test_uv_s_own_reason_is_always_covered(asked: tuple[Asked, ...]) -> None:
    """
    With uv's reason in hand nothing is added: what it names first, the comparison found by itself.
    """
    added: list[Difference] = []
    for one in asked:
        read = read_lockfile(one.lock.read_bytes())
        workspace = read_workspace(read_project(one.lock.parent), read)
        added += differences(read, workspace, reason=one.verdict.again)[len(one.causes) :]

    assert [] == added


def test_every_key_of_every_manifest_has_its_line(locks: tuple[Path, ...]) -> None:
    """
    The scanner and a reader of TOML find the same keys in files that people wrote.
    """
    texts = {file: file.read_text() for lock in locks for file in lock.parent.rglob("*.toml")}

    apart = [file for file, text in texts.items() if set(_paths(tomli.loads(text))) != key_lines(text).keys()]

    assert [] == apart


def _paths(value: object, path: tuple[str | int, ...] = ()) -> Iterator[tuple[str | int, ...]]:
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    if path:
        yield path
    for key, one in inner:
        yield from _paths(one, (*path, key))
