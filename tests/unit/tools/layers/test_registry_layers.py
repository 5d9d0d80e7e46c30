"""Layers of an image are taken by their keys, and none that is not what the image's own documents say."""

import gzip
import json
import shutil
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path, PurePosixPath

import pytest

from mlflow_uv.command.errors import ToolFailed
from mlflow_uv.command.wording import CommandLine, worded
from mlflow_uv.core.image.composition import Blob, LayerBlob, LayerList, digest_of
from mlflow_uv.core.image.dockerfile import VENV
from mlflow_uv.core.image.oci_manifest import PulledImage
from mlflow_uv.tools.layers.archive import LayerFile, write_layer
from mlflow_uv.tools.layers.cache import LayerCache
from mlflow_uv.tools.layers.layer_contents import LayerContents
from mlflow_uv.tools.layers.package_layers import PackageLayers, PackagesAsLayers, WantedPackages
from mlflow_uv.tools.layers.registry_layers import RegistryLayers, files_in
from mlflow_uv.tools.oci.repository import RegistryUnanswered
from mlflow_uv.tools.system.process import SystemRunner
from tests.unit.tools.layers.test_package_layers import FakeUv, no_libraries, wanted

NAME = f"registry.example/wine@sha256:{'1' * 64}"
SITE = PurePosixPath(VENV, "lib", "python3.12", "site-packages")
RECORD = SITE / "grape-1.dist-info" / "RECORD"


@dataclass
class Source:
    """A registry with blobs in files."""

    blobs: dict[str, Path] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)
    ends_with: dict[str, bytes] = field(default_factory=dict)

    def ends(self, name: str, wanted: Mapping[Blob, LayerList]) -> dict[Blob, bytes]:
        """See Registries."""
        self.asked += [f"{name} end of {blob.digest}" for blob in wanted]
        ends = {
            blob: self.ends_with.get(blob.digest) or self.blobs[blob.digest].read_bytes()[-listed.size :]
            for blob, listed in wanted.items()
        }
        if any(digest_of(ends[blob]) != listed.digest for blob, listed in wanted.items()):
            raise RegistryUnanswered("it returned other content")
        return ends

    def download(self, name: str, targets: Mapping[Blob, Path]) -> None:
        """See Registries."""
        self.asked += [f"{name} {blob.digest}" for blob in targets]
        for blob, target in targets.items():
            if blob.digest not in self.blobs:
                raise RegistryUnanswered("it is not there")
            shutil.copyfile(self.blobs[blob.digest], target)

    def image(self, *layers: tuple[LayerBlob, Path]) -> PulledImage:
        """An image of layers, which can be downloaded."""
        self.blobs |= {layer.blob.digest: archive for layer, archive in layers}
        config = {"rootfs": {"diff_ids": [layer.diff_id for layer, _ in layers]}}
        return PulledImage(
            config=json.dumps(config).encode(),
            layers=tuple(layer.blob for layer, _ in layers),
            keys=tuple(layer.key for layer, _ in layers),
            lists=tuple(layer.listed for layer, _ in layers),
        )


def registry_layers(
    source: Source, image: PulledImage | str, folder: Path, *, lists_only: bool = False
) -> RegistryLayers:
    return RegistryLayers(source, SystemRunner(), NAME, image, folder / "taken", no_libraries, lists_only=lists_only)


def made(uv: FakeUv, cache: Path, request: WantedPackages, offered: RegistryLayers | None = None) -> PackagesAsLayers:
    """The layers of packages, with a cache in this folder."""
    maker = PackageLayers(uv, SystemRunner(), LayerCache(cache), describe=no_libraries, on_line=print, offered=offered)
    return maker.layers(request)


def layer_of(folder: Path, files: Mapping[PurePosixPath, bytes], key: str = "k") -> tuple[LayerBlob, Path]:
    """A layer with a key, and its archive."""
    archive = folder / f"{key}.tar.gz"
    blob = write_layer("made elsewhere", {path: LayerFile(data=data) for path, data in files.items()}, archive)
    return replace(blob, key=key), archive


def listed_layer(
    folder: Path, files: Mapping[PurePosixPath, bytes], listed: Mapping[str, str]
) -> tuple[LayerBlob, Path]:
    """A layer with a key and with a list of files, and its archive."""
    archive = folder / "listed.tar.gz"
    content = {path: LayerFile(data=data) for path, data in files.items()}
    blob = write_layer("made elsewhere", content, archive, contents=LayerContents(files=listed))
    return replace(blob, key="k"), archive


GRAPE = {
    RECORD: b"grape.py,sha256=abc,1\n../../../bin/grape,sha256=def,2\ngrape-1.dist-info/RECORD,,\n",
    SITE / "grape.py": b"1",
    SITE / "__pycache__" / "grape.cpython-312.pyc": b"code",
    PurePosixPath(VENV, "bin", "grape"): b"#!",
}


GRAPE_LIST = {str(RECORD): "", str(SITE / "grape.py"): "sha256=abc", f"{VENV}/bin/grape": "sha256=def"}


def test_a_layer_with_the_key_is_taken_once(tmp_path: Path) -> None:
    """
    It has the digests of the image and the name that is asked for; the second time nothing is downloaded.
    """
    source = Source()
    layer, archive = layer_of(tmp_path, GRAPE)
    image = source.image(layer_of(tmp_path, {SITE / "x.pyc": b""}, ""), (layer, archive))

    first = registry_layers(source, image, tmp_path)
    taken = first.take({"k": "grape", "other": "plum"})
    again = registry_layers(source, image, tmp_path).take({"k": "grape"})

    expected = LayerBlob(name="grape", blob=layer.blob, diff_id=layer.diff_id)
    assert [expected, expected] == [taken["k"].layer, again["k"].layer]
    assert (["k"], ("grape",)) == ([*taken], first.taken)
    assert [f"registry.example/wine {layer.blob.digest}"] == source.asked
    assert archive.read_bytes() == taken["k"].archive.read_bytes()
    assert taken["k"].files == {
        str(RECORD): "",
        str(SITE / "grape.py"): "sha256=abc",
        f"{VENV}/bin/grape": "sha256=def",
    }


def test_names_of_taken_layers_do_not_depend_on_which_was_first(tmp_path: Path) -> None:
    """
    Layers of packages and of the base are taken side by side.
    """
    source = Source()
    image = source.image(layer_of(tmp_path, GRAPE), layer_of(tmp_path, GRAPE, "b"))
    one, other = registry_layers(source, image, tmp_path / "one"), registry_layers(source, image, tmp_path / "other")

    for layers, keys in ((one, "kb"), (other, "bk")):
        for key in keys:
            layers.take({key: {"k": "grape", "b": "standard library"}[key]})

    assert [("grape", "standard library")] * 2 == [one.taken, other.taken]


def test_another_image_is_asked_for_its_own_layer(tmp_path: Path) -> None:
    """
    What an image had for a key is never used for another one, which may be trusted where the first was not.
    """
    source = Source()
    (tmp_path / "other").mkdir()
    other = layer_of(tmp_path / "other", {**GRAPE, SITE / "grape.py": b"steal()"})
    registry_layers(source, source.image(other), tmp_path).take({"k": "grape"})
    layer, archive = layer_of(tmp_path, GRAPE)

    taken = registry_layers(source, source.image((layer, archive)), tmp_path).take({"k": "grape"})

    assert layer.blob == taken["k"].layer.blob


@pytest.mark.parametrize(
    ("files", "problem"),
    [
        ({**GRAPE, SITE / "sitecustomize.py": b"steal()"}, "sitecustomize.py, which no package lists"),
        ({path: data for path, data in GRAPE.items() if path.name != "grape.py"}, "grape.py, which a package lists"),
        ({**GRAPE, SITE / ".wh.plum.py": b""}, ".wh.plum.py, which deletes other files"),
    ],
    ids=["more", "less", "deleting"],
)
def test_a_layer_with_other_files_than_its_packages_list_is_not_taken(
    tmp_path: Path, files: Mapping[PurePosixPath, bytes], problem: str
) -> None:
    """
    The comparison of installed packages reads these lists.
    """
    source = Source()
    layers = registry_layers(source, source.image(layer_of(tmp_path, files)), tmp_path)

    assert {} == layers.take({"k": "grape"})
    assert layers.problem.endswith(problem)
    assert () == layers.taken


def test_a_layer_that_is_not_that_of_the_configuration_is_not_taken(tmp_path: Path) -> None:
    """
    Manifest and configuration name one layer each; a client that compares them would refuse the image.
    """
    source = Source()
    layer, archive = layer_of(tmp_path, GRAPE)
    image = source.image((replace(layer, diff_id=f"sha256:{'0' * 64}"), archive))
    layers = registry_layers(source, image, tmp_path)

    assert {} == layers.take({"k": "grape"})
    assert "a layer is not that of its configuration" == layers.problem


def test_an_image_that_is_incomplete_or_damaged_gives_nothing(tmp_path: Path) -> None:
    """
    Then the layers are made; the reason is kept.
    """
    source = Source()
    layer, archive = layer_of(tmp_path, GRAPE)
    image = source.image((layer, archive))
    gone = registry_layers(Source(), image, tmp_path)
    damaged = tmp_path / "damaged"
    damaged.write_bytes(b"no archive")
    source.blobs[layer.blob.digest] = damaged
    broken = registry_layers(source, image, tmp_path)
    undescribed = registry_layers(source, replace(image, config=b"[]"), tmp_path)

    assert [{}, {}, {}] == [layers.take({"k": "grape"}) for layers in (gone, broken, undescribed)]
    assert ["it is not there", True] == [gone.problem, bool(broken.problem)]
    assert undescribed.problem.startswith("its layers do not say what they were made from")


def test_an_image_without_keys_or_without_documents_says_why_it_gives_nothing(tmp_path: Path) -> None:
    """
    An engine built the first; the registry lacks the second.
    """
    source = Source()
    built = registry_layers(source, source.image(layer_of(tmp_path, GRAPE, "")), tmp_path)
    absent = registry_layers(source, "its registry has no such image for arm64", tmp_path)

    assert [{}, {}] == [layers.take({"k": "grape", "": "plum"}) for layers in (built, absent)]
    assert "its registry has no such image for arm64" == absent.problem
    assert built.problem.startswith("its layers do not say what they were made from")
    assert [] == source.asked


def test_what_is_taken_lists_what_is_made(tmp_path: Path) -> None:
    """
    A layer of this machine and the same one from a registry have equal lists, names and digests; nothing is made then.
    """
    uv = FakeUv({"grape": {"grape.py": b"1"}, "plum": {"plum.py": b"2"}})
    request = wanted(tmp_path, ("grape",), ("plum",))
    own = made(uv, tmp_path / "own", request)
    source = Source()
    image = source.image(*((layer.layer, layer.archive) for layer in own.layers))
    offered = registry_layers(source, image, tmp_path)

    taken = made(uv, tmp_path / "fresh", request, offered)

    assert [layer.layer for layer in own.layers] == [layer.layer for layer in taken.layers]
    assert [layer.files for layer in own.layers] == [layer.files for layer in taken.layers]
    assert ([["grape", "plum"]], 0, ("grape", "plum")) == (uv.installed, taken.reused, offered.taken)
    assert not (tmp_path / "fresh").exists(), "what was taken is not among what was made"


def test_only_the_list_of_a_layer_is_read_until_its_archive_is_wanted(tmp_path: Path) -> None:
    """
    The layer is as if it had been downloaded; what downloads it verifies it. The list is read once.
    """
    source = Source()
    layer, archive = listed_layer(tmp_path, GRAPE, GRAPE_LIST)
    image = source.image((layer, archive))
    whole = registry_layers(source, image, tmp_path / "whole").take({"k": "grape"})
    source.asked.clear()

    first = registry_layers(source, image, tmp_path, lists_only=True)
    taken = first.take({"k": "grape"})
    again = registry_layers(source, image, tmp_path, lists_only=True)

    assert [whole["k"].layer, whole["k"].files] == [taken["k"].layer, taken["k"].files]
    assert taken == again.take({"k": "grape"})
    assert [f"registry.example/wine end of {layer.blob.digest}"] == source.asked
    assert (("grape",), False) == (first.taken, taken["k"].archive.exists())
    assert taken["k"].archive == again.downloads[layer.blob.digest]()
    assert archive.read_bytes() == taken["k"].archive.read_bytes()
    assert {} == first.take({"k": "grape"})["k"].libraries


def test_a_list_that_is_not_that_of_the_manifest_or_is_none_is_not_used(tmp_path: Path) -> None:
    """
    The layer is downloaded, and its own files are listed.
    """
    source = Source()
    layer, archive = listed_layer(tmp_path, GRAPE, GRAPE_LIST)
    image = source.image((layer, archive))
    text = b"no list"
    end = LayerList(digest=digest_of(text), size=len(text))
    other = source.image((replace(layer, listed=end), archive))

    source.ends_with = {layer.blob.digest: b"x" * 9}  # a registry, or who writes there, returns something else
    swapped = registry_layers(source, image, tmp_path / "swapped", lists_only=True).take({"k": "grape"})
    source.ends_with = {layer.blob.digest: text}
    none = registry_layers(source, other, tmp_path / "none", lists_only=True)

    assert (GRAPE_LIST, True) == (swapped["k"].files, swapped["k"].archive.is_file())
    assert {} == none.take({"k": "grape"})
    assert "its list of files" in none.problem


@pytest.mark.parametrize(
    "files",
    [{**GRAPE_LIST, str(SITE / "plum.py"): "sha256=x"}, {str(RECORD): ""}, {**GRAPE_LIST, str(RECORD): "sha256=x"}],
    ids=["more", "less", "other"],
)
def test_a_layer_with_other_files_than_its_list_says_is_refused_when_it_is_downloaded(
    tmp_path: Path, files: Mapping[str, str]
) -> None:
    """
    Whoever composed the image wrote both: packages were compared by the list.
    """
    source = Source()
    image = source.image(listed_layer(tmp_path, GRAPE, files))
    layers = registry_layers(source, image, tmp_path, lists_only=True)
    layers.take({"k": "grape"})
    whole = registry_layers(source, image, tmp_path / "whole")

    (download,) = layers.downloads.values()
    with pytest.raises(ToolFailed, match="cannot be used") as refused:
        download()

    assert "its list of files is not that of its packages" == refused.value.why == whole_problem(whole)
    assert "leave out --layers-from, or name another image with it" == worded(refused.value.fix, CommandLine())
    another = registry_layers(source, source.image(listed_layer(tmp_path, GRAPE, GRAPE_LIST)), tmp_path / "another")
    assert {"k"} == another.take({"k": "grape"}).keys()
    assert ["lists"] == sorted(path.name for path in (tmp_path / "taken").iterdir())


def whole_problem(layers: RegistryLayers) -> str:
    """Why a layer is not taken that is downloaded at once."""
    assert {} == layers.take({"k": "grape"})
    return layers.problem


def test_a_package_from_source_has_no_key(tmp_path: Path) -> None:
    """
    Another build of it may have other bytes, so that nobody takes its layer for theirs.
    """
    uv = FakeUv({"grape": {"grape.py": b"1"}, "plum": {"plum.py": b"2"}})
    request = replace(wanted(tmp_path, ("grape",), ("plum",)), built=frozenset({"plum"}))

    layers = made(uv, tmp_path / "own", request).layers

    assert [True, False] == [bool(layer.layer.key) for layer in layers]


def test_a_link_that_is_no_list_of_files_is_refused(tmp_path: Path) -> None:
    """
    Its target is not followed.
    """
    archive = tmp_path / "layer.tar.gz"
    write_layer("x", {RECORD: LayerFile(target="/etc/passwd")}, archive)
    plain = tmp_path / "layer.tar"
    plain.write_bytes(gzip.decompress(archive.read_bytes()))

    with pytest.raises((ValueError, KeyError)):
        files_in(plain)
