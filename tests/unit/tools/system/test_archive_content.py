"""Digests of what is in wheels and archives, which depend on names and bytes alone."""

import hashlib
import io
import tarfile
import zipfile
from collections.abc import Mapping
from pathlib import Path, PurePosixPath

from mlflow_uv.tools.system.archive_content import digests_in_archive, wheel_content, wheel_inputs

FILES = {"wine.py": "x = 1", "wine-1.dist-info/METADATA": "Name: wine\nDescription: old\n  more\n\nold", "a.so": "2"}


def wheel(path: Path, files: Mapping[str, str], *, year: int = 2020) -> Path:
    """A wheel with files of one date."""
    with zipfile.ZipFile(path, "w") as archive:
        for name, text in files.items():
            archive.writestr(zipfile.ZipInfo(name, (year, 1, 1, 0, 0, 0)), text)
    return path


def test_the_content_of_a_wheel_is_that_of_its_files(tmp_path: Path) -> None:
    """
    Neither dates nor the order of files change it; a byte does.
    """
    first = wheel(tmp_path / "1.whl", FILES)
    later = wheel(tmp_path / "2.whl", dict(reversed(FILES.items())), year=2024)
    other = wheel(tmp_path / "3.whl", FILES | {"wine.py": "x = 2"})

    assert wheel_content(first) == wheel_content(later) != wheel_content(other)


def test_the_inputs_of_a_wheel_are_what_its_code_can_read(tmp_path: Path) -> None:
    """
    Its code and its name, not its long description.
    """
    folder = "wine-1.dist-info"
    first = wheel_inputs(wheel(tmp_path / "1.whl", FILES))
    described = {
        f"{folder}/METADATA": "Name: wine\nDescription: new\n\nnew",
        f"{folder}/RECORD": "",
        f"{folder}/LICENSE": "",
    }
    renamed = {f"{folder}/METADATA": "Name: beer\n\nold"}

    changed = [
        wheel_inputs(wheel(tmp_path / f"{number}.whl", FILES | part))
        for number, part in enumerate((described, renamed))
    ]

    assert [True, False] == [digest == first for digest in changed]


def test_digests_of_a_folder_in_an_archive(tmp_path: Path) -> None:
    """
    Of every file below the folder, by its relative path; the archive may be compressed.
    """
    archive = tmp_path / "layer.tar.gz"
    with tarfile.open(archive, "w:gz") as tar:
        for name, data in (("opt/model/a/one", b"1"), ("opt/model/two", b"2"), ("opt/other", b"3")):
            entry = tarfile.TarInfo(name)
            entry.size = len(data)
            tar.addfile(entry, io.BytesIO(data))

    digests = list(digests_in_archive(archive, PurePosixPath("/opt/model")))

    one, two = (hashlib.sha256(text).hexdigest() for text in (b"1", b"2"))
    assert [(PurePosixPath("a/one"), one), (PurePosixPath("two"), two)] == digests
