"""What can be said about a lock where nothing may be built: real uv, and an interpreter that runs no code."""

import io
import os
import sys
import tarfile
from dataclasses import replace
from pathlib import Path

import pytest

from mlflow_uv.command.host import Host
from mlflow_uv.command.inputs import Builds
from mlflow_uv.ops.lock.freshness import Freshness, examine, restricted
from mlflow_uv.surfaces.terminal import terminal
from mlflow_uv.tools.lock_toolbox import locktools
from mlflow_uv.tools.project.files import read_project
from mlflow_uv.tools.uv.messages import LockState
from tests import projects

BACKENDS = {
    "hatchling": '[build-system]\nrequires = ["hatchling"]\nbuild-backend = "hatchling.build"\n',
    "setuptools": '[build-system]\nrequires = ["setuptools"]\nbuild-backend = "setuptools.build_meta"\n',
    "none": "",
}


def asked(folder: Path, *, builds: Builds = Builds.REFUSE, python: str = sys.executable) -> Freshness:
    """What is found out about a project, with an empty cache and without a network."""
    variables = {**os.environ, "UV_CACHE_DIR": str(folder.parent / "empty")}
    host = Host.of(variables, folder=folder, python=Path(python))
    with locktools(host, console=terminal()) as tools:
        return examine(read_project(folder), restricted(tools, builds), respect_env=False, offline=True)


@pytest.fixture
def wheels(tmp_path: Path) -> Path:
    """Packages."""
    projects.wheel(tmp_path / "wheels", "grape", "1.0")
    return tmp_path / "wheels"


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("change", ["", "grape", "cork"])
def test_what_is_written_needs_no_build(tmp_path: Path, wheels: Path, backend: str, change: str) -> None:
    """
    The same verdict, causes and lines with builds and without, for most projects: theirs is all in the manifest.
    """
    folder = projects.project(tmp_path / "wine", "grape", wheels=wheels, more=BACKENDS[backend])
    projects.lock(folder)
    if change:
        projects.depend_on(folder, "grape>=1", change)

    without, plain = asked(folder), asked(folder, builds=Builds.ALLOW)

    assert (plain.state, plain.causes, plain.changes) == (without.state, without.causes, without.changes)
    assert [finding.text for finding in plain.findings] == [finding.text for finding in without.findings]
    assert (LockState.STALE if change else LockState.FRESH) is without.state


@pytest.mark.parametrize("backend", ["hatchling", "setuptools"])
def test_what_a_build_would_tell_is_unverifiable(tmp_path: Path, wheels: Path, backend: str) -> None:
    """
    Also where what builds is not here: it is the build that is missing, not a network.
    """
    folder = projects.project(tmp_path / "wine", "grape", wheels=wheels)
    projects.lock(folder)
    manifest = folder / "pyproject.toml"
    text = manifest.read_text().replace('dependencies = ["grape"]', 'dynamic = ["dependencies"]') + BACKENDS[backend]
    manifest.write_text(text)
    (folder / "uv.lock").write_text((folder / "uv.lock").read_text().replace('virtual = "."', 'editable = "."'))

    found = asked(folder)

    (finding,) = found.findings
    assert (LockState.UNVERIFIABLE, "lock-build") == (found.state, finding.rule)
    assert "`wine` would have to be built, and builds are refused" == finding.why


def test_a_source_distribution_in_an_index_needs_no_build_for_a_fresh_lock(tmp_path: Path) -> None:
    """
    What an index has does not change: the lock tells it. A new requirement is told by its line.
    """
    projects.sdist(tmp_path / "wheels", "grape", "1.0")
    folder = projects.project(tmp_path / "wine", "grape", wheels=tmp_path / "wheels")
    projects.lock(folder)
    untold(tmp_path / "wheels", "cork")

    fresh = asked(folder)
    projects.depend_on(folder, "grape", "cork")
    stale = asked(folder)

    assert (LockState.FRESH, LockState.STALE) == (fresh.state, stale.state)
    assert ["lock-requirement-added"] == [finding.rule for finding in stale.findings]


def test_a_source_distribution_in_the_checkout_is_built_to_be_told(tmp_path: Path) -> None:
    """
    Where it does not say by itself what it requires, nobody can tell whether the lock is true to it.
    """
    folder = projects.project(
        tmp_path / "wine", "grape", more='[tool.uv.sources]\ngrape = { path = "grape-1.0.tar.gz" }\n'
    )
    projects.sdist(folder, "grape", "1.0")
    projects.lock(folder)
    told = asked(folder)
    (folder / "grape-1.0.tar.gz").unlink()
    untold(folder, "grape")

    found = asked(folder)

    assert (LockState.FRESH, LockState.UNVERIFIABLE) == (told.state, found.state)
    assert ["lock-build"] == [finding.rule for finding in found.findings]


def untold(folder: Path, name: str) -> None:
    """A source distribution that says nothing of what it requires, of the old kind, built by setuptools."""
    folder.mkdir(exist_ok=True)
    with tarfile.open(folder / f"{name}-1.0.tar.gz", "w:gz") as archive:
        for file, text in (
            ("PKG-INFO", f"Metadata-Version: 1.0\nName: {name}\nVersion: 1.0\n"),
            ("setup.py", "raise SystemExit('run')\n"),
        ):
            member = tarfile.TarInfo(f"{name}-1.0/{file}")
            member.size = len(text)
            archive.addfile(member, io.BytesIO(text.encode()))


def test_a_python_that_the_project_allows_is_found_without_asking_the_project(tmp_path: Path, wheels: Path) -> None:
    """
    Ours is not always one; what is found on the machine answers in its place, and runs nothing else either.
    """
    folder = projects.project(tmp_path / "wine", "grape", wheels=wheels)
    projects.lock(folder)
    ours = tmp_path / "old"
    ours.write_text("#!/bin/sh\nexit 1\n")
    ours.chmod(0o755)
    for file in ("pyproject.toml", "uv.lock"):
        minor = f"{sys.version_info.major}.{sys.version_info.minor}"
        (folder / file).write_text((folder / file).read_text().replace('">=3.9"', f'">={minor}"'))

    found = asked(folder, python=str(ours))

    assert LockState.FRESH is found.state


def test_where_no_python_will_do_that_is_what_is_said(tmp_path: Path) -> None:
    """
    Not that a build would be needed.
    """
    folder = projects.project(tmp_path / "wine")
    projects.lock(folder)
    for file in ("pyproject.toml", "uv.lock"):
        (folder / file).write_text((folder / file).read_text().replace(">=3.9", ">=3.99"))

    found = asked(folder)

    assert (LockState.UNVERIFIABLE, ["lock-interpreter"]) == (found.state, [one.rule for one in found.findings])


def test_the_tools_of_a_trusted_checkout_are_as_they_were(tmp_path: Path) -> None:
    """
    Nothing is made, and no question costs more, where builds are allowed.
    """
    host = Host.of(os.environ, folder=tmp_path, python=Path(sys.executable))
    with locktools(host, console=terminal()) as tools:
        kept = [restricted(tools, builds) is tools for builds in (Builds.AUTO, Builds.ALLOW, Builds.REFUSE)]
        strange = replace(tools, host=replace(host, untrusted_event=True))
        refused = [restricted(strange, builds).uv.builds for builds in Builds]

    assert ([True, True, False], [False, True, False]) == (kept, refused)
