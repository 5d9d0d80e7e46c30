"""Plans the layers of the packages of a composed image: which packages it has, and how they are divided."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from ...command.errors import StepError
from ...command.wording import Wording, joined, option
from ...core.image.composition import BaseLayers, Compression
from ...core.image.labels import BuildProvenance
from ...core.image.layer_grouping import MOST_LAYERS, LayerGroup, SizedPackage, grouped, sized
from ...core.lock.closure import selected_roots
from ...core.lock.install_findings import NOT_WHEELS
from ...core.lock.lockfile import Lockfile, read_lockfile
from ...core.lock.package_names import canonicalize_name
from ...core.lock.placement import Placement, Uncovered, place
from ...core.lock.targets import System, Target
from ...core.model import model_files
from ...core.model.model_files import ServedFiles, hashed_lines
from ...payloads.messages.lazy_dataclass import lazy_dataclass
from ...tools.layers.package_layers import WantedPackages
from ...tools.layers.registry_layers import RegistryLayers
from ...tools.project.files import read_manifest, table_of
from ...tools.toolbox import Tools
from ..lineage.recompute import RecomputedRelease
from .builders import ENGINE_BUILDS, BaseNotComposable, ModelNotComposable, without_wheel
from .composed import PackageParts
from .composed_base import ComposableBase
from .composed_sources import is_built_here
from .environment import Needs, indexes_for
from .layers import parts_of

# Of the base's bytecode, the environment, links to shared libraries, the server and the model.
_OTHER_LAYERS = 5


@lazy_dataclass
class Composition:
    """
    What is composed: the needs of the served model, the base image, and the facts in its labels.

    `python` is the interpreter that compiles, or its version. Only if it `builds`, packages are built from source.
    Layers that are `offered` are taken where this machine has none, and `prepared` ones used, if they are what
    is wanted. `verify` is the value of VERIFY in the configuration.
    """

    needs: Needs
    base: ComposableBase
    provenance: BuildProvenance
    python: str
    builds: bool = False
    offered: RegistryLayers | None = None
    prepared: Callable[[WantedPackages, BaseLayers], PackageParts | None] | None = None
    compression: Compression = Compression.GZIP
    verify: str = ""


@lazy_dataclass
class PackagePlan:
    """
    The requirements of each package of a release, the groups that become layers, and those that get no bytecode.

    `built` are the packages without a wheel for each composition, in their order.
    """

    lines: Mapping[str, tuple[str, ...]]
    groups: tuple[LayerGroup, ...]
    idle: frozenset[str]
    built: tuple[frozenset[str], ...]


def package_plan(release: RecomputedRelease, compositions: Sequence[Composition], tools: Tools) -> PackagePlan:
    """
    Plan the layers of packages for the compositions of a release, which have the same needs.

    Raises NotComposable, ToolFailed for a package without a wheel.
    """
    needs = compositions[0].needs
    lock, built = _require_composable(needs, release, [composition.base for composition in compositions], tools)
    lines = _lines(needs)
    sizes = {package.name: package for package in sized(lock.packages)}
    groups = grouped(sizes.get(name, SizedPackage(name=name, size=0)) for name in lines)
    for composition in compositions:
        _require_few_layers(groups, composition.base)
    return PackagePlan(lines=lines, groups=groups, idle=parts_of(needs, release, layered=False)[0].idle, built=built)


def wanted_packages(
    plan: PackagePlan, composition: Composition, built: frozenset[str], folder: Path, tools: Tools
) -> WantedPackages:
    """Return the packages of a composition, of which some are `built` from source; `folder` has the model's wheels."""
    return WantedPackages(
        groups=plan.groups,
        lines=plan.lines,
        folder=folder,
        idle=plan.idle,
        python=composition.python,
        platform=composition.base.platform,
        indexes=indexes_for(composition.needs, tools),
        built=built,
        builds=composition.builds,
        compression=composition.compression,
    )


def target_of(base: ComposableBase) -> Target:
    """Return the platform of a base."""
    minor, _, patch = base.python.version.removeprefix("3.").partition(".")
    return Target(
        system=System.LINUX,
        machine=base.machine,
        minor=int(minor),
        patch=int(patch) if patch.isdecimal() else None,
        level=base.glibc,
    )


def _lines(needs: Needs) -> dict[str, tuple[str, ...]]:
    """The requirements of each package; a package that is locked more than once has several, with markers."""
    assert needs.requirements is not None  # noqa: S101  # _require_composable checked it
    names = [*(pin.name for pin in needs.requirements.pins), *(canonicalize_name(wheel.name) for wheel in needs.wheels)]
    served = ServedFiles(requirements=needs.requirements, wheels=needs.wheels, python=needs.python)
    lines: dict[str, tuple[str, ...]] = {}
    for name, line in zip(names, hashed_lines(served), strict=True):
        lines[name] = (*lines.get(name, ()), line)
    return lines


def _require_composable(
    needs: Needs, release: RecomputedRelease, bases: Sequence[ComposableBase], tools: Tools
) -> tuple[Lockfile, tuple[frozenset[str], ...]]:
    """The lock of the model, and what is built from source for each base, if the rest are wheels with hashes."""
    lock_file = release.model / model_files.LOCK
    if needs.requirements is None or not lock_file.is_file():
        raise ModelNotComposable(
            what="an image can only be composed for a model that was logged with its lock",
            why="the requirements of this model were inferred by MLflow",
            fix=joined(", or ", (option("requirements", "lock"), ENGINE_BUILDS)),
        )
    lock = read_lockfile(lock_file.read_bytes())
    names = {pin.name for pin in needs.requirements.pins}
    built = []
    for base in bases:
        sources = [each for each in _placed(lock, release, base) if each.verdict in NOT_WHEELS]
        sources = [each for each in sources if each.package.name in names]
        if refused := next((each for each in sources if not is_built_here(each, tools)), None):
            raise without_wheel(refused)
        built.append(frozenset(each.package.name for each in sources))
    if lacking := [pin.name for pin in needs.requirements.pins if not pin.hashes]:
        raise ModelNotComposable(
            what="an image can only be composed from packages with hashes",
            why=f"the lock has none for {', '.join(lacking)}",
            fix=Wording(ENGINE_BUILDS, ", or install them from an index, then uv lock"),
        )
    return lock, tuple(built)


def _require_few_layers(groups: Sequence[LayerGroup], base: ComposableBase) -> None:
    """Raise BaseNotComposable for a base whose layers, with all of ours, are more than engines accept."""
    below = len(base.image.base.layers)
    if below + len(groups) + _OTHER_LAYERS > MOST_LAYERS:
        raise BaseNotComposable(
            what=f"the base image `{base.described.name}` has too many layers to compose an image on it",
            why=f"it has {below} of the {MOST_LAYERS} that engines accept, and the packages need {len(groups)}",
            fix=Wording(ENGINE_BUILDS, ", or ", option("base-image", "NAME"), " with fewer layers"),
        )


def _placed(lock: Lockfile, release: RecomputedRelease, base: ComposableBase) -> tuple[Placement, ...]:
    """The packages of the lock on the base; none if the lock does not say, and uv then refuses what has no wheel."""
    name = table_of(read_manifest(release.model / model_files.MANIFEST), "project").get("name")
    try:
        roots = selected_roots(lock, release.record.selection, name=None if name is None else str(name))
        placements = place(lock, roots, target_of(base))
    except (StepError, ValueError):
        return ()
    return () if isinstance(placements, Uncovered) else placements
