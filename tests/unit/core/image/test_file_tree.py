"""Paths of an image, from its layers."""

import time
from pathlib import PurePosixPath

import pytest

from mlflow_uv.core.image.file_tree import EntryKind, FileTree, TreeEntry


def entry(path: str, layer: int = 0, target: str = "") -> TreeEntry:
    kind = EntryKind.FOLDER if path.endswith("/") else EntryKind.LINK if target else EntryKind.FILE
    return TreeEntry(path=PurePosixPath(path), kind=kind, layer=layer, target=target, executable="bin/" in path)


def tree(*layers: tuple[TreeEntry, ...]) -> FileTree:
    merged = FileTree()
    for layer in layers:
        merged.add(layer)
    return merged


def resolved(image: FileTree, path: str) -> str | None:
    found = image.resolved(PurePosixPath(path))
    return None if found is None else str(found.path)


def test_a_higher_layer_replaces_and_removes() -> None:
    """
    A file by its own, a file or folder by a whiteout, everything in a folder by an opaque one, and a folder by a file.
    """
    image = tree(
        (entry("/a/"), entry("/a/one"), entry("/a/two"), entry("/b/"), entry("/b/one"), entry("/c/"), entry("/c/one")),
        (entry("/a/one", 1), entry("/a/.wh.two", 1), entry("/b/.wh..wh..opq", 1), entry("/b/new", 1), entry("/c", 1)),
        (entry("/.wh.b", 2),),
    )

    assert [("/a/one", 1)] == [(str(e.path), e.layer) for e in image.below(PurePosixPath("/a"))]
    assert () == image.below(PurePosixPath("/b")) == image.below(PurePosixPath("/c"))
    assert PurePosixPath("/c") in image
    assert PurePosixPath("/b") not in image


def test_what_an_opaque_folder_gets_in_its_own_layer_stays() -> None:
    """
    In whichever order the archive has them.
    """
    image = tree((entry("/b/"), entry("/b/old")), (entry("/b/new", 1), entry("/b/.wh..wh..opq", 1)))

    assert ["/b/new"] == [str(e.path) for e in image.below(PurePosixPath("/b"))]


def test_an_image_of_many_files_is_read_in_a_moment() -> None:
    """
    A base has tens of thousands; each is looked at once.
    """
    files = tuple(entry(f"/usr/lib/{at % 100}/{at}.py") for at in range(20_000))

    image = tree(files, files)

    assert 20_000 + 100 == len(image.below(PurePosixPath("/usr/lib")))


def test_folders_need_no_entries_of_their_own() -> None:
    """
    An archive may have a file without the folders above it; engines create them.
    """
    image = tree((entry("/usr/lib/grape.py"),), (entry("/usr/lib/plum.py", 1),))

    assert {PurePosixPath("/usr"), PurePosixPath("/usr/lib")} == image.folders()
    assert "/usr/lib/plum.py" == resolved(image, "/usr/lib/plum.py")


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("/usr/bin/python3", "/usr/bin/python3.11"),
        ("/bin/python3", "/usr/bin/python3.11"),
        ("/bin/../bin/./python", "/usr/bin/python3.11"),
        ("/etc/alternatives/python", "/usr/bin/python3.11"),
        ("/../../usr/bin/python3.11", "/usr/bin/python3.11"),
        ("/usr/bin/broken", None),
        ("/usr/bin/endless", None),
        ("/usr/bin/absent", None),
        ("/", None),
    ],
)
def test_links_are_followed_inside_the_image(path: str, expected: str | None) -> None:
    """
    A link to `/usr/bin` is not that of this machine; one that leads above the top stays at the top.
    """
    image = tree(
        (
            entry("/usr/"), entry("/usr/bin/"), entry("/bin", target="usr/bin"),
            entry("/usr/bin/python3.11"),
            entry("/usr/bin/python3", target="python3.11"),
            entry("/usr/bin/python", target="/etc/alternatives/python"),
            entry("/etc/"), entry("/etc/alternatives/"),
            entry("/etc/alternatives/python", target="../../../../usr/bin/python3"),
            entry("/usr/bin/broken", target="nowhere"),
            entry("/usr/bin/endless", target="endless"),
        )
    )  # fmt: skip

    assert expected == resolved(image, path)


def test_a_program_is_the_first_on_the_path_that_can_be_executed() -> None:
    """
    A folder of that name, or a file without the mode, is passed over, as a shell does.
    """
    image = tree(
        (
            entry("/opt/"), entry("/opt/python3/"), entry("/lib/"), entry("/lib/python3"),
            entry("/usr/"), entry("/usr/bin/"), entry("/usr/bin/python3", target="python3.11"),
            entry("/usr/bin/python3.11"),
        )
    )  # fmt: skip

    found = image.find_program("python3", "relative:/opt:/lib:/nowhere:/usr/bin")

    assert found is not None
    assert ("/usr/bin/python3", "/usr/bin/python3.11") == (str(found[0]), str(found[1].path))
    assert None is image.find_program("python3", "/opt:/lib")


def test_a_layer_that_removes_everything_again_and_again_is_read_in_a_moment() -> None:
    """
    The time depends on what is removed, not on what else is there.
    """
    files = tuple(entry(f"/usr/lib/{at % 100}/{at}.py") for at in range(20_000))
    removing = tuple(entry(f"/var/{at}/.wh..wh..opq", 1) for at in range(5_000))
    image = tree(files)

    started = time.process_time()
    image.add(removing)
    needed = time.process_time() - started

    assert 20_000 + 100 == len(image.below(PurePosixPath("/usr/lib")))
    assert needed < 5
