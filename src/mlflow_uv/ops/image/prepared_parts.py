"""Makes the parts of a composed image that follow from record and lock, while MLflow is imported to verify them."""

from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from threading import Event, Lock

from ...command.errors import StepError
from ...command.inputs import EngineChoice
from ...core.image.composition import BaseLayers
from ...core.lock.package_names import canonicalize_name
from ...core.model.model_files import ServedFiles, environment_files
from ...core.release.digests import lock_digest
from ...payloads.messages.lazy_dataclass import lazy_dataclass
from ...tools.layers.cache import CachedLayer
from ...tools.layers.package_layers import LayersStopped, WantedPackages
from ...tools.layers.program import program_identity
from ...tools.layers.saved_image import SavedImage
from ...tools.oci.repository import RegistryUnanswered
from ...tools.system.threads import await_event
from ...tools.toolbox import Tools
from ..lineage.recompute import RecomputedRelease
from ..model.locked_files import locked_files
from .builders import PreparationRequest
from .composed import PackageParts, have_same_layers, make_package_parts
from .composed_base import ComposableBase, WantedBase, read_base, wanted_bases, with_unpacked
from .composed_packages import Composition, package_plan, wanted_packages
from .composed_release import composition_of
from .environment import Needs
from .layers import needs_for


@lazy_dataclass
class ReadBase:
    """A base that was read for a Python (`3.12.3`)."""

    wanted: WantedBase
    python: str
    base: ComposableBase


class PartsMaker:
    """
    Reads the base and makes the layers of packages for what a record and the lock of the checkout say, in a thread.

    Neither is verified by then: what is made is kept in the caches, and used for an image, or passed on, only if the
    verified model wants exactly that. Errors are left to whoever makes the parts next.
    """

    def __init__(self, request: PreparationRequest, scratch: Path, tools: Tools) -> None:
        self._request = request
        self._scratch = scratch
        self._tools = tools
        self._stopped = False
        self._read: ReadBase | None = None
        self._made: PackageParts | None = None
        self._base_is_read, self._planned, self._ended = Event(), Event(), Event()
        self._plan: tuple[WantedPackages, BaseLayers] | None = None
        self._layers = LayerQueue()

    def base_for(self, wanted: WantedBase, needs: Needs) -> ComposableBase | None:
        """The base if it is the wanted one, and fits what needs it; waits until it is read."""
        await_event(self._base_is_read)
        read = self._read
        return read.base if read is not None and (wanted, needs.python) == (read.wanted, read.python) else None

    def parts_for(
        self, wanted: WantedPackages, base: BaseLayers, *, on_layer: Callable[[CachedLayer], None] | None = None
    ) -> PackageParts | None:
        """
        The parts if they are those of wanted packages; waits until they are made.

        Meanwhile `on_layer` gets each layer of these packages when it is there, and none of others.
        """
        await_event(self._planned)
        if on_layer is not None and self._is_planned(wanted, base):
            self._layers.deliver(on_layer)
        await_event(self._ended)
        return self._made if self._made is not None and self._made.are_for(wanted, base) else None

    def _is_planned(self, wanted: WantedPackages, base: BaseLayers) -> bool:
        return self._plan is not None and self._plan[1] == base and have_same_layers(self._plan[0], wanted)

    def stop(self) -> None:
        """Let it begin no further layer."""
        self._stopped = True

    def cancel(self) -> None:
        """End its downloads and programs too: no signal interrupts a thread that waits for them."""
        self.stop()
        self._tools.registries.cancel()
        self._tools.runner.end_all()

    def create_environment(self, release: RecomputedRelease) -> None:
        """Create the environment whose interpreter compiles; it exists already if MLflow runs in it for the store."""
        may_have_engine = self._request.engine is not EngineChoice.NONE
        if release.project is not None and self._request.is_composed(has_engine=may_have_engine):
            with suppress(StepError):
                self._tools.environments.project(release.project, release.record.selection)

    def make(self, release: RecomputedRelease, base: object) -> None:
        """
        Make the parts of a release whose record is not verified, and whose model is not here.

        What was unpacked of a `base` that was read before (`SavedImage`) is not unpacked again.
        """
        try:
            with suppress(StepError, RegistryUnanswered, OSError, ValueError, LayersStopped):
                self._make(release, base if isinstance(base, SavedImage) else None)
        finally:
            for event in (self._base_is_read, self._planned, self._ended):
                event.set()

    def _make(self, release: RecomputedRelease, image: SavedImage | None) -> None:
        compose, tools = self._request.compose, self._tools
        engine = tools.engines.answering(self._request.engine)
        if release.project is None or not self._request.is_composed(has_engine=engine is not None):
            return
        release = self._with_expected_model(release)
        needs = needs_for(release, compose.serving)
        (named,) = wanted_bases(compose.base, compose.platforms, needs, engine, tools)
        wanted = replace(named, layout=compose.base_layout)
        base = with_unpacked(read_base(wanted, needs, self._scratch / "base", tools), image)
        # Before `base_for` returns: two threads must not sync the environment of the project.
        composition = composition_of(release, needs, base, compose.serving, tools)
        self._read = ReadBase(wanted=wanted, python=needs.python, base=base)
        self._base_is_read.set()
        self._made = self._parts(release, replace(composition, compression=compose.compression))
        self._ended.set()
        program_identity(tools.host.ours)  # is cached for the record; it reads all modules of this program

    def _with_expected_model(self, release: RecomputedRelease) -> RecomputedRelease:
        """The release with a folder that has the files of its model which say what is installed."""
        project, record = release.project, release.record
        assert project is not None  # noqa: S101  # `_make` checked it
        locked = project.lock.read_bytes()
        if lock_digest(locked) != record.lock.sha256:
            raise ValueError("the lock is not that of the record")
        served = ServedFiles(
            requirements=self._tools.uv.export(project, record.selection),
            wheels=record.requirements.wheels,
            python=record.model.python,
        )
        written = {name: text.encode() for name, text in environment_files(served).items()}
        for name, content in {**written, **locked_files(project, locked)}.items():
            path = self._scratch / "model" / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)
        return replace(release, model=self._scratch / "model")

    def _parts(self, release: RecomputedRelease, composition: Composition) -> PackageParts:
        """
        The parts on a base, without layers of packages whose wheels only the model has, or that are built from source.

        A build runs code, which waits until the record is verified.
        """
        base, tools = composition.base, self._tools
        plan = package_plan(release, (composition,), tools)
        later = {canonicalize_name(wheel.name) for wheel in composition.needs.wheels} | plan.built[0]
        groups = tuple(group for group in plan.groups if later.isdisjoint(group.packages))
        folder = self._scratch / "work"
        folder.mkdir()
        wanted = wanted_packages(replace(plan, groups=groups), composition, plan.built[0], folder, tools)
        self._plan = wanted, base.image.base
        self._planned.set()
        return make_package_parts(
            base.image,
            base.python,
            base.loader,
            wanted,
            tools,
            stopped=lambda: self._stopped,
            on_layer=self._layers.add,
        )


class LayerQueue:
    """Keeps layers until somebody may have them, who then gets these and all others when they are there."""

    def __init__(self) -> None:
        self._kept: list[CachedLayer] = []
        self._receive: Callable[[CachedLayer], None] | None = None
        self._order = Lock()

    def add(self, layer: CachedLayer) -> None:
        """Pass a layer on, or keep it."""
        with self._order:
            if self._receive is None:
                self._kept.append(layer)
            else:
                self._receive(layer)

    def deliver(self, receive: Callable[[CachedLayer], None]) -> None:
        """Pass on what was kept, and each layer from now on."""
        with self._order:
            self._receive = receive
            for layer in self._kept:
                receive(layer)
            self._kept.clear()
