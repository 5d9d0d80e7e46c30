"""Digests of folders, which depend on names and bytes alone."""

import hashlib
import os
from collections.abc import Callable
from pathlib import Path, PurePosixPath

import pytest

from mlflow_uv.command.errors import BadInput
from mlflow_uv.tools.system.content import digests_in


def test_every_file_of_a_folder_has_the_digest_of_its_bytes(tmp_path: Path) -> None:
    """
    By its relative path, in a fixed order, whatever its time.
    """
    (tmp_path / "b").mkdir()
    (tmp_path / "b" / "two").write_text("2")
    (tmp_path / "one").write_text("1")
    before = list(digests_in(tmp_path))
    os.utime(tmp_path / "one", (1, 1))

    digests = list(digests_in(tmp_path))

    one, two = (hashlib.sha256(text).hexdigest() for text in (b"1", b"2"))
    assert [(PurePosixPath("one"), one), (PurePosixPath("b/two"), two)] == digests == before


@pytest.mark.parametrize(
    ("fault", "why"),
    [
        (lambda path, elsewhere: path.symlink_to(elsewhere), "it is a link to a folder"),
        (lambda path, _: path.symlink_to("nowhere"), "it is a link to nothing"),
        (lambda path, _: path.symlink_to(path), "Too many levels of symbolic links"),
        (lambda path, _: os.mkfifo(path), "it is neither a file nor a folder"),
        (lambda path, _: path.symlink_to("/dev/zero"), "it is neither a file nor a folder"),
    ],
)
def test_what_would_be_left_out_is_refused(tmp_path: Path, fault: Callable[[Path, Path], None], why: str) -> None:
    """
    A program that loads the folder would read it; nothing is waited for.
    """
    elsewhere, model = tmp_path / "elsewhere", tmp_path / "model"
    for folder in (elsewhere, model):
        folder.mkdir()
        (folder / "one").write_text("1")
    fault(model / "code", elsewhere)

    with pytest.raises(BadInput) as raised:
        list(digests_in(model))

    assert (f"`{model / 'code'}` cannot be compared", why) == (raised.value.what, raised.value.why)


def test_a_link_to_a_file_is_that_file(tmp_path: Path) -> None:
    """
    As a program that loads the folder reads it.
    """
    (tmp_path / "elsewhere").write_text("1")
    (tmp_path / "model").mkdir()
    (tmp_path / "model" / "one").symlink_to(tmp_path / "elsewhere")

    digests = list(digests_in(tmp_path / "model"))

    assert [(PurePosixPath("one"), hashlib.sha256(b"1").hexdigest())] == digests
    assert [] == list(digests_in(tmp_path / "none"))


def test_folders_that_are_named_are_left_out_wherever_they_are(tmp_path: Path) -> None:
    """
    A file of that name is not.
    """
    (tmp_path / "b" / "ours").mkdir(parents=True)
    (tmp_path / "b" / "ours" / "two").write_text("2")
    (tmp_path / "ours").write_text("1")

    assert [PurePosixPath("ours")] == [path for path, _ in digests_in(tmp_path, frozenset({"ours"}))]
