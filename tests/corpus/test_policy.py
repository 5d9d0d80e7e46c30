"""Rules of a policy on the locks of public projects."""

import re
import subprocess
from functools import cache
from pathlib import Path

import pytest

from mlflow_uv.command.report import Finding
from mlflow_uv.core.lock.closure import selected_roots
from mlflow_uv.core.lock.lockfile import read_lockfile
from mlflow_uv.core.lock.selection import Selection
from mlflow_uv.core.lock.served_packages import served_packages
from mlflow_uv.core.policy.policy import LockPolicy, read_policy
from mlflow_uv.core.policy.table import PolicySource, PolicyTable
from mlflow_uv.core.policy.violations import PolicyContext, ServedUnit, package_violations
from mlflow_uv.tools.project.files import Project, read_project

MOST_INEXACT = 0.05  # of the locks: markers that exclude each other along one way are not seen through
EXPORT = (
    "uv", "export", "--frozen", "--offline", "--quiet", "--no-default-groups", "--no-hashes", "--no-annotate",
    "--no-header",
)  # fmt: skip


def ruling(**rules: object) -> PolicySource[LockPolicy]:
    """A policy with these rules."""
    table = {key.replace("_", "-"): value for key, value in rules.items()}
    manifest = Path("pyproject.toml")
    return read_policy(PolicyTable(name="policy", value=table, lines={}, manifest=manifest, shown="pyproject.toml"))


def name_of(project: Project) -> str | None:
    """How a selection calls it."""
    return project.name if project.named else None


def judged(lock: Path, **rules: object) -> list[Finding]:
    """What is to be said of a lock whose root serves what it always needs."""
    unit = ServedUnit(selection=Selection(), name=name_of(read_project(lock.parent)))
    case = PolicyContext(path=lock, data=lock.read_bytes(), command="uv lock", units=(unit,), whole=True, now_s=0.0)
    return list(package_violations(ruling(**rules), case))


@cache
def packages(lock: Path) -> dict[int, str]:
    """The text of every package by the line where it begins, read without our reader."""
    lines = lock.read_text().splitlines()
    starts = [number for number, line in enumerate(lines, 1) if line == "[[package]]"]
    return {
        start: "\n".join(lines[start : end - 1])
        for start, end in zip(starts, [*starts[1:], len(lines) + 1], strict=True)
    }


def first_of(found: dict[str, list[int]]) -> list[int]:
    """The first line of each group, in the order of the lock."""
    return sorted(lines[0] for lines in found.values())


def by_index(texts: dict[int, str]) -> dict[str, list[int]]:
    """Lines of packages by the index they come from, slashes at its end aside."""
    found: dict[str, list[int]] = {}
    for line, text in texts.items():
        if match := re.search(r'^source = \{ registry = "([^"]*?)/*" \}', text, re.MULTILINE):
            found.setdefault(match[1], []).append(line)
    return found


def test_of_every_index_the_first_package_is_found(locks: tuple[Path, ...]) -> None:
    """
    Where no index is allowed, each is told once, on the line where its first package begins.
    """
    expected = {lock: first_of(by_index(packages(lock))) for lock in locks}

    found = {lock: sorted(one.line for one in judged(lock, allowed_indexes=[])) for lock in locks}

    assert expected == found


def test_files_without_a_hash_are_found(locks: tuple[Path, ...]) -> None:
    """
    Wherever a line of a lock names a file of an index without its hash, and nowhere else.
    """
    bare = re.compile(r'^(    |sdist = )\{ (url|path) = "[^"]*"(?!.* hash = ).*\}', re.MULTILINE)
    expected = {
        lock: first_of(by_index({line: text for line, text in packages(lock).items() if bare.search(text)}))
        for lock in locks
    }

    found = {
        lock: sorted(one.line for one in judged(lock, require_hashes=True) if "registry" in packages(lock)[one.line])
        for lock in locks
    }

    assert expected == found
    assert any(expected.values())


@pytest.mark.extended
def test_every_package_can_be_excluded(locks: tuple[Path, ...]) -> None:
    """
    By its name, on its own line, as often as it is locked.
    """
    names = {lock: sorted({one.name for one in read_lockfile(lock.read_bytes()).packages}) for lock in locks}

    found = {lock: judged(lock, excluded=names[lock]) for lock in locks}

    assert {lock: sorted(packages(lock)) for lock in locks} == {
        lock: sorted(one.line for one in findings) for lock, findings in found.items()
    }


def test_what_is_served_is_what_uv_would_export_for_all_platforms(checkouts: tuple[Path, ...]) -> None:
    """
    Nothing that uv exports is overlooked, and hardly a lock has anything more.
    """
    overlooked, more, asked = {}, [], 0
    for lock in checkouts:
        project = read_project(lock.parent)
        named = ("--package", project.name) if project.named else ()
        done = subprocess.run([*EXPORT, *named], cwd=lock.parent, capture_output=True, text=True, check=False)
        if done.returncode != 0:
            continue  # a lock that is older than its project
        asked += 1
        read = read_lockfile(lock.read_bytes())
        mine = served_packages(read, selected_roots(read, Selection(), name=name_of(project)))
        ours = {one.package.name for one in mine if not one.package.source.kind.local}
        uvs = {match[1] for match in re.finditer(r"^([a-z0-9][a-z0-9._-]*) ?(?:==|@)", done.stdout, re.MULTILINE)}
        if uvs - ours:
            overlooked[lock] = uvs - ours
        more += [lock] if ours - uvs else []

    assert {} == overlooked
    assert len(more) <= MOST_INEXACT * asked
