"""Selects the packages of a lock for an image, and divides them into layers."""

from dataclasses import replace
from functools import partial
from typing import Protocol

from ...command.errors import BadInput, ChainBroken
from ...command.inputs import Serving
from ...command.wording import joined, option
from ...core.export.requirements import Requirements
from ...core.image.layers import LARGE, PACKAGES, PackageLayer, large_packages
from ...core.image.slim import imported_requirements, slim_requirements
from ...core.lock.lockfile import Lockfile, NotALock, read_lockfile
from ...core.lock.selection import Selection
from ...core.model import model_files
from ...core.model.model_files import ServedFiles, hashed_lines
from ...tools.project.files import read_manifest, table_of
from ..lineage.recompute import RecomputedRelease
from .environment import Needs, needs_of


def needs_for(release: RecomputedRelease, serving: Serving) -> Needs:
    """
    Return the needs of the model for a kind of serving.

    Raises ChainBroken for requirements other than the recorded ones, BadInput if `slim` is not possible.
    """
    record = release.record
    needs = needs_of(release.model, wheels=record.requirements.wheels, python=record.model.python)
    if needs.requirements is not None and needs.requirements.digest != record.requirements.sha256:
        raise ChainBroken("requirements", why="the requirements with hashes are not the recorded ones")
    return needs if serving is Serving.LOCKED else _slimmed(needs, release)


def parts_of(needs: Needs, release: RecomputedRelease, *, layered: bool) -> tuple[PackageLayer, ...]:
    """Return the packages of each layer, lowest first; `layered` puts large packages into their own layer."""
    idle = _idle(needs, release)
    whole = PackageLayer(folder=PACKAGES, requirements=needs.list.read_text(encoding="utf-8"), idle=idle)
    lock = release.model / model_files.LOCK
    if not layered or needs.requirements is None or not lock.is_file():
        return (whole,)
    names = large_packages(read_lockfile(lock.read_bytes()).packages)
    lower = tuple(pin for pin in needs.requirements.pins if pin.name in names)
    upper = tuple(pin for pin in needs.requirements.pins if pin.name not in names)
    below = _text(replace(needs, requirements=replace(needs.requirements, pins=lower), wheels=()))
    above = _text(replace(needs, requirements=replace(needs.requirements, pins=upper)))
    if not below or not above:
        return (whole,)
    # Names of all idle packages: those without bytecode in the lower layer could get some in this one.
    return (PackageLayer(folder=LARGE, requirements=below, idle=idle & names), replace(whole, requirements=above))


def _text(needs: Needs) -> str:
    if needs.requirements is None:
        return needs.list.read_text(encoding="utf-8")
    served = ServedFiles(requirements=needs.requirements, wheels=needs.wheels, python=needs.python)
    return "".join(f"{line}\n" for line in hashed_lines(served))


def _slimmed(needs: Needs, release: RecomputedRelease) -> Needs:
    mlmodel = (release.model / "MLmodel").read_text(encoding="utf-8")
    smaller = replace(needs, requirements=_part(needs, release, partial(slim_requirements, mlmodel=mlmodel)))
    needs.list.write_text(_text(smaller), encoding="utf-8")
    return smaller


class _Reduction(Protocol):
    def __call__(
        self, requirements: Requirements, lock: Lockfile, selection: Selection, *, name: str | None
    ) -> Requirements: ...


def _part(needs: Needs, release: RecomputedRelease, reduction: _Reduction) -> Requirements:
    lock = release.model / model_files.LOCK
    if needs.requirements is None or not lock.is_file():
        raise BadInput(
            what="`serving: slim` needs a model that was logged with its lock",
            why="the requirements of this model were inferred by MLflow",
            fix=joined(", or ", (option("requirements", "lock"), option("serving", "locked"))),
        )
    manifest = read_manifest(release.model / model_files.MANIFEST)
    name = table_of(manifest, "project").get("name")
    try:
        return reduction(
            needs.requirements,
            read_lockfile(lock.read_bytes()),
            release.record.selection,
            name=None if name is None else str(name),
        )
    except NotALock as error:
        raise ChainBroken("lock", why=f"the model's uv.lock cannot be read: {error}") from error


def _idle(needs: Needs, release: RecomputedRelease) -> frozenset[str]:
    """Return the packages that our servers never import, whatever the model; empty if unknown."""
    try:
        needed = _part(needs, release, imported_requirements)
    except BadInput:
        return frozenset()
    pinned = needs.requirements.pins if needs.requirements else ()
    return frozenset(pin.name for pin in pinned) - {pin.name for pin in needed.pins}
