"""An export by real uv installs what the lock installs and is the same on every machine; no network."""

import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from mlflow_uv.command.errors import ToolMissing
from mlflow_uv.command.host import Host
from mlflow_uv.core.export.portability import LocalPackages
from mlflow_uv.steps import release
from mlflow_uv.tools.toolbox import toolbox
from tests import exports, projects
from tests.console import KeptConsole

REQUIREMENTS, PYLOCK, SBOM = Path("requirements.txt"), Path("pylock.toml"), Path("bill.cdx.json")
FILES: dict[str, Any] = {"requirements_file": REQUIREMENTS, "pylock_file": PYLOCK, "sbom_file": SBOM}
# A build backend that needs nothing: a wheel with one module, which says when it was built unless a date is given.
BACKEND = """
import os, pathlib, time, tomllib, zipfile
def build_wheel(folder, settings=None, metadata=None):
    about = tomllib.loads(pathlib.Path("pyproject.toml").read_text())["project"]
    name, version = about["name"], about["version"]
    needs = "".join(f"Requires-Dist: {one}\\n" for one in about.get("dependencies", []))
    info = f"{name}-{version}.dist-info"
    files = {
        f"{name}.py": f"BUILT = {os.environ.get('SOURCE_DATE_EPOCH') or time.time_ns()}",
        f"{info}/METADATA": f"Metadata-Version: 2.1\\nName: {name}\\nVersion: {version}\\n{needs}",
        f"{info}/WHEEL": "Wheel-Version: 1.0\\nRoot-Is-Purelib: true\\nTag: py3-none-any\\n",
    }
    files[f"{info}/RECORD"] = "".join(f"{file},,\\n" for file in (*files, f"{info}/RECORD"))
    with zipfile.ZipFile(f"{folder}/{name}-{version}-py3-none-any.whl", "w") as archive:
        for file, text in files.items():
            archive.writestr(zipfile.ZipInfo(file, (2026, 1, 1, 0, 0, 0)), text)
    return f"{name}-{version}-py3-none-any.whl"
build_editable = build_wheel
"""
BUILT = '[build-system]\nrequires = []\nbuild-backend = "backend"\nbackend-path = ["."]\n'


def package(folder: Path, *dependencies: str, name: str, more: str = "", wheels: Path | None = None) -> Path:
    """A project that can be built without a network."""
    projects.project(folder, *dependencies, name=name, more=BUILT + more, wheels=wheels)
    (folder / "backend.py").write_text(BACKEND)
    return folder


@pytest.fixture
def wheels(tmp_path: Path) -> Path:
    """Packages beside the projects, in a folder whose name has a space."""
    folder = tmp_path / "all wheels"
    projects.wheel(folder, "grape", "1.0", ("yeast",))
    projects.wheel(folder, "grape", "2.0", ("yeast",))
    projects.wheel(folder, "yeast", "2.0")
    projects.wheel(folder, "cork", "3.0")
    projects.wheel(folder, "cork", "3.0+cpu")
    projects.wheel(folder, "oak", "4.0", ("cork",))
    return folder


# installing an export is syncing the lock


@dataclass(frozen=True)
class Case:
    """A project by what makes its folder, and what is selected of it: for us, and in uv's words."""

    make: Callable[[Path, Path], None]
    extras: tuple[str, ...] = ()
    groups: tuple[str, ...] = ()
    flags: tuple[str, ...] = field(default=())


GROUPS = (
    '[project.optional-dependencies]\nserve = ["oak"]\nplot = ["grape==2.0"]\n'
    '[dependency-groups]\ntrain = ["grape==1.0"]\ndev = ["grape==1.0"]\n'
)


def nothing(folder: Path, wheels: Path) -> None:
    """No package at all."""
    projects.project(folder, wheels=wheels)


def extras_and_groups(folder: Path, wheels: Path) -> None:
    """The selection decides: an extra and a group of two each."""
    more = GROUPS.replace('"grape==2.0"', '"yeast"') + '[tool.uv]\ndefault-groups = "all"\n'
    projects.project(folder, "yeast", wheels=wheels, more=more)


def conflicting(folder: Path, wheels: Path) -> None:
    """Extras that exclude each other lock one name at two versions."""
    extras = '[project.optional-dependencies]\nold = ["grape==1.0"]\nnew = ["grape==2.0"]\n'
    more = f'{extras}[tool.uv]\nconflicts = [[{{ extra = "old" }}, {{ extra = "new" }}]]\n'
    projects.project(folder, "cork", wheels=wheels, more=more)


def forked(folder: Path, wheels: Path) -> None:
    """One name at two versions, by platform and by Python."""
    forks = ("grape==1.0; sys_platform == 'linux'", "grape==2.0; sys_platform != 'linux'")
    projects.project(folder, *forks, "oak; python_version >= '3.10'", "cork; python_version < '3.10'", wheels=wheels)


def local_label(folder: Path, wheels: Path) -> None:
    """A local version label such as those of builds for one accelerator."""
    projects.project(folder, "cork==3.0+cpu", "oak", wheels=wheels)


def workspace(folder: Path, wheels: Path) -> None:
    """A packaged root, a member it needs, and another that it does not."""
    more = '[tool.uv.workspace]\nmembers = ["core", "other"]\n[tool.uv.sources]\ncore = { workspace = true }\n'
    package(folder, "core", "cork", name="wine", wheels=wheels, more=more)
    package(folder / "core", "grape==1.0", name="core")
    package(folder / "other", "oak", name="other")


def paths(folder: Path, wheels: Path) -> None:
    """A wheel and a folder outside of the project, the folder only on Linux and macOS."""
    projects.wheel(folder.parent / "own", "stem", "1.0")
    package(folder.parent / "near by", "yeast", name="leaf")
    sources = 'stem = { path = "../own/stem-1.0-py3-none-any.whl" }\nleaf = { path = "../near by" }\n'
    more = f"[tool.uv.sources]\n{sources}"
    projects.project(folder, "stem", "leaf; sys_platform != 'win32'", "cork", wheels=wheels, more=more)


def from_git(folder: Path, wheels: Path) -> None:
    """A package from a repository, at the commit of the lock."""
    repository = package(folder.parent / "must", "yeast", name="must")
    who = ("-c", "user.name=a", "-c", "user.email=a@b.example")
    for argv in (("init", "--quiet"), ("add", "--all"), (*who, "commit", "--quiet", "--message", "x")):
        subprocess.run(["git", *argv], cwd=repository, check=True)
    more = f'[tool.uv.sources]\nmust = {{ git = "{repository.as_uri()}" }}\n'
    projects.project(folder, "must", wheels=wheels, more=more)


CASES = {
    "nothing": Case(nothing),
    "extra": Case(extras_and_groups, extras=("serve",), flags=("--extra", "serve")),
    "group": Case(extras_and_groups, groups=("train",), flags=("--group", "train")),
    "default groups": Case(extras_and_groups),
    "old": Case(conflicting, extras=("old",), flags=("--extra", "old")),
    "new": Case(conflicting, extras=("new",), flags=("--extra", "new")),
    "forks": Case(forked),
    "local label": Case(local_label),
    "workspace": Case(workspace, flags=("--package", "wine")),
    "paths": Case(paths),
    "git": Case(from_git),
}


# pip does not read the address of a repository that is a folder.
# Pip takes the longest, and reads each kind of requirement in the cases that are left to the core suite.
LATER = {("extra", "pip"), ("workspace", "pip")}
INSTALLED = [
    pytest.param(name, by, marks=[pytest.mark.extended] * ((name, by) in LATER))
    for name in CASES
    for by in ("uv", "pip", "pylock")
    if (name, by) != ("git", "pip")
]


@pytest.mark.core_variants(8)
@pytest.mark.parametrize(("name", "installer"), INSTALLED)
def test_an_export_installs_what_the_lock_installs(
    tmp_path: Path, wheels: Path, pip: tuple[str, ...], name: str, installer: str
) -> None:
    """
    The same distributions in the same versions, whoever installs the list; local packages come as wheels.
    """
    case, folder = CASES[name], tmp_path / "a project"
    case.make(folder, wheels)
    projects.lock(folder)
    locked = exports.synced(folder, tmp_path / "synced", *case.flags)

    selected: dict[str, Any] = {"extras": case.extras, "groups": case.groups, "local_packages": LocalPackages.WHEELS}
    report = exports.exported(folder, requirements_file=REQUIREMENTS, pylock_file=PYLOCK, **selected)

    assert report.ok, report.findings
    argv = pip if installer == "pip" else exports.UV_PIP
    file = folder / (PYLOCK if installer == "pylock" else REQUIREMENTS)
    assert [] == exports.compared(locked, exports.installed(file, tmp_path / "installed", *argv))


HASHED = (*exports.UV_PIP[:-1], "--require-hashes", "-r")


def test_an_example_is_installed_as_its_lock_says(wine_project: Path, tmp_path: Path) -> None:
    """
    A real MLflow project with nearly a hundred distributions.

    With a network: a cache that only ever served a lock has the files, and not the index's pages that lead to them.
    """
    folder = shutil.copytree(wine_project, tmp_path / "wine")
    locked = exports.synced(folder, tmp_path / "synced", network=exports.ONLINE)

    exports.exported(folder, requirements_file=REQUIREMENTS, hashes=True)
    listed = exports.installed(folder / REQUIREMENTS, tmp_path / "listed", *HASHED, network=exports.ONLINE)

    assert [] == exports.compared(locked, listed)
    assert len(locked) > 50


def test_a_list_that_is_not_the_lock_is_seen(tmp_path: Path, wheels: Path) -> None:
    """
    What the tests above go by tells a changed pin, a missing and an additional package from the lock.
    """
    folder = projects.project(tmp_path / "wine", "grape==1.0", wheels=wheels)
    projects.lock(folder)
    locked = exports.synced(folder, tmp_path / "synced")
    exports.exported(folder, requirements_file=REQUIREMENTS)
    text = (folder / REQUIREMENTS).read_text()
    wrong = {
        "changed": text.replace("grape==1.0", "grape==2.0"),
        "missing": text.replace("yeast==2.0\n", ""),
        "additional": text + "oak==4.0\n",
    }

    found = {}
    for name, changed in wrong.items():
        (folder / REQUIREMENTS).write_text(changed)
        there = exports.installed(folder / REQUIREMENTS, tmp_path / name, *exports.UV_PIP)
        found[name] = exports.compared(locked, there)

    assert {
        "changed": ["grape: 1.0 is locked, 2.0 is installed"],
        "missing": ["yeast: 2.0 is locked, nothing is installed"],
        "additional": ["oak: nothing is locked, 4.0 is installed"],
    } == found


# the same bytes everywhere


WHOLE: dict[str, Any] = {"local_packages": LocalPackages.WHEELS}  # uv locks no hash of a wheel in a folder


def everything(folder: Path) -> dict[str, str]:
    """The files of an export with all there is, and their bytes as text."""
    report = exports.exported(folder, **FILES, **WHOLE)
    assert report.ok, report.findings
    made = [*FILES.values(), *(Path("wheels") / name for name in report.outputs.wheels)]
    return {str(file): (folder / file).read_bytes().hex() for file in made}


@pytest.mark.parametrize("name", ["forks", "workspace", "paths", "local label"])
def test_an_export_is_the_same_bytes_in_another_folder(tmp_path: Path, wheels: Path, name: str) -> None:
    """
    Asked twice, in a checkout elsewhere: lists, bill and wheels are the same, and the second writes nothing.
    """
    CASES[name].make(tmp_path / "here" / "wine", wheels)
    projects.lock(tmp_path / "here" / "wine")
    shutil.copytree(wheels, tmp_path / "else" / "all wheels")
    elsewhere = shutil.copytree(tmp_path / "here", tmp_path / "else" / "here") / "wine"

    here = everything(tmp_path / "here" / "wine")
    there = everything(elsewhere)

    again = exports.exported(elsewhere, **FILES, **WHOLE)
    assert (here, False, ()) == (there, again.outputs.changed, again.outputs.written)


def test_no_file_names_a_folder_of_this_machine(tmp_path: Path, wheels: Path) -> None:
    """
    Nobody else has our folders: wheels and flat folders are named as seen from the file.
    """
    paths(tmp_path / "wine", wheels)
    projects.lock(tmp_path / "wine")

    everything(tmp_path / "wine")

    texts = {str(file): (tmp_path / "wine" / file).read_text() for file in FILES.values()}
    assert [] == [name for name, text in texts.items() if str(tmp_path) in text or "file:" in text]
    assert '--find-links "../all wheels"' in texts["requirements.txt"]
    assert 'path = "../all wheels/cork-3.0-py3-none-any.whl"' in texts["pylock.toml"].replace("+cpu", "")


def test_a_wheel_of_other_bytes_that_installs_the_same_is_kept(tmp_path: Path, wheels: Path) -> None:
    """
    Some build backends stamp every wheel anew: what is committed stays, as long as it holds the same.
    """
    folder = package(tmp_path / "wine", "cork", name="wine", wheels=wheels)
    count = tmp_path / "count"
    count.write_text("1")
    stamp = f"int(pathlib.Path({str(count)!r}).read_text())"
    (folder / "backend.py").write_text(BACKEND.replace("(2026, 1, 1, 0, 0, 0)", f"(2026, 1, {stamp}, 0, 0, 0)"))
    projects.lock(folder)
    first = everything(folder)
    count.write_text("2")

    second = everything(folder)
    shutil.rmtree(folder / "wheels")
    third = everything(folder)

    assert (True, False) == (first == second, first == third)


def test_a_changed_source_changes_its_wheel(tmp_path: Path) -> None:
    """
    A comparison builds again, and names the wheel that is not what its sources say.
    """
    folder = package(tmp_path / "wine", name="wine")
    projects.lock(folder)
    exports.exported(folder, **FILES, **WHOLE, hashes=True)
    (folder / "backend.py").write_text(BACKEND.replace("BUILT = ", "CHANGED = "))

    asked: dict[str, Any] = {**FILES, "hashes": True, "local_packages": LocalPackages.WHEELS, "check": True}
    report = exports.exported(folder, **asked)

    assert ["requirements.txt", "pylock.toml", "wine-0.1.0-py3-none-any.whl"] == [
        finding.path.name for finding in report.findings if finding.path and finding.rule == "export-differs"
    ]
    assert "hashes of wine changed" == report.findings[-2].why


def test_building_leaves_the_sources_as_they_were(tmp_path: Path, wheels: Path) -> None:
    """
    Nothing is written into the checkout but the files that were asked for.
    """
    workspace(tmp_path / "wine", wheels)
    projects.lock(tmp_path / "wine")
    before = {path for path in (tmp_path / "wine").rglob("*") if "__pycache__" not in path.parts}

    everything(tmp_path / "wine")

    made = {path for path in (tmp_path / "wine").rglob("*") if "__pycache__" not in path.parts} - before
    files = {"wheels", "wine-0.1.0-py3-none-any.whl", "core-0.1.0-py3-none-any.whl", *map(str, FILES.values())}
    assert files == {path.name for path in made}


# what uv and the release make of it


def test_a_uv_that_cannot_write_a_bill_is_said_to_be_too_old(tmp_path: Path, wheels: Path) -> None:
    """
    uv 0.9.0 knows no CycloneDX: its words about flags help nobody.
    """
    folder = projects.project(tmp_path / "wine", "cork", wheels=wheels)
    projects.lock(folder)
    old = tmp_path / "uv"
    complaint = "error: invalid value 'cyclonedx1.5' for '--format <FORMAT>'"
    old.write_text(
        f'#!/bin/sh\ncase "$*" in *cyclonedx*) echo "{complaint}" >&2; exit 2;; esac\nexec {exports.PROGRAM} "$@"\n'
    )
    old.chmod(0o755)

    with pytest.raises(ToolMissing, match="uv cannot write this file") as caught:
        exports.exported(folder, uv=old, sbom_file=SBOM)

    assert caught.value.why.endswith("is too old for cyclonedx1.5")


def test_a_uv_that_says_nothing_is_not_believed(tmp_path: Path, wheels: Path) -> None:
    """
    A shim that ends well and does nothing would make an empty list.
    """
    folder = projects.project(tmp_path / "wine", "cork", wheels=wheels)
    projects.lock(folder)
    shim = tmp_path / "uv"
    shim.write_text("#!/bin/sh\n")
    shim.chmod(0o755)

    with pytest.raises(ToolMissing, match="is not uv"):
        exports.exported(folder, uv=shim, requirements_file=REQUIREMENTS)


def test_a_workspace_is_exported_inside_a_release(tmp_path: Path, root: Path) -> None:
    """
    log-model sends local packages as wheels, so that a release without a list of its own has nothing to refuse.
    """
    folder = shutil.copytree(root / "examples" / "workspace", tmp_path / "workspace") / "packages" / "training"
    variables = exports.offline({"MLFLOW_UV_HOME": str(tmp_path / "home")})
    host = Host.of(variables, folder=folder, python=Path(sys.executable))

    with toolbox(host, console=KeptConsole(), uv=exports.PROGRAM) as tools:
        within = release.run(release.Inputs(project=folder, steps=("check-lock", "export")), tools)
        asked = release.Inputs(project=folder, steps=("check-lock", "export"), requirements_file=REQUIREMENTS)
        filed = release.run(asked, tools)

    assert (True, ()) == (within.ok, within.findings)
    assert (False, ["export-local"]) == (filed.ok, [finding.rule for finding in filed.findings])
    assert not (folder / REQUIREMENTS).exists()
