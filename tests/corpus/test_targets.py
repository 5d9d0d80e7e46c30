"""Packages of real lockfiles are selected as uv would install them, on every platform."""

import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

from mlflow_uv.command.errors import BadInput
from mlflow_uv.command.host import Host
from mlflow_uv.core.lock.lockfile import Lockfile, read_lockfile
from mlflow_uv.core.lock.selection import Selection
from mlflow_uv.steps import check_targets
from mlflow_uv.steps.check_targets import Inputs
from mlflow_uv.surfaces.terminal import terminal
from mlflow_uv.tools.lock_toolbox import locktools
from mlflow_uv.tools.project.files import Project, read_project
from tests.dryrun import MORE_PLATFORMS, PLATFORMS, Outcome, Python, ours, pythons, uv_outcome

FEWEST = 40
# Locks that allow a Python which their pyproject.toml by now refuses.
STALE = ("unified-search-app",)


class Case(NamedTuple):
    """A real project, and its lock."""

    project: Project
    lock: Lockfile

    @property
    def name(self) -> str | None:
        """The project's, where it is not a virtual root."""
        return self.project.name if self.project.named else None


@pytest.fixture(scope="session")
def cases(checkouts: tuple[Path, ...]) -> tuple[Case, ...]:
    """Every lock that lies beside a project."""
    found = [path.parent for path in checkouts if (path.parent / "pyproject.toml").is_file()]
    return tuple(Case(read_project(folder), read_lockfile((folder / "uv.lock").read_bytes())) for folder in found)


@pytest.fixture(scope="session")
def all_pythons() -> tuple[Python, ...]:
    """Every Python of the machine, newest first."""
    return pythons()


@pytest.fixture(scope="session")
def interpreters(all_pythons: tuple[Python, ...]) -> tuple[Python, ...]:
    """Two, where the machine has two: markers and tags differ between them."""
    return all_pythons[:2]


class Tally:
    """What was compared."""

    def __init__(self) -> None:
        self.kinds: Counter[str] = Counter()
        self.installed: set[Path] = set()
        self.different: list[str] = []

    def compare(self, case: Case, selection: Selection, platform: tuple[str, str], python: Python) -> None:
        """Ask both."""
        folder, (here, there) = case.project.folder, platform
        expected = uv_outcome(folder, selection, name=case.name, platform=there, python=python)
        found = ours(case.lock, selection, name=case.name, target=f"{here}-py{python.version}")
        if expected.kind == "not the project's" and folder.name in STALE:
            return
        self.kinds[expected.kind] += 1
        if expected.kind == "installs":
            self.installed.add(folder)
        if not expected.agrees(found):
            asked = f"{folder.parent.name}/{folder.name} {selection} {here} {python.version}"
            self.different.append(f"{asked}: {_difference(expected, found)}")


def _difference(expected: Outcome, found: Outcome) -> str:
    missing, more = sorted(expected.packages - found.packages), sorted(found.packages - expected.packages)
    return f"uv: {expected.kind} {expected.words} {missing[:5]}, we: {found.kind} {found.words} {more[:5]}"


@pytest.mark.extended
def test_the_lock_of_a_project_is_placed_as_uv_places_it(
    cases: tuple[Case, ...], interpreters: tuple[Python, ...]
) -> None:
    """
    Names, versions and sources are equal on four platforms; where uv refuses, we say the same of the same package.
    """
    tally = Tally()

    for case in cases:
        for python in interpreters:
            for platform in PLATFORMS.items():
                tally.compare(case, Selection(), platform, python)

    assert [] == tally.different
    assert len(tally.installed) >= FEWEST, tally.kinds
    assert 0 == tally.kinds["unknown"]


def selections(case: Case) -> Iterator[Selection]:
    """Every extra and every group by itself, and every member of a workspace."""
    roots = [one for one in case.lock.packages if one.source.kind.local and (not case.name or one.name == case.name)]
    for root in roots:
        yield from (Selection(package=root.name, extras=(extra,)) for extra in root.extras)
        yield from (Selection(package=root.name, groups=(group,)) for group in root.groups)
    yield from (Selection(groups=(group,)) for group in case.lock.manifest.get("dependency-groups", {}))
    yield from (Selection(package=member) for member in case.lock.manifest.get("members", ()) if member != case.name)


@pytest.mark.extended
def test_every_extra_group_and_member_is_placed_as_uv_places_it(
    cases: tuple[Case, ...], interpreters: tuple[Python, ...]
) -> None:
    """
    One selection at a time: what an extra or a group adds, and what a conflict keeps apart.
    """
    tally = Tally()

    for case in cases:
        for selection in selections(case):
            for here in ("linux-x86_64", "macos-arm64"):
                tally.compare(case, selection, (here, PLATFORMS[here]), interpreters[0])

    assert [] == tally.different
    assert tally.kinds["installs"] >= FEWEST, tally.kinds
    assert 0 == tally.kinds["unknown"]


@pytest.mark.extended
def test_older_and_rarer_platforms_and_every_python_are_placed_as_uv_places_them(
    cases: tuple[Case, ...], all_pythons: tuple[Python, ...]
) -> None:
    """
    Other levels of glibc, musl, Intel Macs, Windows on ARM; and every Python of the machine.
    """
    tally = Tally()

    for case in cases:
        for platform in MORE_PLATFORMS.items():
            tally.compare(case, Selection(), platform, all_pythons[0])
        for python in all_pythons[2:]:
            for platform in PLATFORMS.items():
                tally.compare(case, Selection(), platform, python)

    assert [] == tally.different
    assert len(tally.installed) >= FEWEST, tally.kinds
    assert 0 == tally.kinds["unknown"]


def test_every_lock_gets_an_answer_and_every_finding_its_line(cases: tuple[Case, ...]) -> None:
    """
    Whatever a real lock holds: what is found stands where the package begins, or on the key that excludes a target.
    """
    targets = tuple(f"{platform}-py3.{minor}" for platform in PLATFORMS for minor in (11, 13))
    host = Host.of({}, folder=Path("/"), python=Path(sys.executable))
    found: dict[str, set[str]] = {}

    with locktools(host, console=terminal()) as tools:
        for case in cases:
            if not any(one.source.kind.local for one in case.lock.packages):
                continue  # nothing to select
            try:
                report = check_targets.run(Inputs(project=case.project.folder, targets=targets), tools)
            except BadInput:
                continue  # a lock of another project
            lines = case.project.lock.read_text().splitlines()
            for finding in report.findings:
                found.setdefault(finding.rule, set()).add(lines[finding.line - 1].partition(" ")[0])

    assert {"target-cannot-install", "target-built", "target-git", "target-index", "target-local-build"} <= found.keys()
    assert {"requires-python", "supported-markers"} == found.pop("target-not-covered")
    assert {"[[package]]"} == set().union(*found.values())
