"""OCI layout folders: complete, verified, and the same each time."""

import hashlib
import json
import tarfile
from pathlib import Path, PurePosixPath

import pytest

from mlflow_uv.command.errors import BadInput, ToolFailed
from mlflow_uv.core.image.composition import BaseLayers, ComposedImage, composed
from mlflow_uv.tools.layers.archive import LayerFile, write_layer
from mlflow_uv.tools.oci.image_layout import write_archive, written_layout
from tests.image_layouts import write_layout


def image_in(folder: Path) -> tuple[ComposedImage, dict[str, Path]]:
    """An image of two layers, and their archives."""
    folder.mkdir(parents=True, exist_ok=True)
    layers = [
        write_layer(name, {PurePosixPath("/", name): LayerFile(data=name.encode())}, folder / name)
        for name in ("base", "grape")
    ]
    config = {"os": "linux", "architecture": "amd64", "rootfs": {"type": "layers", "diff_ids": [layers[0].diff_id]}}
    image = composed(BaseLayers(config=config, layers=(layers[0].blob,)), layers[1:], {"a": "b"})
    return image, {layer.blob.digest: folder / layer.name for layer in layers}


def files_in(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_a_layout_holds_the_image_and_nothing_else(tmp_path: Path) -> None:
    """
    Every blob under its digest; the index leads to the manifest, under the tag.
    """
    image, archives = image_in(tmp_path / "layers")

    write_layout(tmp_path / "new" / "layout", image, archives, tag="7")

    files = files_in(tmp_path / "new" / "layout")
    index = json.loads(files["index.json"])
    assert {"imageLayoutVersion": "1.0.0"} == json.loads(files["oci-layout"])
    assert [(image.digest, "7")] == [
        (entry["digest"], entry["annotations"]["org.opencontainers.image.ref.name"]) for entry in index["manifests"]
    ]
    blobs = {name.rpartition("/")[2]: data for name, data in files.items() if name.startswith("blobs/")}
    assert all(name == hashlib.sha256(data).hexdigest() for name, data in blobs.items())
    expected = {image.digest, *(blob.digest for blob in image.blobs)}
    assert {digest.removeprefix("sha256:") for digest in expected} == blobs.keys()
    assert ["layout"] == [path.name for path in (tmp_path / "new").iterdir()]


def test_the_same_image_gives_the_same_folder(tmp_path: Path) -> None:
    """
    Another machine's layout can be compared byte by byte.
    """
    for name in ("one", "another one"):
        image, archives = image_in(tmp_path / name)
        write_layout(tmp_path / name / "layout", image, archives, tag="7")

    assert files_in(tmp_path / "one" / "layout") == files_in(tmp_path / "another one" / "layout")


def test_a_layout_is_on_the_disk_before_it_gets_its_name(tmp_path: Path) -> None:
    """
    What comes between, such as a push, does not happen if the disk is too small; if it fails, no folder is left.
    """
    image, archives = image_in(tmp_path / "layers")
    place = tmp_path / "new" / "layout"

    def failing() -> None:
        with written_layout(place, image, archives, tag="7"):
            assert 1 == len([*place.parent.rglob("index.json")])
            assert not place.exists()
            raise ToolFailed(what="the push fails", why="")

    with pytest.raises(ToolFailed, match="the push fails"):
        failing()
    assert [] == [*place.parent.iterdir()]
    with written_layout(place, image, archives, tag="7"):
        pass
    assert [place] == [*place.parent.iterdir()]


def swap(archives: dict[str, Path], digest: str, folder: Path) -> None:
    archives[digest] = folder / "other"
    archives[digest].write_bytes(b"something else")


def drop(archives: dict[str, Path], digest: str, _: Path) -> None:
    del archives[digest]


def lose(archives: dict[str, Path], digest: str, _: Path) -> None:
    archives[digest].unlink()


@pytest.mark.parametrize("spoil", [swap, drop, lose])
def test_another_layer_than_that_of_the_manifest_is_refused(tmp_path: Path, spoil) -> None:
    """
    Swapped or gone since it was made; no half of a layout is left.
    """
    image, archives = image_in(tmp_path / "layers")
    spoil(archives, image.blobs[-1].digest, tmp_path)
    (tmp_path / "out").mkdir()

    with pytest.raises(ToolFailed, match="the image cannot be written"):
        write_layout(tmp_path / "out" / "layout", image, archives, tag="7")

    assert [] == list((tmp_path / "out").iterdir())


def test_a_folder_of_somebody_is_left_alone(tmp_path: Path) -> None:
    """
    An empty one is used, any other is not.
    """
    image, archives = image_in(tmp_path / "layers")
    (tmp_path / "empty").mkdir()
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "mine").write_text("mine")
    (tmp_path / "file").write_text("mine")

    write_layout(tmp_path / "empty", image, archives, tag="7")
    for name in ("full", "file"):
        with pytest.raises(BadInput, match=name):
            write_layout(tmp_path / name, image, archives, tag="7")

    assert "mine" == (tmp_path / "full" / "mine").read_text() == (tmp_path / "file").read_text()


def test_a_link_is_refused(tmp_path: Path) -> None:
    """
    A folder cannot replace a link; what it leads to stays as it is.
    """
    image, archives = image_in(tmp_path / "layers")
    (tmp_path / "empty").mkdir()
    (tmp_path / "link").symlink_to("empty")
    (tmp_path / "dangling").symlink_to("new")

    for name in ("link", "dangling"):
        with pytest.raises(BadInput, match="is a link"):
            write_layout(tmp_path / name, image, archives, tag="7")

    assert ([], False) == (list((tmp_path / "empty").iterdir()), (tmp_path / "new").exists())


@pytest.mark.parametrize("held", [0, 1])
def test_an_archive_is_a_layout_that_an_older_engine_reads_too(tmp_path: Path, held: int) -> None:
    """
    Both manifests name the same blobs, the image has no name, and layers that the engine holds are left out.
    """
    image, archives = image_in(tmp_path / "layers")

    write_archive(tmp_path / "image.tar", image, archives, held=held)

    with tarfile.open(tmp_path / "image.tar") as tar:
        contents = {entry.name: file.read() for entry in tar if (file := tar.extractfile(entry))}
    (older,) = json.loads(contents["manifest.json"])
    (entry,) = json.loads(contents["index.json"])["manifests"]
    assert [image.config, image.manifest] == [
        contents[older["Config"]],
        contents[f"blobs/{entry['digest'].replace(':', '/')}"],
    ]
    assert [f"blobs/{blob.digest.replace(':', '/')}" for blob in image.blobs[1:]] == older["Layers"]
    assert [None, False] == [older["RepoTags"], "annotations" in entry]
    assert [at >= held for at in range(2)] == [name in contents for name in older["Layers"]]


def test_a_disk_error_of_an_archive_names_the_file(tmp_path: Path) -> None:
    """
    Such as a folder that was deleted.
    """
    image, archives = image_in(tmp_path / "layers")

    with pytest.raises(ToolFailed, match=r"cannot be written.*gone"):
        write_archive(tmp_path / "gone" / "image.tar", image, archives, held=0)
