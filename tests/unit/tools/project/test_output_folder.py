"""Folders that an input names: complete or not there, and what is in their place stays as it is."""

import os
import signal
import subprocess
import sys
from errno import ENOSPC
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from mlflow_uv.command.errors import BadInput, NoSpace
from mlflow_uv.tools.project.output_folder import SCRATCH, output_folder, require_replaceable_folder

WRITING = """
import sys, time
from pathlib import Path
from mlflow_uv.tools.project.output_folder import output_folder
with output_folder(Path(sys.argv[1]), "oci-layout", "the image") as folder:
    (folder / "half").write_bytes(b"x")
    print(folder.parent.name, flush=True)
    while True:
        time.sleep(60)
"""
AS_ANOTHER_USER = """
import os, sys
from pathlib import Path
from mlflow_uv.tools.project.output_folder import output_folder
os.setuid(int(sys.argv[2]))
with output_folder(Path(sys.argv[1]), "oci-layout", "the image") as folder:
    (folder / "file").write_text("ours")
"""
OTHER_USER = 12345


def write(folder: Path) -> None:
    with output_folder(folder, "oci-layout", "the image") as new:
        (new / "file").write_text("ours")


def test_what_a_killed_run_left_is_removed_by_the_next_one(tmp_path: Path) -> None:
    """
    A folder of the user with a name like that of a scratch folder in the cache stays, and so does a running one.
    """
    (tmp_path / ".new-year").mkdir()
    os.utime(tmp_path / ".new-year", (1, 1))
    argv = (sys.executable, "-c", WRITING, tmp_path / "out")
    with subprocess.Popen(argv, stdout=subprocess.PIPE, text=True) as child:
        assert child.stdout is not None
        name = child.stdout.readline().strip()
        os.utime(tmp_path / name, (1, 1))
        write(tmp_path / "other")
        meanwhile = (tmp_path / name / "new" / "half").read_bytes()
        child.send_signal(signal.SIGKILL)
    os.utime(tmp_path / name, (1, 1))

    write(tmp_path / "out")

    assert (b"x", True) == (meanwhile, name.startswith(SCRATCH))
    assert [".new-year", "other", "out"] == sorted(path.name for path in tmp_path.iterdir())


def test_what_somebody_writes_into_the_folder_meanwhile_stays(tmp_path: Path) -> None:
    """
    The error names the folder, and not the one that would have taken its place.
    """

    def late() -> None:
        with output_folder(tmp_path / "out", "oci-layout", "the image") as new:
            (new / "file").write_text("ours")
            (tmp_path / "out").mkdir()
            (tmp_path / "out" / "mine").write_text("mine")

    with pytest.raises(BadInput, match="is not empty") as refused:
        late()

    assert (True, False) == (str(tmp_path / "out") in refused.value.what, SCRATCH in str(refused.value))
    assert "--oci-layout NEW_FOLDER" in str(refused.value.fix)
    assert ["mine"] == [path.name for path in (tmp_path / "out").iterdir()]
    assert ["out"] == [path.name for path in tmp_path.iterdir()]


def test_a_folder_that_cannot_be_replaced_is_named(tmp_path: Path) -> None:
    """
    Such as one whose parent was removed meanwhile, with all that is in it.
    """

    def gone() -> None:
        with output_folder(tmp_path / "parent" / "out", "bundle", "the bundle") as new:
            new.rmdir()

    with pytest.raises(BadInput, match="cannot be replaced") as refused:
        gone()

    assert (True, False) == ("parent/out" in refused.value.what, SCRATCH in str(refused.value))
    assert "--bundle NEW_FOLDER" in str(refused.value.fix)


def test_a_full_disk_is_that_of_the_folder(tmp_path: Path) -> None:
    """
    The error names the folder of the input, whatever path the system names, and nothing is left.
    """

    def full() -> None:
        with output_folder(tmp_path / "out", "oci-layout", "the image") as new:
            raise OSError(ENOSPC, "No space left on device", str(new / "blobs"))

    with pytest.raises(NoSpace) as refused:
        full()

    assert f"No space left on device: {tmp_path / 'out'}" == refused.value.why
    assert [] == [*tmp_path.iterdir()]


@pytest.mark.usefixtures("root_user")
def test_an_empty_folder_keeps_its_mode_and_owner(tmp_path: Path) -> None:
    """
    What its owner closed to others does not become open to them.
    """
    (tmp_path / "out").mkdir()
    (tmp_path / "out").chmod(0o2700)
    os.chown(tmp_path / "out", OTHER_USER, OTHER_USER)
    (tmp_path / "out").chmod(0o2700)

    write(tmp_path / "out")

    state = (tmp_path / "out").stat()
    assert (0o42700, OTHER_USER, OTHER_USER, "ours") == (
        state.st_mode, state.st_uid, state.st_gid, (tmp_path / "out" / "file").read_text(),
    )  # fmt: skip


@pytest.mark.usefixtures("root_user")
def test_an_empty_folder_of_another_user_is_refused() -> None:
    """
    It would become a folder of this user; nothing is written.
    """
    with TemporaryDirectory() as folder:
        place = Path(folder)
        place.chmod(0o777)
        (place / "out").mkdir()
        argv = (sys.executable, "-c", AS_ANOTHER_USER, place / "out", str(OTHER_USER))
        done = subprocess.run(argv, capture_output=True, text=True, check=False)
        content = [path.name for path in place.rglob("*")]

    assert (["out"], True) == (content, "it belongs to another user" in done.stderr)


def test_a_mount_point_is_refused_with_a_folder_in_it(empty_mount: Path) -> None:
    """
    Such as a volume of a container, in whose place nothing can be put.
    """
    with pytest.raises(BadInput, match="a file system is mounted there") as refused:
        require_replaceable_folder(empty_mount, "oci-layout")

    assert f"{empty_mount}/NEW_FOLDER" in str(refused.value.fix)
