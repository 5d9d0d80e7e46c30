"""Layers that stay unpacked, and the environments that have their files."""

import fcntl
import os
import signal
import subprocess
import sys
import tarfile
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path, PurePosixPath
from tempfile import TemporaryDirectory

import pytest

from mlflow_uv.tools.layers.archive import LayerFile, write_layer
from mlflow_uv.tools.layers.cache import CachedLayer
from mlflow_uv.tools.layers.unpacked_layers import UnpackedLayerCache, environment_path
from mlflow_uv.tools.system.process import SystemRunner

GRAPE = {"lib/grape.py": b"red", "lib/deep/seed.py": b"x = 1", "bin/press": b"#!python"}
CORK = {"lib/cork.py": b"oak"}


# Arguments: an archive, its digest, the folder of unpacked layers, and an environment.
LINKING = """
import sys
from pathlib import Path

from mlflow_uv.core.image.composition import Blob, LayerBlob
from mlflow_uv.tools.layers.cache import CachedLayer
from mlflow_uv.tools.layers.unpacked_layers import UnpackedLayerCache, environment_path
from mlflow_uv.tools.system.process import SystemRunner

archive, digest, folder, environment = sys.argv[1:]
layer = LayerBlob(name="grape", blob=Blob(media_type="", digest=digest, size=0), diff_id="")
layers = [CachedLayer(layer=layer, archive=Path(archive), files={})]
UnpackedLayerCache(Path(folder), environment_path, SystemRunner()).link(layers, Path(environment))
"""


def layer_in(folder: Path, files: Mapping[str, bytes], links: Mapping[str, str] | None = None) -> CachedLayer:
    """A layer of files below `/opt/venv`; those in `bin` are executable."""
    content = {
        PurePosixPath("/opt/venv", path): LayerFile(data=data, executable=path.startswith("bin/"))
        for path, data in files.items()
    }
    content |= {PurePosixPath("/opt/venv", path): LayerFile(target=target) for path, target in (links or {}).items()}
    archive = folder / f"layer-{len(list(folder.iterdir()))}"
    return CachedLayer(layer=write_layer("grape", content, archive), archive=archive, files={})


def unpacked_in(folder: Path, *, most_bytes: int = 1 << 20) -> UnpackedLayerCache:
    """The unpacked layers of a cache, as a new process finds them."""
    return UnpackedLayerCache(folder / "cache" / "unpacked", environment_path, SystemRunner(), most_bytes=most_bytes)


def linked(unpacked: UnpackedLayerCache, environment: Path, *layers: CachedLayer) -> Path:
    """An environment with the files of layers."""
    environment.mkdir()
    unpacked.link(layers, environment)
    return environment


def content_of(environment: Path) -> dict[str, object]:
    """The content and the mode of each file, and the target of each link."""
    return {
        str(path.relative_to(environment)): path.readlink()
        if path.is_symlink()
        else (path.read_bytes(), path.stat().st_mode & 0o7777)
        for path in environment.rglob("*")
        if path.is_symlink() or not path.is_dir()
    }


def expected(*contents: Mapping[str, bytes]) -> dict[str, object]:
    """What an environment has of these files."""
    return {
        path: (data, 0o555 if path.startswith("bin/") else 0o444)
        for files in contents
        for path, data in files.items()
    }  # fmt: skip


def test_an_environment_has_the_files_of_its_layers_which_no_other_one_unpacks(tmp_path: Path) -> None:
    """
    They are the same files, so that a second environment takes no space; links are made anew.
    """
    grape = layer_in(tmp_path, GRAPE, {"lib/alias.py": "grape.py"})
    cork = layer_in(tmp_path, CORK)

    first = linked(unpacked_in(tmp_path), tmp_path / "first", grape, cork)
    grape.archive.unlink()  # is not needed any more
    second = linked(unpacked_in(tmp_path), tmp_path / "second", grape, cork)

    content = expected(GRAPE, CORK) | {"lib/alias.py": Path("grape.py")}
    assert (content, content) == (content_of(first), content_of(second))
    assert (first / "lib/grape.py").samefile(second / "lib/grape.py")


def test_a_higher_layer_covers_a_lower_one(tmp_path: Path) -> None:
    """
    The file of the lower one stays as it is for other environments.
    """
    lower, higher = layer_in(tmp_path, GRAPE), layer_in(tmp_path, {"lib/grape.py": b"white"})

    both = linked(unpacked_in(tmp_path), tmp_path / "both", lower, higher)
    alone = linked(unpacked_in(tmp_path), tmp_path / "alone", lower)

    assert expected(GRAPE, {"lib/grape.py": b"white"}) == content_of(both)
    assert expected(GRAPE) == content_of(alone)


def rewritten(file: Path) -> None:
    """Other bytes, written into the file itself."""
    file.chmod(0o644)
    file.write_bytes(b"something else")
    file.chmod(0o444)


def same_size_and_time(file: Path) -> None:
    """Other bytes, of which neither size nor time tell."""
    before = file.stat()
    file.chmod(0o644)
    file.write_bytes(b"RED")
    file.chmod(0o444)
    os.utime(file, ns=(before.st_atime_ns, before.st_mtime_ns))


def replaced(file: Path) -> None:
    """Another file."""
    file.unlink()
    file.write_bytes(b"RED")
    file.chmod(0o444)


def removed(file: Path) -> None:
    """No file."""
    file.unlink()


def added(file: Path) -> None:
    """A file that no layer has, whose name says that it is bytecode of another."""
    (file.parent / "__pycache__").mkdir()
    (file.parent / "__pycache__" / "grape.cpython-311.pyc").write_bytes(b"")


def linked_elsewhere(file: Path) -> None:
    """A link to a file with the same bytes."""
    copy = file.parents[3] / "copy"
    copy.write_bytes(file.read_bytes())
    file.unlink()
    file.symlink_to(copy)


def folder_linked_elsewhere(file: Path) -> None:
    """A link to a folder with the same files, which somebody else may write."""
    file.parent.rename(file.parents[3] / "elsewhere")
    file.parent.symlink_to(file.parents[3] / "elsewhere")


def all_linked_elsewhere(file: Path) -> None:
    """The same for all files of the layer."""
    folder = file.parents[1]
    folder.rename(folder.parents[1] / "elsewhere")
    folder.symlink_to(folder.parents[1] / "elsewhere")


def a_folder(file: Path) -> None:
    """A folder."""
    file.unlink()
    file.mkdir()


def a_pipe(file: Path) -> None:
    """A pipe, which nobody waits for."""
    file.unlink()
    os.mkfifo(file, 0o444)


def writable(file: Path) -> None:
    """The same file, that may be changed."""
    file.chmod(0o644)


def executable(file: Path) -> None:
    """The same file, that may be started."""
    file.chmod(0o555)


def relisted(file: Path) -> None:
    """A list that says less."""
    listing = file.parents[2] / "list.json"
    listing.write_text(listing.read_text().replace('"lib/deep/seed.py"', '"lib/deep/seeds.py"'))


def unlisted(file: Path) -> None:
    """No list."""
    (file.parents[2] / "list.json").unlink()


def a_pipe_as_list(file: Path) -> None:
    """A list that nobody ever writes."""
    unlisted(file)
    os.mkfifo(file.parents[2] / "list.json")


@pytest.mark.parametrize(
    "fault",
    [
        rewritten, same_size_and_time, replaced, removed, added, linked_elsewhere, folder_linked_elsewhere,
        all_linked_elsewhere, a_folder, a_pipe, writable, executable, relisted, unlisted,
        a_pipe_as_list,
    ],
)  # fmt: skip
def test_what_was_changed_in_an_unpacked_layer_is_unpacked_again(tmp_path: Path, fault: Callable[[Path], None]) -> None:
    """
    The next environment has what the layer has; the layer is named, and is as before for those after that.
    """
    grape, cork = layer_in(tmp_path, GRAPE), layer_in(tmp_path, CORK)
    linked(unpacked_in(tmp_path), tmp_path / "first", grape, cork)
    (file,) = (tmp_path / "cache").glob("unpacked/*/files/lib/grape.py")
    fault(file)

    found, after = unpacked_in(tmp_path), unpacked_in(tmp_path)
    second = linked(found, tmp_path / "second", grape, cork)
    third = linked(after, tmp_path / "third", grape, cork)

    assert (expected(GRAPE, CORK), expected(GRAPE, CORK)) == (content_of(second), content_of(third))
    assert (["grape"], []) == (found.changed, after.changed)


def test_a_model_that_writes_into_its_packages_changes_no_other_environment_that_is_made(tmp_path: Path) -> None:
    """
    Its own environment has the file that is linked, which is left behind.
    """
    grape = layer_in(tmp_path, GRAPE)
    first = linked(unpacked_in(tmp_path), tmp_path / "first", grape)
    rewritten(first / "lib" / "grape.py")

    second = linked(unpacked_in(tmp_path), tmp_path / "second", grape)

    assert expected(GRAPE) == content_of(second)
    assert b"something else" == (first / "lib" / "grape.py").read_bytes()


def test_a_layer_that_is_listed_as_another_is_not_taken(tmp_path: Path) -> None:
    """
    A complete and intact layer under the digest of another one is unpacked again.
    """
    grape, cork = layer_in(tmp_path, GRAPE), layer_in(tmp_path, CORK)
    linked(unpacked_in(tmp_path), tmp_path / "first", grape, cork)
    folders = [
        tmp_path / "cache" / "unpacked" / layer.layer.blob.digest.removeprefix("sha256:") for layer in (grape, cork)
    ]
    folders[0].rename(tmp_path / "aside")
    folders[1].rename(folders[0])
    (tmp_path / "aside").rename(folders[1])

    second = linked(unpacked_in(tmp_path), tmp_path / "second", grape)

    assert expected(GRAPE) == content_of(second)


def test_a_link_to_a_folder_that_a_higher_layer_replaces_is_not_followed_any_more(tmp_path: Path) -> None:
    """
    What comes after that is in the folder of the new link.
    """
    layers = (
        layer_in(tmp_path, {"red/a.py": b"a", "white/a.py": b"a"}, {"wine": "red"}),
        layer_in(tmp_path, {"wine/b.py": b"b"}),
        layer_in(tmp_path, {}, {"wine": "white"}),
        layer_in(tmp_path, {"wine/c.py": b"c"}),
    )

    environment = linked(unpacked_in(tmp_path), tmp_path / "first", *layers)

    files = {"red/a.py": b"a", "white/a.py": b"a", "red/b.py": b"b", "white/c.py": b"c"}
    assert expected(files) | {"wine": Path("white")} == content_of(environment)


def test_no_link_of_a_lower_layer_leads_out_of_the_environment(tmp_path: Path) -> None:
    """
    Two links that are harmless in their own layers lead out together.
    """
    layers = (
        layer_in(tmp_path, {}, {"lib/way": "out/.."}),
        layer_in(tmp_path, {}, {"lib/out": ".."}),
        layer_in(tmp_path, {"lib/way/gone.py": b"x"}),
    )
    (tmp_path / "deep").mkdir()

    with pytest.raises(tarfile.ExtractError, match="leads out"):
        linked(unpacked_in(tmp_path), tmp_path / "deep" / "environment", *layers)

    assert [] == list((tmp_path / "deep").rglob("gone.py"))


def test_layers_that_were_not_used_for_long_are_removed_if_there_are_too_many(tmp_path: Path) -> None:
    """
    Never those of the environment itself, and none while another process links files.
    """
    old, grape, cork = layer_in(tmp_path, {"lib/old.py": b"old"}), layer_in(tmp_path, GRAPE), layer_in(tmp_path, CORK)
    names = [each.layer.blob.digest.removeprefix("sha256:") for each in (old, grape, cork)]
    linked(unpacked_in(tmp_path), tmp_path / "first", old, grape)
    folder = tmp_path / "cache" / "unpacked"
    os.utime(folder / names[0] / "list.json", (1, 1))
    descriptor = os.open(folder, os.O_RDONLY)
    fcntl.flock(descriptor, fcntl.LOCK_SH)  # another process links

    linked(unpacked_in(tmp_path, most_bytes=20), tmp_path / "second", cork)
    meanwhile = {path.name for path in folder.iterdir()}
    os.close(descriptor)
    third = linked(unpacked_in(tmp_path, most_bytes=20), tmp_path / "third", cork)

    assert {*names} == meanwhile
    assert {*names[1:]} == {path.name for path in folder.iterdir()}
    assert expected(CORK) == content_of(third)


@pytest.fixture
def elsewhere(tmp_path: Path) -> Iterator[Path]:
    """A folder in another file system."""
    with TemporaryDirectory(dir="/dev/shm") as folder:
        assert Path(folder).stat().st_dev != tmp_path.stat().st_dev
        yield Path(folder)


def test_where_no_file_can_be_linked_it_is_copied(tmp_path: Path, elsewhere: Path) -> None:
    """
    An environment in another file system has the same files, also where one covers another.
    """
    grape, higher = layer_in(tmp_path, GRAPE), layer_in(tmp_path, {"lib/grape.py": b"white"})

    environment = linked(unpacked_in(tmp_path), elsewhere / "environment", grape, higher)

    assert expected(GRAPE, {"lib/grape.py": b"white"}) == content_of(environment)


def test_what_a_killed_process_left_is_not_taken(tmp_path: Path) -> None:
    """
    A process that is killed while it unpacks leaves no layer, and the next one makes all of it.
    """
    files = {f"lib/{number}.py": b"%d" % number for number in range(3000)}
    grape = layer_in(tmp_path, files)
    folder, first = tmp_path / "cache" / "unpacked", tmp_path / "first"
    first.mkdir()
    argv = (sys.executable, "-c", LINKING, grape.archive, grape.layer.blob.digest, folder, first)
    child = subprocess.Popen(argv)
    while not list(folder.glob(".new-*/new/files/lib/10.py")):
        assert child.poll() is None, "it ended before it could be killed"
    child.send_signal(signal.SIGKILL)
    assert -signal.SIGKILL == child.wait()
    assert [] == [path for path in folder.iterdir() if not path.name.startswith(".new-")]

    second = linked(unpacked_in(tmp_path), tmp_path / "second", grape)

    assert expected(files) == content_of(second)


def test_what_was_replaced_is_removed_by_the_next_run_that_unpacks_nothing(tmp_path: Path) -> None:
    """
    It stays for a minute, in which a process may still link its files.
    """
    grape, folder = layer_in(tmp_path, GRAPE), tmp_path / "cache" / "unpacked"
    linked(unpacked_in(tmp_path), tmp_path / "first", grape)
    (file,) = folder.glob("*/files/lib/grape.py")
    rewritten(file)
    linked(unpacked_in(tmp_path), tmp_path / "second", grape)
    (replaced_layer,) = folder.glob(".new-*")

    linked(unpacked_in(tmp_path), tmp_path / "third", grape)
    young = replaced_layer.exists()
    os.utime(replaced_layer, (1, 1))
    linked(unpacked_in(tmp_path), tmp_path / "fourth", grape)

    assert (True, [grape.layer.blob.digest.removeprefix("sha256:")]) == (
        young,
        [path.name for path in folder.iterdir()],
    )


def test_two_processes_make_the_same_layers_at_once(tmp_path: Path) -> None:
    """
    Each gets a complete environment, also if one finds that the layers were changed.
    """
    grape, cork = layer_in(tmp_path, GRAPE), layer_in(tmp_path, CORK)
    linked(unpacked_in(tmp_path), tmp_path / "first", grape, cork)
    for file in (tmp_path / "cache").glob("unpacked/*/files/lib/*.py"):
        rewritten(file)
    (tmp_path / "second").mkdir()
    (tmp_path / "third").mkdir()
    tasks = [
        lambda name=name: unpacked_in(tmp_path).link((grape, cork), tmp_path / name) for name in ("second", "third")
    ]

    SystemRunner().side_by_side(tasks)

    assert expected(GRAPE, CORK) == content_of(tmp_path / "second") == content_of(tmp_path / "third")


def test_a_folder_that_cannot_be_written_is_an_error_of_the_system(tmp_path: Path) -> None:
    """
    As a home that is read-only, or a file in its place.
    """
    (tmp_path / "cache").mkdir()
    (tmp_path / "cache" / "unpacked").write_text("")

    with pytest.raises(OSError, match=r"exists|Not a directory"):
        linked(unpacked_in(tmp_path), tmp_path / "first", layer_in(tmp_path, GRAPE))
