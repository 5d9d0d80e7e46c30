"""Makes the layers of a lock's packages: uv lays the wheels out, and an interpreter of the model compiles them."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import replace
from functools import partial
from itertools import chain
from pathlib import Path, PurePosixPath
from platform import libc_ver
from tempfile import TemporaryDirectory
from typing import Any, Protocol

from ...command.errors import ToolFailed
from ...core.image.composition import Compression
from ...core.image.dockerfile import VENV
from ...core.image.layer_grouping import LayerGroup
from ...core.release.digests import canonical, sha256
from ...payloads.messages.lazy_dataclass import lazy_dataclass
from ..engines.library_scanner import Descriptions, is_named_as_library
from ..system.disk_errors import disk_errors
from ..system.process import Runner
from .archive import LayerFile, compressor_identity, write_layer
from .cache import CachedLayer, LayerCache
from .compiler import Compiler
from .layer_contents import LayerContents
from .recorded_packages import (
    RecordedPackage,
    recorded_digests,
    recorded_packages,
    require_apart,
    shared_files,
    unowned,
    verified_files,
)

# Changes when the same wheels give other layers.
FORMAT = 2
_HOME = PurePosixPath(VENV)
_SPACE = "free space there, or set MLFLOW_UV_HOME to a larger disk"


class LayersStopped(Exception):
    """The layers are not needed any more."""


class Installer(Protocol):
    """What lays wheels out; see `Uv`."""

    def create(self, environment: Path, *, python: str, on_line: Callable[[str], None]) -> Path:
        """Create an empty environment; return its interpreter. Raises ToolFailed."""

    def lay_out(  # noqa: PLR0913  # see Uv
        self,
        requirements: Path,
        interpreter: Path,
        *,
        platform: str,
        built: Iterable[str] = (),
        indexes: Mapping[str, str],
        on_line: Callable[[str], None],
    ) -> None:
        """Install complete pins with hashes for a platform: wheels, and `built` ones from source. Raises ToolFailed."""

    def own_version(self) -> str | None:
        """Its version, on which the files that it writes depend."""


class LayerSource(Protocol):
    """What may have layers, by what they are made from; see `RegistryLayers`."""

    def take(self, wanted: Mapping[str, str]) -> Mapping[str, CachedLayer]:
        """The layers with these keys that it has, with the names that are given for them."""


@lazy_dataclass
class WantedPackages:
    """
    The packages of an image, in the groups that become its layers.

    `lines` are the requirements of each name, with hashes; the wheels that they name are relative to `folder`. `idle`
    packages get no bytecode. `python` is an interpreter or its version, as uv takes it, `platform` a target of uv, and
    `indexes` are the variables that name the indexes of the lock. `built` packages have no wheel for the platform, and
    are built from source only if that is allowed (`builds`), because it runs their code.
    """

    groups: tuple[LayerGroup, ...]
    lines: Mapping[str, tuple[str, ...]]
    folder: Path
    idle: frozenset[str]
    python: str
    platform: str
    indexes: Mapping[str, str]
    built: frozenset[str] = frozenset()
    builds: bool = False
    compression: Compression = Compression.GZIP


@lazy_dataclass
class PackagesAsLayers:
    """
    The layers in their order, lowest first, and how many of them were in the cache.

    `python` is the version of the interpreter that compiled them. `replaced` are the paths for which packages brought
    different files: the image has that of the package whose layer is higher, or whose name is later. `built` are the
    names of layers with a package that was built from source, whose bytes another build may not give again.
    """

    layers: tuple[CachedLayer, ...]
    reused: int
    python: str
    replaced: tuple[PurePosixPath, ...] = ()
    built: tuple[str, ...] = ()

    @property
    def libraries(self) -> Descriptions:
        """The descriptions of all shared libraries; where layers have one path, that of the highest counts."""
        return {path: each for layer in self.layers for path, each in layer.libraries.items()}


class PackageLayers:
    """Makes the layers of packages, each once; see `LayerCache`."""

    def __init__(  # noqa: PLR0913  # what makes them, and where they are
        self,
        uv: Installer,
        runner: Runner,
        cache: LayerCache,
        *,
        describe: Callable[[Path], Descriptions],
        on_line: Callable[[str], None],
        offered: LayerSource | None = None,
        stopped: Callable[[], bool] = lambda: False,
        on_layer: Callable[[CachedLayer], None] = lambda _: None,
    ) -> None:
        """
        `describe` reads shared libraries in a folder. `offered` layers are taken where the cache has none.

        No further layer is begun once `stopped` returns true. `on_layer` gets each one when it is there, in any thread.
        """
        self._uv = uv
        self._runner = runner
        self._cache = cache
        self._describe = describe
        self._on_line = on_line
        self._offered = offered
        self._stopped = stopped
        self._on_layer = on_layer

    def layers(self, wanted: WantedPackages) -> PackagesAsLayers:
        """
        The layers of packages, from the cache or made now. Raises ToolFailed, NoSpace, LayersStopped.

        A layer is a function of the requirements with their hashes, the platform, uv's version, the version of the
        interpreter that compiles, and FORMAT. A file of a layer covers the same path in a lower one, with its bytecode:
        where both differ, also idle packages get bytecode.
        """
        made = self._layers(wanted)
        differing_files = _differing(made.layers)
        covering = set().union(*differing_files.values())
        names = {name for group in wanted.groups if group.name in covering for name in group.packages}
        if names & wanted.idle:
            made = self._layers(replace(wanted, idle=wanted.idle - names))
        replaced = {*differing_files, *(path for layer in made.layers for path in layer.replaced)}
        return replace(made, replaced=tuple(sorted(replaced)))

    def _layers(self, wanted: WantedPackages) -> PackagesAsLayers:
        with TemporaryDirectory(prefix="mlflow-uv-layers-") as scratch, ExitStack() as stack:
            folder = Path(scratch)
            compiler = stack.enter_context(
                Compiler.of(wanted.python, folder / "compiler", self._uv, self._runner, self._on_line)
            )
            keys = [self._key(group, wanted, compiler) for group in wanted.groups]
            cached = self._runner.side_by_side([partial(self._cache.find, key) for key in keys])
            known = {group: layer for group, layer in zip(wanted.groups, cached, strict=True) if layer is not None}
            reused = sum(bool(layer.files) for layer in known.values())
            by_group = dict(zip(wanted.groups, keys, strict=True))
            known |= self._taken({group: key for group, key in by_group.items() if group not in known}, wanted)
            for layer in known.values():
                self._on_layer(layer)
            absent = [group for group in wanted.groups if group not in known]
            if absent:
                environment = folder / "environment"
                self._uv.create(environment, python=wanted.python, on_line=self._on_line)
                laying = _Laying(self._uv, wanted, folder, self._on_line)
                packages = laying.lay_out(environment, tuple(chain.from_iterable(g.packages for g in absent)))
                making = _Making(
                    packages=packages,
                    compiler=compiler,
                    idle=wanted.idle,
                    compression=wanted.compression,
                    scratch=folder / "bytecode",
                    libraries=self._described(packages.values()),
                )
                # The largest first: at the end, no processor waits for one that has just begun.
                absent.sort(key=lambda group: sum(packages[n].count for n in group.packages if n in packages))
                absent.reverse()
                made = self._runner.side_by_side(
                    [partial(self._write, group, by_group[group], making) for group in absent]
                )
                known |= dict(zip(absent, made, strict=True))
        layers = (_with_key(known[group], key, group, wanted) for group, key in by_group.items())
        return PackagesAsLayers(
            layers=tuple(layer for layer in layers if layer.files),
            reused=reused,
            python=compiler.version,
            built=tuple(group.name for group in wanted.groups if not wanted.built.isdisjoint(group.packages)),
        )

    def _described(self, packages: "Iterable[_Package]") -> dict[Path, Descriptions]:
        """The descriptions of the shared libraries in each environment where packages were laid out."""
        environments = dict.fromkeys(package.environment for package in packages if package.has_libraries)
        return {environment: self._describe(environment) for environment in environments}

    def _taken(self, absent: Mapping[LayerGroup, str], wanted: WantedPackages) -> dict[LayerGroup, CachedLayer]:
        """The layers that another place has, of packages that are not built from source."""
        if self._offered is None:
            return {}
        names = {key: group.name for group, key in absent.items() if wanted.built.isdisjoint(group.packages)}
        taken = self._offered.take(names)
        return {group: taken[key] for group, key in absent.items() if key in taken}

    def _key(self, group: LayerGroup, wanted: WantedPackages, compiler: Compiler) -> str:
        lines = [sorted(wanted.lines[name]) for name in group.packages]
        compiled = [name not in wanted.idle for name in group.packages]
        uv = self._uv.own_version()
        ours: list[object] = [FORMAT, compressor_identity(wanted.compression), *compiler.identity, uv]
        if built := sorted(wanted.built.intersection(group.packages)):
            ours += [built, *libc_ver()]  # what is compiled is linked against the C library of this machine
        return sha256(canonical([lines, compiled, wanted.platform, *ours]))

    def _write(self, group: LayerGroup, key: str, making: "_Making") -> CachedLayer:
        """A layer; where packages bring the same file, that of the last one by name is in it. Raises LayersStopped."""
        if self._stopped():
            raise LayersStopped
        verified = {name: making.packages[name].verified() for name in group.packages if name in making.packages}
        modules = {name: _modules(files) for name, files in verified.items() if name not in making.idle}
        compiled = making.compiler.compile(modules, making.scratch / key)
        files: dict[PurePosixPath, LayerFile] = {}
        digests: dict[PurePosixPath, str] = {}
        replaced: set[PurePosixPath] = set()
        libraries: dict[str, Mapping[str, Any]] = {}
        for name, own in verified.items():
            recorded = recorded_digests(making.packages[name].recorded, own)
            brought = {_HOME / path: digest for path, digest in recorded.items()}
            changed = {path for path, digest in brought.items() if digests.get(path, digest) != digest}
            replaced |= changed
            if changed:
                files = {path: file for path, file in files.items() if _module_of(path) not in changed}
            files |= {_HOME / path: file for path, file in own.items()}
            files |= compiled.get(name, {})
            digests |= brought
            described = making.libraries.get(making.packages[name].environment, {})
            # A file of several packages is described as that of the last one: never by what else was laid out.
            libraries |= {path: {**described[path], "package": name} for path in map(str, own) if path in described}
        contents = LayerContents(files={str(path): digest for path, digest in digests.items()}, libraries=libraries)
        write = partial(write_layer, group.name, files, compression=making.compression, contents=contents)
        with disk_errors("a layer of the image", self._cache.folder, fix=_SPACE):
            layer = self._cache.add(key, write, contents, replaced)
        self._on_layer(layer)
        return layer


@lazy_dataclass
class _Package:
    """A package that was laid out in an environment."""

    recorded: RecordedPackage
    environment: Path

    @property
    def count(self) -> int:
        """How many files it has."""
        return len(self.recorded.files)

    @property
    def has_libraries(self) -> bool:
        """Whether a file of it may be a shared library, by its name."""
        return any(is_named_as_library(file.path.name) for file in self.recorded.files)

    def verified(self) -> Mapping[PurePosixPath, LayerFile]:
        """Its files, each with the content that RECORD lists. Raises ToolFailed."""
        return verified_files(self.environment, self.recorded, _HOME)


@lazy_dataclass
class _Making:
    """
    What layers are made of: the packages that were laid out, and what compiles those that are not `idle`.

    `libraries` are the descriptions of shared libraries in each environment.
    """

    packages: Mapping[str, _Package]
    compiler: Compiler
    idle: frozenset[str]
    compression: Compression
    scratch: Path
    libraries: Mapping[Path, Descriptions]


def _modules(files: Mapping[PurePosixPath, LayerFile]) -> list[tuple[PurePosixPath, Path]]:
    """The Python files of a package, sorted by path: bytecode depends on what a process compiled before."""
    return [
        (_HOME / path, source)
        for path in sorted(files)
        if path.suffix == ".py" and path.parts[0] == "lib" and (source := files[path].source) is not None
    ]


class _Laying:
    """Lays packages out."""

    def __init__(self, uv: Installer, wanted: WantedPackages, scratch: Path, on_line: Callable[[str], None]) -> None:
        self._uv = uv
        self._wanted = wanted
        self._scratch = scratch
        self._on_line = on_line

    def lay_out(self, environment: Path, names: Sequence[str]) -> dict[str, _Package]:
        """
        All packages in one environment; those that bring different content for one path again, each in its own.

        uv installs packages concurrently, so that it is left to chance whose file such a path gets.
        """
        packages = self._install(environment, names)
        alone = differing(packages) if len(packages) > 1 else frozenset()
        result = {
            package.name: _Package(recorded=package, environment=environment)
            for package in packages
            if package.name not in alone
        }
        for name in sorted(alone):
            own = self._scratch / f"alone-{name}"
            self._uv.create(own, python=str(environment / "bin" / "python"), on_line=self._on_line)
            (package,) = self._install(own, (name,))
            result[name] = _Package(recorded=package, environment=own)
        return {name: result[name] for name in sorted(result)}

    def _install(self, environment: Path, names: Sequence[str]) -> tuple[RecordedPackage, ...]:
        """Packages in an environment, whose own files they leave as they are, and nothing else."""
        before = frozenset(unowned(environment, ()))
        requirements = self._wanted.folder / f"{environment.name}.txt"
        text = "".join(f"{line}\n" for name in names for line in self._wanted.lines[name])
        requirements.write_text(text, encoding="utf-8")
        self._uv.lay_out(
            requirements,
            environment / "bin" / "python",
            platform=self._wanted.platform,
            built=sorted(self._wanted.built.intersection(names)) if self._wanted.builds else (),
            indexes=self._wanted.indexes,
            on_line=self._on_line,
        )
        packages = recorded_packages(environment)
        require_apart(packages, before)
        if strays := sorted(set(unowned(environment, packages)) - before - {PurePosixPath(".lock")}):
            raise ToolFailed(
                what=f"`{strays[0]}` cannot be put into an image",
                why="no package lists it in its RECORD; the cache of uv was changed, or a wheel is broken",
                fix="uv cache clean",
            )
        return packages


def _with_key(layer: CachedLayer, key: str, group: LayerGroup, wanted: WantedPackages) -> CachedLayer:
    """A layer with its key, by which it may be taken; not if it was built, or if its list does not say all of it."""
    if layer.replaced or not wanted.built.isdisjoint(group.packages):
        return layer
    return replace(layer, layer=replace(layer.layer, key=key))


def _module_of(path: PurePosixPath) -> PurePosixPath:
    """The module of a bytecode file; the path itself for any other file."""
    if path.suffix != ".pyc" or path.parent.name != "__pycache__":
        return path
    return path.parents[1] / f"{path.name.rsplit('.', 2)[0]}.py"


def _differing(layers: tuple[CachedLayer, ...]) -> dict[PurePosixPath, frozenset[str]]:
    """The paths for which layers have different content, with the names of these layers."""
    owners: dict[str, list[CachedLayer]] = {}
    for layer in layers:
        for path in layer.files:
            owners.setdefault(path, []).append(layer)
    return {
        PurePosixPath(path): frozenset(layer.layer.name for layer in holding)
        for path, holding in owners.items()
        if len({layer.files[path] for layer in holding}) > 1
    }


def differing(packages: tuple[RecordedPackage, ...]) -> frozenset[str]:
    """The packages that bring a path for which another one has other content."""
    digests = {package.name: {file.path: file.digest for file in package.files} for package in packages}
    names: set[str] = set()
    for path, owners in shared_files(packages).items():
        if len({digests[owner][path] for owner in owners}) > 1:
            names |= set(owners)
    return frozenset(names)
