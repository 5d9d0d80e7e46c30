"""Extraction of tar archives."""

import io
import os
import tarfile
import zipfile
from collections.abc import Mapping
from pathlib import Path, PurePosixPath

import pytest

from mlflow_uv.tools.system.archives import extract, zip_folder

FILE, FOLDER, LINK, HARD_LINK, DEVICE = (
    tarfile.REGTYPE,
    tarfile.DIRTYPE,
    tarfile.SYMTYPE,
    tarfile.LNKTYPE,
    tarfile.CHRTYPE,
)


def archive_in(folder: Path, *members: tuple[str, bytes, str]) -> Path:
    """An archive of members: name, type, and the content or the target of a link."""
    archive = folder / "a.tar"
    with tarfile.open(archive, "w") as tar:
        for name, kind, text in members:
            member = tarfile.TarInfo(name)
            member.type, member.mode, member.mtime = kind, 0o6777, 7
            if kind == FILE:
                member.size = len(text)
            else:
                member.linkname = text
            tar.addfile(member, io.BytesIO(text.encode()) if kind == FILE else None)
    return archive


def files_in(folder: Path) -> Mapping[str, str]:
    """The text of each file, and the target of each link."""
    return {
        str(path.relative_to(folder)): f"-> {path.readlink()}" if path.is_symlink() else path.read_text()
        for path in folder.rglob("*")
        if path.is_symlink() or path.is_file()
    }


def test_files_folders_and_links_are_extracted(tmp_path: Path) -> None:
    """
    Nobody else can write them, and no file runs as its owner.
    """
    members = (("a", FOLDER, ""), ("a/b.txt", FILE, "red"), ("c/d", LINK, "../a/b.txt"), ("a/b.txt", FILE, "white"))

    extract(archive_in(tmp_path, *members), tmp_path / "out")

    written = tmp_path / "out" / "a" / "b.txt"
    assert {"a/b.txt": "white", "c/d": "-> ../a/b.txt"} == files_in(tmp_path / "out")
    assert (0o755, 7) == (written.stat().st_mode & 0o7777, written.stat().st_mtime)


def test_names_can_be_mapped_and_left_out(tmp_path: Path) -> None:
    """
    None leaves a member out.
    """
    archive = archive_in(tmp_path, ("x/a", FILE, "red"), ("y/a", FILE, "white"))

    extract(archive, tmp_path / "out", lambda name: PurePosixPath(name[2:]) if name.startswith("x/") else None)

    assert {"a": "red"} == files_in(tmp_path / "out")


@pytest.mark.parametrize(
    "members",
    [
        (("../gone", FILE, "x"),),
        (("a/../../gone", FILE, "x"),),
        (("/gone", FILE, "x"),),
        (("../folder", FOLDER, ""),),
        (("link", LINK, ".."), ("link/gone", FILE, "x")),
        (("link", LINK, "/etc/passwd"),),
        (("a", LINK, "b"), ("b", LINK, "../.."), ("a/gone", FILE, "x")),
        (
            ("d/d/d", FOLDER, ""),
            ("b", FOLDER, ""),
            ("a", LINK, "d/d/d"),
            ("m", LINK, "a/../.."),
            ("m/x", FILE, "x"),
            ("a", LINK, "b"),
            ("m/gone", FILE, "x"),
        ),
        (("twin", HARD_LINK, "/etc/passwd"),),
        (("null", DEVICE, ""),),
    ],
    ids=[
        "parent",
        "inner parent",
        "absolute",
        "folder",
        "link",
        "absolute link",
        "two links",
        "a link to a moved one",
        "hard link",
        "device",
    ],
)
def test_what_leads_out_is_refused(tmp_path: Path, members: tuple[tuple[str, bytes, str], ...]) -> None:
    """
    Nothing is written next to the folder.
    """
    out = tmp_path / "deep" / "out"
    out.mkdir(parents=True)

    with pytest.raises(tarfile.ExtractError):
        extract(archive_in(tmp_path, *members), out)

    assert {"a.tar"} == {path.name for path in tmp_path.rglob("*") if path.is_file() and out not in path.parents}


def test_a_link_that_is_there_is_not_written_through(tmp_path: Path) -> None:
    """
    A later entry replaces it.
    """
    victim = tmp_path / "victim"
    victim.write_text("mine")
    out = tmp_path / "out"
    out.mkdir()
    (out / "a").symlink_to(victim)

    extract(archive_in(tmp_path, ("a", FILE, "red")), out)

    assert ("mine", {"a": "red"}) == (victim.read_text(), files_in(out))


def test_a_folder_is_packed_in_the_same_bytes_each_time(tmp_path: Path) -> None:
    """
    Whatever the dates and modes of its files are.
    """
    folder = tmp_path / "folder"
    (folder / "b").mkdir(parents=True)
    (folder / "b" / "c").write_text("c" * 1000)
    (folder / "a").write_text("a")
    zip_folder(tmp_path / "first.zip", folder)
    (folder / "a").chmod(0o600)
    os.utime(folder / "a", (1, 1))

    zip_folder(tmp_path / "second.zip", folder)

    with zipfile.ZipFile(tmp_path / "first.zip") as packed:
        assert ["a", "b/c"] == packed.namelist()
    assert (tmp_path / "first.zip").read_bytes() == (tmp_path / "second.zip").read_bytes()
