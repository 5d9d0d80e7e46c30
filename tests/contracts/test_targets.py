"""Packages of real locks are placed on targets as real uv would install them."""

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from mlflow_uv.core.lock.closure import closure, selected_roots
from mlflow_uv.core.lock.lockfile import Lockfile, read_lockfile
from mlflow_uv.core.lock.selection import Selection
from mlflow_uv.core.lock.targets import Markers, parse_target
from tests import projects
from tests.dryrun import MORE_PLATFORMS, PLATFORMS, Python, ours, pythons, uv_outcome

Maker = Callable[[Path, Path], Path]
EVERYWHERE = PLATFORMS | MORE_PLATFORMS
BACKEND = """
from pathlib import Path

def prepare_metadata_for_build_editable(folder, settings=None):
    found = Path(folder, "core-7.dist-info")
    found.mkdir()
    (found / "METADATA").write_text("Metadata-Version: 2.1\\nName: core\\nVersion: 7\\nRequires-Dist: cork\\n")
    (found / "WHEEL").write_text("Wheel-Version: 1.0\\nRoot-Is-Purelib: true\\nTag: py3-none-any\\n")
    return found.name
"""
BUILT = '[build-system]\nrequires = []\nbuild-backend = "backend"\n'


@pytest.fixture(scope="module")
def python() -> Python:
    """The newest of the machine."""
    return pythons()[0]


@pytest.fixture
def wheels(tmp_path: Path) -> Path:
    """Packages beside the projects: for everybody, for some, with extras, and as sources."""
    folder = tmp_path / "wheels"
    projects.wheel(folder, "grape", "1.0", ("yeast", "cork; extra == 'press'"))
    projects.wheel(folder, "grape", "1.1", ("yeast",))
    projects.wheel(folder, "yeast", "2.0")
    projects.wheel(folder, "yeast", "3.0", ("sugar; sys_platform != 'win32'",))
    projects.wheel(folder, "cork", "3.0", ("glue; platform_machine == 'aarch64' or python_full_version < '3.10'",))
    projects.wheel(folder, "glue", "1.0")
    projects.wheel(folder, "sugar", "1.0")
    projects.wheel(folder, "barrel", "1.0+oak")
    projects.wheel(folder, "barrel", "1.0")
    return folder


def forks(folder: Path, wheels: Path) -> Path:
    """One name at two versions."""
    return projects.project(
        folder, "grape==1.0; sys_platform == 'linux'", "grape==1.1; sys_platform != 'linux'", wheels=wheels
    )


def conflicting_extras(folder: Path, wheels: Path) -> Path:
    """Extras that exclude each other, and one that asks for another."""
    more = (
        '[project.optional-dependencies]\nold = ["grape==1.0"]\nnew = ["grape==1.1", "cork"]\nall = ["wine[new]"]\n'
        '[tool.uv]\nconflicts = [[{extra = "old"}, {extra = "new"}, {extra = "all"}]]\n'
    )
    return projects.project(folder, "yeast", wheels=wheels, more=more)


def conflicting_groups(folder: Path, wheels: Path) -> Path:
    """Groups that exclude each other, and an extra that excludes one of them."""
    more = (
        '[project.optional-dependencies]\nserve = ["yeast==2.0"]\n'
        '[dependency-groups]\nold = ["grape==1.0"]\nnew = ["grape==1.1"]\nthree = ["yeast==3.0"]\n'
        '[tool.uv]\nconflicts = [[{group = "old"}, {group = "new"}], [{extra = "serve"}, {group = "three"}]]\n'
    )
    return projects.project(folder, "yeast", wheels=wheels, more=more)


def conflicting_through_a_dependency(folder: Path, wheels: Path) -> Path:
    """What a member asks of the project switches what the project itself was walked for before."""
    more = (
        '[project.optional-dependencies]\ncpu = ["grape==1.1"]\ngpu = ["grape==1.0"]\nserve = ["shop"]\n'
        '[dependency-groups]\nfast = ["wine[gpu]"]\nslow = ["grape", "shop"]\n'
        '[tool.uv]\nconflicts = [[{extra = "cpu"}, {extra = "gpu"}]]\n'
        '[tool.uv.workspace]\nmembers = ["shop"]\n'
        "[tool.uv.sources]\nshop = {workspace = true}\n"
    )
    sources = "[tool.uv.sources]\nwine = {workspace = true}\n"
    projects.project(folder / "shop", "wine[gpu]", name="shop", more=sources + BUILT)
    return projects.project(folder, "grape", "yeast==2.0", wheels=wheels, more=more + BUILT)


def conflicting_members(folder: Path, wheels: Path) -> Path:
    """Members of a workspace that exclude each other."""
    more = (
        '[tool.uv]\nconflicts = [[{package = "red"}, {package = "white"}]]\n'
        '[tool.uv.workspace]\nmembers = ["red", "white"]\n'
    )
    projects.project(folder / "red", "grape==1.0", name="red", more=BUILT)
    projects.project(folder / "white", "grape==1.1", name="white", more=BUILT)
    return projects.project(folder, "sugar", wheels=wheels, more=more)


def two_indexes(folder: Path, wheels: Path) -> Path:
    """A package that comes from an index of its own."""
    projects.wheel(wheels.parent / "others", "cellar", "1.0", ("cork",))
    more = (
        f'[[tool.uv.index]]\nname = "others"\nurl = "{wheels.parent / "others"}"\nformat = "flat"\nexplicit = true\n'
        '[tool.uv.sources]\ncellar = {index = "others"}\n'
    )
    return projects.project(folder, "cellar", wheels=wheels, more=more)


def paths(folder: Path, wheels: Path) -> Path:
    """A wheel by its path, a folder that is no member, and a member whose version is dynamic."""
    wheel = projects.wheel(wheels.parent / "alone", "cellar", "1.0", ("cork",))
    projects.project(folder.parent / "beside", "sugar", name="beside", more=BUILT)
    more = (
        f'[tool.uv.workspace]\nmembers = ["core"]\n[tool.uv.sources]\ncellar = {{path = "{wheel}"}}\n'
        'core = {workspace = true}\nbeside = {path = "../beside"}\n'
    )
    backend = '[build-system]\nrequires = []\nbuild-backend = "backend"\nbackend-path = ["."]\n'
    core = projects.project(folder / "core", "cork", name="core", more=backend)
    text = (core / "pyproject.toml").read_text()
    (core / "pyproject.toml").write_text(text.replace('version = "0.1.0"', 'dynamic = ["version"]'))
    (core / "backend.py").write_text(BACKEND)
    return projects.project(folder, "cellar", "core", "beside", wheels=wheels, more=more)


def a_wheel_for_one_platform(folder: Path, wheels: Path) -> Path:
    """A wheel by its path that does not fit everywhere."""
    wheel = projects.wheel(wheels.parent / "alone", "cellar", "1.0", tag="py3-none-manylinux_2_28_x86_64")
    more = f'[tool.uv.sources]\ncellar = {{path = "{wheel}"}}\n'
    return projects.project(folder, "cellar", wheels=wheels, more=more)


def groups(folder: Path, wheels: Path) -> Path:
    """Groups that include each other, are empty, or have names that are written in another way; a default one."""
    more = (
        '[project.optional-dependencies]\nOne_Two = ["grape[press]==1.0"]\nnothing = []\n'
        '[dependency-groups]\ndev = ["cork"]\nTrain_It = ["sugar", {include-group = "dev"}]\nnone = []\n'
        '[tool.uv]\ndefault-groups = ["dev"]\n'
    )
    return projects.project(folder, "yeast", wheels=wheels, more=more)


def overrides(folder: Path, wheels: Path) -> Path:
    """What uv was told beside the requirements."""
    more = '[tool.uv]\noverride-dependencies = ["yeast==3.0"]\nconstraint-dependencies = ["grape<1.1"]\n'
    return projects.project(folder, "grape[press]", wheels=wheels, more=more)


def local_labels(folder: Path, wheels: Path) -> Path:
    """A local build on one platform, the public one elsewhere."""
    return projects.project(
        folder,
        "barrel==1.0+oak; sys_platform == 'linux'",
        "barrel==1.0; sys_platform != 'linux'",
        wheels=wheels,
    )


def environments(folder: Path, wheels: Path) -> Path:
    """A lock for some platforms alone."""
    more = "[tool.uv]\nenvironments = [\"sys_platform == 'linux'\", \"sys_platform == 'darwin'\"]\n"
    return projects.project(folder, "yeast", wheels=wheels, more=more)


def virtual_root(folder: Path, wheels: Path) -> Path:
    """A workspace whose root is no project and has groups of its own."""
    index = projects.INDEX.format(wheels=wheels)
    folder.mkdir()
    (folder / "pyproject.toml").write_text(
        '[tool.uv.workspace]\nmembers = ["core", "shop"]\n[tool.uv]\nrequired-version = ">=0.5"\n'
        f'{index}[dependency-groups]\ndev = ["grape[press]==1.0", "sugar; sys_platform == \'win32\'"]\n'
    )
    projects.project(folder / "core", "cork", name="core", more=BUILT)
    more = '[project.optional-dependencies]\nserve = ["yeast==2.0"]\n[dependency-groups]\ndev = ["glue"]\n'
    projects.project(folder / "shop", name="shop", more=more)
    return folder


TAGS = (
    "cp39-abi3-manylinux_2_28_x86_64",
    "cp39-abi3-manylinux2014_aarch64.manylinux_2_17_aarch64",
    "cp39-abi3-musllinux_1_1_x86_64",
    "cp39-abi3-macosx_11_0_arm64",
    "py3-none-macosx_10_9_universal2",
    "py2.py3-none-win_amd64",
    "py3-none-win_arm64",
    "cp39-cp39-manylinux2014_x86_64",
    "py3-none-linux_x86_64",
    "py3-none-manylinux_2_99_x86_64",
)


def tagged(folder: Path, wheels: Path) -> Path:
    """A package a tag, each with one wheel and nothing to build it from."""
    for number, tag in enumerate(TAGS):
        projects.wheel(wheels, f"only{number}", "1.0", tag=tag)
    listed = "\n".join(f'o{number} = ["only{number}"]' for number, _ in enumerate(TAGS))
    return projects.project(folder, wheels=wheels, more=f"[project.optional-dependencies]\n{listed}\n")


def sources(folder: Path, wheels: Path) -> Path:
    """A package that has a wheel for one platform and its source for the others, and one that has its source alone."""
    projects.wheel(wheels, "mixed", "1.0", tag="py3-none-win_amd64")
    projects.sdist(wheels, "mixed", "1.0")
    projects.sdist(wheels, "sourced", "1.0")
    return projects.project(folder, "mixed", "sourced", wheels=wheels)


def extras(*names: str) -> Selection:
    """A selection of extras."""
    return Selection(extras=names)


def grouped(*names: str) -> Selection:
    """A selection of groups."""
    return Selection(groups=names)


CASES: tuple[tuple[Maker, tuple[Selection, ...]], ...] = (
    (forks, ()),
    (conflicting_extras, (extras("old"), extras("new"), extras("all"), extras("old", "new"), extras("old", "all"))),
    (
        conflicting_groups,
        (
            grouped("old"), grouped("new"), grouped("three"), grouped("old", "new"), extras("serve"),
            Selection(extras=("serve",), groups=("three",)), Selection(extras=("serve",), groups=("old",)),
        ),
    ),
    (
        conflicting_through_a_dependency,
        (
            extras("cpu"), extras("gpu"), extras("serve"), extras("cpu", "serve"), grouped("fast"), grouped("slow"),
            Selection(extras=("cpu",), groups=("fast",)), Selection(extras=("cpu",), groups=("slow",)),
        ),
    ),
    (conflicting_members, (Selection(package="red"), Selection(package="white"))),
    (two_indexes, ()),
    (paths, (Selection(package="core"),)),
    (a_wheel_for_one_platform, ()),
    (
        groups,
        (
            extras("One_Two"), extras("one-two"), extras("ONE.two"), extras("nothing"), extras("no-such"),
            grouped("Train_It"), grouped("train-it"), grouped("none"), grouped("no-such"),
        ),
    ),
    (overrides, ()),
    (local_labels, ()),
    (environments, ()),
    (
        virtual_root,
        (grouped("dev"), extras("serve"), Selection(package="shop"), Selection(package="core", groups=("dev",))),
    ),
    (tagged, tuple(extras(f"o{number}") for number, _ in enumerate(TAGS))),
    (sources, ()),
)  # fmt: skip


# The slowest of those whose rules other cases have, too.
LATER = {"groups", "conflicting_through_a_dependency", "environments"}


@pytest.mark.parametrize(
    ("make", "selections"),
    [
        pytest.param(*case, marks=[pytest.mark.extended] * (case[0].__name__ in LATER), id=case[0].__name__)
        for case in CASES
    ],
)
def test_a_lock_is_placed_as_uv_places_it(
    tmp_path: Path, wheels: Path, python: Python, make: Maker, selections: tuple[Selection, ...]
) -> None:
    """
    Whatever a lock is made of, uv's dry run and we name the same packages on every platform, or the same obstacle.
    """
    folder = make(tmp_path / "wine", wheels)
    lock = read_lockfile(projects.lock(folder).read_bytes())
    name = None if make is virtual_root else "wine"
    asked = [(selection, here, there) for selection in (Selection(), *selections) for here, there in EVERYWHERE.items()]

    verdicts = {
        (selection, here): (
            uv_outcome(folder, selection, name=name, platform=there, python=python),
            ours(lock, selection, name=name, target=f"{here}-py{python.version}"),
        )
        for selection, here, there in asked
    }

    assert {} == {what: pair for what, pair in verdicts.items() if not pair[0].agrees(pair[1])}


class Deaf(Markers):
    """Markers for which no extra is ever active: plausible, since PEP 508 knows of no other."""

    def hold(self, marker: str, active: frozenset[str] = frozenset()) -> bool:  # the point
        """See Markers."""
        return super().hold(marker)


class Willing(Markers):
    """Markers that all hold: plausible, for it is what a list of the lock's packages says."""

    def hold(self, marker: str, active: frozenset[str] = frozenset()) -> bool:  # the point
        """See Markers."""
        return True


@pytest.mark.parametrize(
    ("make", "selection", "kind"),
    [
        (conflicting_through_a_dependency, extras("serve"), Deaf),
        (conflicting_through_a_dependency, extras("cpu"), Willing),
        (forks, Selection(), Willing),
    ],
)
def test_the_proof_finds_a_plausible_mistake(
    tmp_path: Path, wheels: Path, python: Python, make: Maker, selection: Selection, kind: type[Markers]
) -> None:
    """
    A walk that is deaf to what is active, or to every marker, installs something else than uv, and so would fail.
    """
    folder = make(tmp_path / "wine", wheels)
    lock = read_lockfile(projects.lock(folder).read_bytes())
    target = f"linux-x86_64-py{python.version}"

    expected = uv_outcome(folder, selection, name="wine", platform=EVERYWHERE["linux-x86_64"], python=python)
    right, wrong = (installed(lock, selection, one(parse_target(target))) for one in (Markers, kind))

    assert expected.agrees(ours(lock, selection, name="wine", target=target))
    assert right != wrong


def installed(lock: Lockfile, selection: Selection, markers: Markers) -> set[tuple[str, str | None]]:
    """The names and versions that are walked to."""
    roots = selected_roots(lock, selection, name="wine")
    return {(one.package.name, one.package.version) for one in closure(lock, roots, markers)}


def test_what_is_not_in_the_lock_is_no_selection(tmp_path: Path, wheels: Path, python: Python) -> None:
    """
    An unknown package is refused by uv too.
    """
    folder = forks(tmp_path / "wine", wheels)
    lock = read_lockfile(projects.lock(folder).read_bytes())
    selection = Selection(package="no-such")

    kinds = {
        uv_outcome(folder, selection, name="wine", platform=PLATFORMS["linux-x86_64"], python=python).kind,
        ours(lock, selection, name="wine", target="linux-x86_64-py3.11").kind,
    }

    assert {"bad"} == kinds


ALONE = """
import sys
from mlflow_uv.surfaces.cli import main
code = main(["check-targets", "--targets", "linux-x86_64-py3.11,macos-arm64-py3.12"])
print(code, sorted({"mlflow", "requests", "rich", "actions_toolkit"} & sys.modules.keys()))
"""


def test_the_answer_needs_no_other_program_and_nothing_heavy(tmp_path: Path, wheels: Path) -> None:
    """
    There is no uv on PATH and no network: the lock alone says it.
    """
    folder = virtual_root(tmp_path / "wine", wheels)
    projects.lock(folder)
    variables = {"PATH": str(tmp_path), "HOME": str(tmp_path), "UV_OFFLINE": "1"}

    done = subprocess.run(
        [sys.executable, "-I", "-c", ALONE], cwd=folder, env=variables, capture_output=True, text=True, check=True
    )

    assert "1 []\n" == done.stdout, done.stderr
    assert "wheels: this is a folder" in done.stderr
