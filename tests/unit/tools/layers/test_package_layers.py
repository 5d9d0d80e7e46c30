"""The layers of packages, with an installer that lays out what a test says, and the interpreter of this process."""

import json
import os
import sys
import tarfile
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest

from mlflow_uv.command.errors import ToolFailed
from mlflow_uv.core.image.layer_grouping import LayerGroup
from mlflow_uv.tools.layers.cache import CachedLayer, LayerCache
from mlflow_uv.tools.layers.package_layers import PackageLayers, PackagesAsLayers, WantedPackages
from mlflow_uv.tools.system.process import SystemRunner
from tests.unit.tools.layers.test_recorded_packages import SITE, package

INIT = "cellar/__init__.py"


@dataclass
class FakeUv:
    """Lays out the files of each package that a requirement names, in the order of `order`."""

    packages: Mapping[str, dict[str, bytes]]
    order: tuple[str, ...] = ()
    stray: str = ""
    version: str = "0.13.8"
    installed: list[list[str]] = field(default_factory=list)

    def create(self, environment: Path, **_: Any) -> Path:
        """See Uv."""
        (environment / "bin").mkdir(parents=True)
        (environment / "bin" / "python").symlink_to(sys.executable)
        return environment / "bin" / "python"

    def lay_out(self, requirements: Path, interpreter: Path, **_: Any) -> None:
        """See Uv."""
        names = sorted(line.partition("==")[0] for line in requirements.read_text().splitlines())
        self.installed.append(names)
        for name in sorted(names, key=(*self.order, *names).index):
            package(interpreter.parents[1], name, self.packages[name])
        if self.stray:
            (interpreter.parents[1] / self.stray).write_text("import os")

    def own_version(self) -> str:
        """See Uv."""
        return self.version


def no_libraries(_folder: Path) -> dict[str, dict[str, Any]]:
    """What is described in a folder without shared libraries."""
    return {}


def wanted(folder: Path, *groups: tuple[str, ...], idle: tuple[str, ...] = ()) -> WantedPackages:
    names = [name for group in groups for name in group]
    return WantedPackages(
        groups=tuple(LayerGroup(name=" ".join(group), packages=group) for group in groups),
        lines={name: (f"{name}==1.0 --hash=sha256:{name}",) for name in names},
        folder=folder,
        idle=frozenset(idle),
        python=sys.executable,
        platform="x86_64-manylinux_2_28",
        indexes={},
    )


@dataclass
class Maker:
    """Makes layers in a folder of a test."""

    folder: Path

    def make(self, uv: FakeUv, request: WantedPackages) -> PackagesAsLayers:
        """The layers, with a cache that the next call has, too."""
        return PackageLayers(
            uv, SystemRunner(), LayerCache(self.folder / "cache"), describe=no_libraries, on_line=print
        ).layers(request)


@pytest.fixture
def maker(tmp_path: Path) -> Maker:
    return Maker(tmp_path)


def names_in(layer: CachedLayer) -> list[str]:
    """The files of a layer by their names alone."""
    with tarfile.open(layer.archive) as tar:
        return [Path(entry.name).name.replace(sys.implementation.cache_tag, "X") for entry in tar if entry.isfile()]


def text_in(layers: tuple[CachedLayer, ...], name: str) -> dict[str, bytes]:
    """What an image of these layers has at the paths that end so: the highest layer counts."""
    files: dict[str, bytes] = {}
    for layer in layers:
        with tarfile.open(layer.archive) as tar:
            entries = [entry for entry in tar if entry.isfile() and entry.name.endswith(name)]
            files |= {entry.name: file.read() for entry in entries if (file := tar.extractfile(entry))}
    return files


def test_a_layer_holds_its_packages_with_their_bytecode(maker: Maker, tmp_path: Path) -> None:
    """
    An idle package has none.
    """
    uv = FakeUv({"grape": {"grape.py": b"colour = 'red'\n"}, "plum": {"plum.py": b""}})

    grape, plum = maker.make(uv, wanted(tmp_path, ("grape",), ("plum",), idle=("plum",))).layers

    assert ["METADATA", "RECORD", "grape.X.pyc", "grape.py"] == sorted(names_in(grape))
    assert ["METADATA", "RECORD", "plum.py"] == sorted(names_in(plum))


def test_only_what_is_not_known_yet_is_laid_out(maker: Maker, tmp_path: Path) -> None:
    """
    After a change of one package, that one alone; and the result is that of a machine which knew nothing.
    """
    uv = FakeUv({name: {f"{name}.py": b""} for name in ("grape", "pear", "plum")})
    before = maker.make(uv, wanted(tmp_path, ("grape",), ("pear",)))

    after = maker.make(uv, wanted(tmp_path, ("grape",), ("plum",)))

    elsewhere = Maker(tmp_path / "elsewhere")
    assert [["grape", "pear"], ["plum"]] == uv.installed
    assert (0, 1, before.layers[0]) == (before.reused, after.reused, after.layers[0])
    fresh = elsewhere.make(uv, wanted(tmp_path, ("grape",), ("plum",)))
    assert [layer.layer for layer in fresh.layers] == [layer.layer for layer in after.layers]


@pytest.mark.parametrize(
    "other",
    [
        {"platform": "aarch64-manylinux_2_28"},
        {"lines": {"grape": ("grape==1.0 --hash=sha256:other",)}},
        {"idle": frozenset({"grape"})},
    ],
)
def test_what_changes_the_content_changes_the_key(maker: Maker, tmp_path: Path, other: dict[str, Any]) -> None:
    """
    The layer of another platform, wheel or version of uv is never taken for this one.
    """
    uv = FakeUv({"grape": {"grape.py": b""}})
    request = wanted(tmp_path, ("grape",))
    maker.make(uv, request)

    assert 1 == maker.make(uv, request).reused
    assert 0 == maker.make(uv, replace(request, **other)).reused
    assert 0 == maker.make(replace(uv, version="0.14.0"), request).reused


@pytest.mark.parametrize("order", [("grape", "plum"), ("plum", "grape")])
@pytest.mark.parametrize("groups", [(("grape", "plum"),), (("grape",), ("plum",))])
def test_of_two_files_at_one_path_the_later_name_wins(maker: Maker, tmp_path: Path, order, groups) -> None:
    """
    uv installs concurrently, so that either may be there. RECORD then has the file of the wheel, also for the other.
    """
    files = {"grape": {INIT: b"of = 'grape'\n"}, "plum": {INIT: b"of = 'plum'\n"}}

    made = maker.make(FakeUv(files, order=order), wanted(tmp_path, *groups))

    assert {f"opt/venv/{SITE}/{INIT}": b"of = 'plum'\n"} == text_in(made.layers, INIT)
    assert all(b"'grape'" not in data and b"grape" not in data for data in text_in(made.layers, ".pyc").values())


@pytest.mark.parametrize("groups", [(("grape", "plum"),), (("grape",), ("plum",))])
def test_no_bytecode_of_another_file_is_left(maker: Maker, tmp_path: Path, groups) -> None:
    """
    Unchecked bytecode is executed whatever the source says: an idle package that covers a module has its own.
    """
    files = {"grape": {INIT: b"of = 'grape'\n"}, "plum": {INIT: b"of = 'plum'\n"}}

    made = maker.make(FakeUv(files), wanted(tmp_path, *groups, idle=("plum",)))

    assert not [name for name, data in text_in(made.layers, ".pyc").items() if b"grape" in data]


def test_one_file_of_several_packages_is_nothing_special(maker: Maker, tmp_path: Path) -> None:
    """
    MLflow and its two smaller editions share a thousand files; they are laid out once.
    """
    files = {"grape": {INIT: b"of = 'both'\n"}, "plum": {INIT: b"of = 'both'\n"}}
    uv = FakeUv(files)

    made = maker.make(uv, wanted(tmp_path, ("grape",), ("plum",), idle=("plum",)))

    assert ([["grape", "plum"]], 1) == (uv.installed, len(text_in(made.layers, ".pyc")))


def test_a_file_that_no_wheel_lists_is_refused(maker: Maker, tmp_path: Path) -> None:
    """
    A `.pth` that somebody left in uv's cache would be executed at each start.
    """
    uv = FakeUv({"grape": {"grape.py": b""}}, stray=f"{SITE}/stray.pth")

    with pytest.raises(ToolFailed, match=r"stray\.pth") as raised:
        maker.make(uv, wanted(tmp_path, ("grape",)))

    assert "RECORD" in raised.value.why


def test_a_package_that_this_platform_lacks_makes_no_layer(maker: Maker, tmp_path: Path) -> None:
    """
    A lock names packages of other systems, too; their markers leave them out.
    """

    class Elsewhere(FakeUv):
        def lay_out(self, requirements: Path, interpreter: Path, **_: Any) -> None:
            os.truncate(requirements, 0)

    made = maker.make(Elsewhere({}), wanted(tmp_path, ("pywin32",)))

    assert () == made.layers


@pytest.mark.parametrize("groups", [(("grape", "plum"),), (("grape",), ("plum",))], ids=["one layer", "two layers"])
def test_files_that_packages_bring_with_other_content_are_known(
    maker: Maker, tmp_path: Path, groups: tuple[tuple[str, ...], ...]
) -> None:
    """
    Also from the cache; a file that both bring with equal content is no matter.
    """
    shared = {INIT: b"", "grapes/__init__.py": b""}
    uv = FakeUv({"grape": {**shared, "colour.py": b"red"}, "plum": {**shared, "colour.py": b"blue"}})

    made, cached = (maker.make(uv, wanted(tmp_path, *groups)) for _ in range(2))

    assert (0, len(groups)) == (made.reused, cached.reused)
    assert [["colour.py"], ["colour.py"]] == [[path.name for path in layers.replaced] for layers in (made, cached)]
    assert made.replaced == cached.replaced


@pytest.mark.parametrize("swapped", [False, True], ids=["changed", "swapped"])
def test_a_poisoned_layer_is_made_again_before_anything_is_composed(
    maker: Maker, tmp_path: Path, *, swapped: bool
) -> None:
    """
    A byte of it that changed, or the whole layer of another package under its key; sound ones are kept.
    """
    uv = FakeUv({"grape": {"grape.py": b"red"}, "plum": {"plum.py": b"blue"}})
    request = wanted(tmp_path, ("grape",), ("plum",))
    before = maker.make(uv, request).layers
    grape, plum = before
    if swapped:
        keys = maker.folder / "cache" / "keys"
        by_name = {json.loads(path.read_text())["layer"]["name"]: path for path in keys.iterdir()}
        by_name["grape"].write_bytes(by_name["plum"].read_bytes())
    else:
        grape.archive.write_bytes(grape.archive.read_bytes()[:-1] + b"\xff")

    after = maker.make(uv, request)

    assert (before, 1) == (after.layers, after.reused)
    assert [["grape", "plum"], ["grape"]] == uv.installed
    assert plum.archive.read_bytes() != grape.archive.read_bytes() == after.layers[0].archive.read_bytes()
