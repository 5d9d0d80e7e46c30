"""Layers by what they were made from."""

import json
import shutil
import threading
from pathlib import Path, PurePosixPath

import pytest

from mlflow_uv.core.image.composition import LayerBlob
from mlflow_uv.core.release.digests import canonical, sha256
from mlflow_uv.tools.layers.archive import LayerFile, write_layer
from mlflow_uv.tools.layers.cache import LayerCache
from mlflow_uv.tools.layers.layer_contents import LayerContents
from tests.waiting import CEILING_S

PATH = PurePosixPath("/opt/venv/lib/grape.py")
KEY, OTHER = "a" * 64, "b" * 64
LIBRARY = "lib/grape.so"
CONTENTS = LayerContents(files={str(PATH): "sha256=x"}, libraries={LIBRARY: {"package": "grape", "truncated": True}})


def writer(text: bytes):
    """What writes a layer with one file of this text."""

    def write(out: Path) -> LayerBlob:
        return write_layer("grape", {PATH: LayerFile(data=text)}, out)

    return write


def files_in(folder: Path) -> list[Path]:
    """All files below a folder."""
    return sorted(path for path in folder.rglob("*") if path.is_file())


def test_what_was_added_is_found_by_another_process(tmp_path: Path) -> None:
    """
    With everything that is known of it.
    """
    added = LayerCache(tmp_path / "layers").add(KEY, writer(b"red"), CONTENTS)

    found = LayerCache(tmp_path / "layers").find(KEY)

    assert added == found
    assert None is LayerCache(tmp_path / "layers").find(OTHER)


@pytest.mark.parametrize("removed", ["before", "after"])
def test_a_cache_that_is_removed_while_a_layer_is_written_gets_it_again(tmp_path: Path, removed: str) -> None:
    """
    Somebody frees space while two builds run: before the layer is written, and before it gets its name.
    """
    cache, write = LayerCache(tmp_path / "layers"), writer(b"red")
    attempts: list[Path] = []

    def interrupted(out: Path) -> LayerBlob:
        attempts.append(out)
        if removed == "before" and len(attempts) == 1:
            shutil.rmtree(cache.folder)
        layer = write(out)
        if removed == "after" and len(attempts) == 1:
            shutil.rmtree(cache.folder)
        return layer

    added = cache.add(KEY, interrupted, CONTENTS)

    assert (2, added) == (len(attempts), cache.find(KEY))


def test_a_cache_that_cannot_be_kept_is_an_error(tmp_path: Path) -> None:
    """
    After some attempts.
    """
    cache = LayerCache(tmp_path / "layers")

    def interrupted(out: Path) -> LayerBlob:
        shutil.rmtree(cache.folder)
        return writer(b"red")(out)

    with pytest.raises(FileNotFoundError):
        cache.add(KEY, interrupted, CONTENTS)


@pytest.mark.parametrize("where", ["blobs", "keys"])
def test_a_changed_file_is_found_and_never_used(tmp_path: Path, where: str) -> None:
    """
    One bit of an archive, or of what is written about it.
    """
    cache = LayerCache(tmp_path)
    added = cache.add(KEY, writer(b"red"), CONTENTS)
    (file,) = files_in(tmp_path / where)
    content = bytearray(file.read_bytes())
    content[-20] ^= 1
    file.write_bytes(content)

    found = cache.find(KEY)

    assert (None, [KEY]) == (found, cache.changed)
    assert added == cache.add(KEY, writer(b"red"), CONTENTS) == cache.find(KEY)


@pytest.mark.parametrize("where", ["blobs", "keys"])
def test_a_folder_in_the_place_of_a_file_is_replaced(tmp_path: Path, where: str) -> None:
    """
    Otherwise no later run could keep the layer.
    """
    cache = LayerCache(tmp_path)
    added = cache.add(KEY, writer(b"red"), LayerContents())
    (file,) = files_in(tmp_path / where)
    file.unlink()
    (file / "folder").mkdir(parents=True)

    found = cache.find(KEY)

    assert None is found
    assert added == cache.add(KEY, writer(b"red"), LayerContents()) == cache.find(KEY)


def test_a_sound_layer_under_another_key_is_found(tmp_path: Path) -> None:
    """
    Both files of it are intact, and it is not what the key stands for.
    """
    cache = LayerCache(tmp_path)
    cache.add(KEY, writer(b"red"), LayerContents())
    cache.add(OTHER, writer(b"white"), LayerContents())
    (tmp_path / "keys" / f"{OTHER}.json").replace(tmp_path / "keys" / f"{KEY}.json")

    assert None is cache.find(KEY)


def test_an_archive_that_is_gone_or_a_link_is_made_again(tmp_path: Path) -> None:
    """
    What cleaned the disk did not know what belongs together.
    """
    cache = LayerCache(tmp_path)
    cache.add(KEY, writer(b"red"), LayerContents())
    (archive,) = files_in(tmp_path / "blobs")
    moved = archive.rename(tmp_path / "elsewhere")
    archive.symlink_to(moved)

    assert None is cache.find(KEY)


def test_a_description_of_another_form_is_not_used(tmp_path: Path) -> None:
    """
    Even if its digest is right.
    """
    cache = LayerCache(tmp_path)
    cache.add(KEY, writer(b"red"), LayerContents())
    (description,) = files_in(tmp_path / "keys")
    content = json.loads(description.read_text()) | {"files": ["/opt/venv/lib/grape.py"]}
    digested = [KEY, *(content[part] for part in ("layer", "files", "replaced", "libraries"))]
    content["sha256"] = sha256(canonical(digested))
    description.write_text(json.dumps(content))

    assert (None, [KEY]) == (cache.find(KEY), cache.changed)


def test_what_is_interrupted_leaves_nothing(tmp_path: Path) -> None:
    """
    A cancelled job, or a full disk.
    """
    cache = LayerCache(tmp_path)

    def write(out: Path) -> LayerBlob:
        out.write_bytes(b"half of it")
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        cache.add(KEY, write, LayerContents())

    assert ([], None) == (files_in(tmp_path), cache.find(KEY))


def test_two_processes_that_write_one_layer_do_not_meet(tmp_path: Path) -> None:
    """
    Each sees its own, which has the same bytes, and both files stay whole.
    """
    start = threading.Barrier(2)
    added = []

    def write(out: Path) -> LayerBlob:
        start.wait(CEILING_S)
        return writer(b"red")(out)

    def add() -> None:
        added.append(LayerCache(tmp_path).add(KEY, write, CONTENTS))

    threads = [threading.Thread(target=add) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert [LayerCache(tmp_path).find(KEY)] * 2 == added
    assert 2 == len(files_in(tmp_path))
