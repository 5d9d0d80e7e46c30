"""Packages of a composed image, unpacked where no engine answers."""

import os
import shutil
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path, PurePosixPath
from types import SimpleNamespace
from typing import Any, cast

import pytest

from mlflow_uv.command.errors import ChainBroken, NoEngine, ToolFailed
from mlflow_uv.core.image.composition import BaseLayers, Blob, composed
from mlflow_uv.core.release.record import CompositionLink, ImageLink
from mlflow_uv.ops.image.composed import ComposedServingImage
from mlflow_uv.ops.image.environment import ServingPlace, recorded_environment
from mlflow_uv.ops.image.unpacked import keep_packages, serving_place
from mlflow_uv.tools.layers.archive import LayerFile, write_layer
from mlflow_uv.tools.layers.cache import CachedLayer
from mlflow_uv.tools.layers.layer_contents import LayerContents
from mlflow_uv.tools.layers.package_layers import PackagesAsLayers
from mlflow_uv.tools.oci.repository import RegistryUnanswered
from mlflow_uv.tools.system.process import SystemRunner
from mlflow_uv.tools.toolbox import Tools
from mlflow_uv.tools.uv.environment_uses import LONGEST_S, RECENT_S, remove_unused
from mlflow_uv.tools.uv.messages import InterpreterMissing
from tests.console import KeptConsole
from tests.environment_folders import environment_at, folders_in

INVENTORY = '{"python": "3.12.1", "installed": [["grape", "1.0"]]}'
CONFIG = {"os": "linux", "architecture": "amd64", "rootfs": {"type": "layers", "diff_ids": []}}
BYTECODE = "/opt/venv/lib/python3.12/site-packages/__pycache__/grape.cpython-312.pyc"
FILES = {"/opt/venv/lib/grape.py": b"red", BYTECODE: b"code", "/opt/mlflow-uv/main.py": b"", "/opt/venvs/other.py": b""}


class FakeUv:
    """Creates environments that have an interpreter."""

    def __init__(self) -> None:
        self.created = 0
        self.missing: set[str] = set()

    def create_relocatable(self, environment: Path, *, python: str, **_: Any) -> Path:
        if python in self.missing or (Path(python).is_absolute() and not Path(python).is_file()):
            raise InterpreterMissing(what="`uv venv` failed", why=f"No interpreter found at path `{python}`")
        self.created += 1
        shutil.rmtree(environment, ignore_errors=True)
        (environment / "bin").mkdir(parents=True)
        (environment / "bin" / "python").symlink_to(sys.executable)
        return environment / "bin" / "python"


def tools_in(folder: Path, *, engine: bool) -> Tools:
    """Tools of a machine with an engine or without one."""

    def available(_choice: object) -> None:
        if not engine:
            raise NoEngine(what="no engine", why="none is installed")

    return cast(
        "Tools",
        SimpleNamespace(
            uv=FakeUv(),
            host=SimpleNamespace(machine="x86_64", cache=folder / "cache"),
            runner=SystemRunner(),
            console=KeptConsole(),
            engines=SimpleNamespace(available=available),
            environments=SimpleNamespace(serving=folders_in(folder), at=environment_at),
            servers=SimpleNamespace(inventory=lambda python: INVENTORY if python.is_file() else "{}"),
        ),
    )


SITE = "/opt/venv/lib/python3.12/site-packages"
RECORD = f"{SITE}/grape-1.dist-info/RECORD"
LISTED = LayerContents(files={RECORD: "", "/opt/venv/lib/grape.py": "sha256=x"})


@dataclass
class Registry:
    """A registry that has the layer, unless it is None."""

    layer: Path | None
    asked: list[str] = field(default_factory=list)

    def download(self, name: str, targets: Mapping[Blob, Path]) -> None:
        """See Registries."""
        self.asked.append(name)
        for target in targets.values():
            if self.layer is None:
                raise RegistryUnanswered("nobody answers")
            shutil.copyfile(self.layer, target)


def image_in(folder: Path, contents: LayerContents | None = None) -> ComposedServingImage:
    """An image of one layer; with contents, of a package that lists its files."""
    files = {PurePosixPath(path): LayerFile(data=data) for path, data in FILES.items()}
    if contents is not None:
        record = b"../../grape.py,sha256=x,3\ngrape-1.dist-info/RECORD,,\n"
        files = {PurePosixPath(path): LayerFile(data=FILES[path]) for path in FILES if path.startswith("/opt/venv/")}
        files |= {PurePosixPath(RECORD): LayerFile(data=record)}
    layer = write_layer("grape", files, folder / "layer", contents=contents)
    cached = CachedLayer(layer=layer, archive=folder / "layer", files={})
    return ComposedServingImage(
        image=composed(BaseLayers(config=CONFIG, layers=()), (layer,), {}),
        archives={},
        packages=PackagesAsLayers(layers=(cached,), reused=0, python="3.12.1"),
    )


def link(image: ComposedServingImage) -> ImageLink:
    """What the record says of an image that was composed without an engine, and pushed."""
    digest = f"sha256:{'d' * 64}"
    return ImageLink(kind="image", id=image.image.id, tag="r/wine:1", base="b", base_digest="sha256:b", digest=digest)


def served(image: ComposedServingImage, tools: Tools, python: str = "3.12") -> ServingPlace:
    """What a server of an image is started from that was composed for an interpreter."""
    keep_packages(image, python, tools)
    return serving_place(link(image), tools)


def test_without_an_engine_a_process_serves_the_packages_of_the_layers(tmp_path: Path) -> None:
    """
    They are unpacked once, and nothing else of a layer is.
    """
    image, tools = image_in(tmp_path), tools_in(tmp_path, engine=False)

    keep_packages(image, "3.12", tools)
    assert not (tmp_path / "cache" / "unpacked-layers").exists()
    serving_place(link(image), tools)
    place = serving_place(link(image), tools).image

    assert ("process", 1) == (place.kind, cast("FakeUv", tools.uv).created)
    assert "no engine answers" in place.reason
    unpacked = {str(path.relative_to(place.tag)): path for path in Path(place.tag).rglob("*.py")}
    assert {"lib/grape.py": b"red"} == {name: path.read_bytes() for name, path in unpacked.items()}


def test_images_that_differ_in_their_model_alone_share_an_environment(tmp_path: Path) -> None:
    """
    Another interpreter, or another layer of packages, gets one of its own.
    """
    image, tools = image_in(tmp_path), tools_in(tmp_path, engine=False)
    other_model = replace(image, image=composed(BaseLayers(config=CONFIG, layers=()), (), {"of": "another model"}))
    (layer,) = image.packages.layers
    other = write_layer("grape", {PurePosixPath("/opt/venv/lib/a.py"): LayerFile(data=b"a")}, tmp_path / "other")
    changed = replace(layer, layer=other, archive=tmp_path / "other")
    other_packages = replace(
        image,
        image=composed(BaseLayers(config=CONFIG, layers=()), (), {"of": "other packages"}),
        packages=replace(image.packages, layers=(changed,)),
    )

    places = [served(each, tools).image.tag for each in (image, other_model, other_packages)]

    assert (places[0], 2) == (places[1], len(set(places)))
    assert 2 == cast("FakeUv", tools.uv).created
    served(image, tools, "3.13")
    assert 3 == cast("FakeUv", tools.uv).created


def test_files_that_a_model_changed_are_named_and_not_served_again(tmp_path: Path) -> None:
    """
    Another image with the same layer gets the file of the layer.
    """
    image, tools = image_in(tmp_path), tools_in(tmp_path, engine=False)
    first = served(image, tools)
    file = Path(first.image.tag) / "lib" / "grape.py"
    file.chmod(0o644)
    file.write_bytes(b"blu")  # through the hard link, into the unpacked layer

    second = served(image, tools, "3.13")

    (finding,) = second.findings
    assert ((), "unpacked-layers-changed", True) == (first.findings, finding.rule, "grape" in finding.what)
    assert b"red" == (Path(second.image.tag) / "lib" / "grape.py").read_bytes()


def written_in_place(file: Path, data: bytes) -> None:
    """Other bytes of the same number, with the time of before."""
    before = file.stat()
    file.chmod(0o644)
    with file.open("r+b") as content:
        content.write(data)
    file.chmod(0o444)
    os.utime(file, ns=(before.st_atime_ns, before.st_mtime_ns))


@pytest.mark.parametrize("name", ["lib/grape.py", "lib/python3.12/site-packages/__pycache__/grape.cpython-312.pyc"])
def test_what_is_written_in_place_is_not_served_by_the_other_environments_that_have_the_file(
    tmp_path: Path, name: str
) -> None:
    """
    Neither size nor time tell, and bytecode is not among what is compared of any environment.
    """
    image, tools = image_in(tmp_path), tools_in(tmp_path, engine=False)
    first, second = served(image, tools).image, served(image, tools, "3.13").image
    before = [recorded_environment(place, tools) for place in (first, second)]
    data = (Path(first.tag) / name).read_bytes()
    written_in_place(Path(first.tag) / name, data[::-1])

    for place in (first, second):
        with pytest.raises(ChainBroken, match="wrote into files that several environments share"):
            recorded_environment(place, tools)
    again = served(image, tools, "3.13")
    (finding,), after = again.findings, again.image

    assert [Path(place.tag) / "bin" / "python" for place in (first, second)] == before
    assert ("unpacked-layers-changed", second.tag) == (finding.rule, after.tag)
    assert data == (Path(after.tag) / name).read_bytes()
    assert Path(after.tag) / "bin" / "python" == recorded_environment(after, tools)


def test_a_cache_that_cannot_be_written_is_an_error(tmp_path: Path) -> None:
    """
    It names the file, and nothing of an environment stays.
    """
    image, tools = image_in(tmp_path), tools_in(tmp_path, engine=False)
    (tmp_path / "cache").write_text("")

    with pytest.raises(ToolFailed, match="cannot be unpacked"):
        served(image, tools)


@pytest.mark.parametrize("fault", [Path.unlink, lambda archive: archive.write_bytes(b"other")], ids=["lost", "changed"])
def test_a_layer_that_is_not_as_it_was_composed_is_not_served(tmp_path: Path, fault: Callable[[Path], None]) -> None:
    """
    Composing again makes it again.
    """
    image, tools = image_in(tmp_path), tools_in(tmp_path, engine=False)
    keep_packages(image, "3.12", tools)
    fault(tmp_path / "layer")

    with pytest.raises(ChainBroken, match="layers of the image were changed or removed on this machine: grape") as lost:
        serving_place(replace(link(image), digest=""), tools)

    assert "build-image" in lost.value.fix


def test_a_layer_of_which_only_the_list_was_read_is_downloaded_from_the_registry(tmp_path: Path) -> None:
    """
    It must have the files that its list says, by which its packages were compared.
    """
    image, tools = image_in(tmp_path, LISTED), tools_in(tmp_path, engine=False)
    source = (tmp_path / "layer").rename(tmp_path / "registry")
    cast("Any", tools).registries = Registry(source)

    place = served(image, tools).image

    assert b"red" == (Path(place.tag) / "lib" / "grape.py").read_bytes()
    assert ["r/wine:1"] == cast("Any", tools).registries.asked


def test_a_layer_with_other_files_than_its_list_says_is_not_served(tmp_path: Path) -> None:
    """
    Nor one that its registry does not return any more; nothing of it is kept.
    """
    lying = LayerContents(files={**LISTED.files, f"{SITE}/plum.py": "sha256=x"})
    image, tools = image_in(tmp_path, lying), tools_in(tmp_path, engine=False)
    source = (tmp_path / "layer").rename(tmp_path / "registry")

    for registry, why in ((Registry(source), "its list of files is not that"), (Registry(None), "nobody answers")):
        cast("Any", tools).registries = registry
        with pytest.raises(ChainBroken, match=f"not on this machine, and cannot be downloaded: {why}") as refused:
            served(image, tools)
        assert "build-image" in refused.value.fix

    assert not (tmp_path / "layer").exists()


def test_a_list_of_layers_that_was_changed_is_not_used(tmp_path: Path) -> None:
    """
    As if the image had not been composed here.
    """
    image, tools = image_in(tmp_path), tools_in(tmp_path, engine=False)
    keep_packages(image, "3.12", tools)
    (kept,) = tmp_path.rglob("*.packages")
    kept.write_text(kept.read_text().replace("3.12.1", "3.12.2"))

    with pytest.raises(ChainBroken, match="were not composed on this machine"):
        serving_place(link(image), tools)


def list_of(folder: Path, *, age_s: float) -> Path:
    """The list of the image, as old as that."""
    (kept,) = folder.rglob("*.packages")
    os.utime(kept, (time.time() - age_s,) * 2)
    return kept


def another(image: ComposedServingImage) -> ComposedServingImage:
    """An image of another model with the same layers."""
    return replace(image, image=composed(BaseLayers(config=CONFIG, layers=()), (), {"of": "another model"}))


def test_a_list_of_layers_that_are_there_stays_however_old_it_is(tmp_path: Path) -> None:
    """
    Environments are added beside it, and others are composed, while nobody tests the image.
    """
    image, tools = image_in(tmp_path), tools_in(tmp_path, engine=False)
    keep_packages(image, "3.12", tools)
    kept = list_of(tmp_path, age_s=LONGEST_S * 2)

    remove_unused(kept.parent, now_s=time.time())
    keep_packages(another(image), "3.12", tools)

    assert "process" == serving_place(link(image), tools).image.kind


def test_a_list_stays_with_its_environment_and_goes_if_that_and_a_layer_are_gone(tmp_path: Path) -> None:
    """
    The environment needs no layers any more; a list that was just written may be of layers that follow.
    """
    image, tools = image_in(tmp_path), tools_in(tmp_path, engine=False)
    environment = Path(served(image, tools).image.tag)
    kept = list_of(tmp_path, age_s=RECENT_S * 2)
    (tmp_path / "layer").unlink()

    keep_packages(another(image), "3.12", tools)
    with_environment = serving_place(link(image), tools).image.tag
    shutil.rmtree(environment)
    os.utime(kept, (time.time() - RECENT_S / 2,) * 2)
    keep_packages(another(image), "3.12", tools)
    recent = kept.is_file()
    os.utime(kept, (time.time() - RECENT_S * 2,) * 2)
    keep_packages(another(image), "3.12", tools)

    assert (str(environment), True, False) == (with_environment, recent, kept.exists())


def test_the_name_of_an_environment_which_an_earlier_release_kept_is_removed(tmp_path: Path) -> None:
    """
    It is no list; what else is there stays.
    """
    image, tools = image_in(tmp_path), tools_in(tmp_path, engine=False)
    for name in ("old.packages", "other"):
        (tmp_path / name).write_text("a" * 64)
        os.utime(tmp_path / name, (1, 1))

    keep_packages(image, "3.12", tools)

    assert (False, True) == ((tmp_path / "old.packages").exists(), (tmp_path / "other").exists())


def test_the_environment_that_trained_may_be_removed(tmp_path: Path) -> None:
    """
    The interpreter that it linked to is what the packages were compiled with.
    """
    image, tools = image_in(tmp_path), tools_in(tmp_path, engine=False)
    trained = tmp_path / "environments" / "wine" / "bin"
    trained.mkdir(parents=True)
    (trained / "python").symlink_to(sys.executable)

    keep_packages(image, str(trained / "python"), tools)
    shutil.rmtree(tmp_path / "environments")

    assert "process" == serving_place(link(image), tools).image.kind


def test_an_interpreter_that_was_removed_is_replaced_by_one_of_its_version(tmp_path: Path) -> None:
    """
    Where there is none, the command that installs it is the fix, in each step that serves a model.
    """
    image, tools = image_in(tmp_path), tools_in(tmp_path, engine=False)
    uv = cast("FakeUv", tools.uv)
    keep_packages(image, str(tmp_path / "python3.12"), tools)
    uv.missing.add("3.12.1")

    with pytest.raises(ChainBroken, match=r"`.*python3\.12` is not on this machine: No interpreter found") as refused:
        serving_place(link(image), tools)
    uv.missing.clear()
    place = serving_place(link(image), tools).image

    assert ("uv python install 3.12.1", "process") == (refused.value.fix, place.kind)


def test_another_python_in_the_place_of_the_one_that_compiled_is_refused(tmp_path: Path) -> None:
    """
    Bytecode of packages and answers may differ; nothing is left, so that the next run refuses it as well.
    """
    image, tools = image_in(tmp_path), tools_in(tmp_path, engine=False)
    image = replace(image, packages=replace(image.packages, python="3.12.0"))
    keep_packages(image, sys.executable, tools)

    for _ in range(2):
        with pytest.raises(ChainBroken, match=r"compiled with Python 3\.12\.0; .* is 3\.12\.1 now") as refused:
            serving_place(link(image), tools)

    assert "uv python install 3.12.0" == refused.value.fix
    assert [] == list(tmp_path.glob("*/mlflow-uv-complete"))


def test_layers_of_another_machine_are_not_served(tmp_path: Path) -> None:
    """
    They are composed again where they are tested.
    """
    with pytest.raises(ChainBroken, match=r"none is installed.*were not composed on this machine") as refused:
        serving_place(link(image_in(tmp_path)), tools_in(tmp_path, engine=False))

    assert "build-image" in refused.value.fix


@pytest.mark.parametrize("engine", [True, False], ids=["with an engine", "without"])
def test_an_image_for_other_platforms_alone_is_not_started(tmp_path: Path, engine: bool) -> None:
    """
    Nothing is emulated; one that is for this machine, too, is tested.
    """
    composition = CompositionLink(
        program="1", uv="1", python="3.12.1", architectures=("arm64",), layers_of_base="registry",
        version="", created="", source="",
    )  # fmt: skip
    image = replace(link(image_in(tmp_path)), composition=composition)
    both = replace(image, composition=replace(composition, architectures=("amd64", "arm64")))

    with pytest.raises(NoEngine, match="for linux/arm64, and this machine is linux/amd64") as refused:
        serving_place(image, tools_in(tmp_path, engine=engine))

    assert "linux/arm64,linux/amd64" in refused.value.fix
    assert both == serving_place(both, tools_in(tmp_path, engine=True)).image


def test_where_an_engine_answers_the_image_is_tested(tmp_path: Path) -> None:
    """
    As is one that an engine built, whatever answers now.
    """
    composed_without = link(image_in(tmp_path))
    built = replace(composed_without, engine="docker")

    assert composed_without == serving_place(composed_without, tools_in(tmp_path, engine=True)).image
    assert built == serving_place(built, tools_in(tmp_path, engine=False)).image


def test_an_image_that_no_engine_can_get_is_tested_from_its_layers(tmp_path: Path) -> None:
    """
    It was only written as a layout: an engine that answers now has no image, and composing again changes nothing.
    """
    image, tools = image_in(tmp_path), tools_in(tmp_path, engine=True)
    keep_packages(image, "3.12", tools)

    place = serving_place(replace(link(image), digest=""), tools).image

    assert ("process", True) == (place.kind, place.reason.startswith("the image was composed without an engine"))
