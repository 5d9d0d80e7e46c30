"""What of ours goes into an image, and how it is packed."""

import os
import tarfile
from pathlib import Path, PurePosixPath

import pytest
import tomli

from mlflow_uv.command.errors import ToolFailed
from mlflow_uv.tools.engines.build_context import copy_library, locked_line, pack


def test_what_the_server_needs_beyond_the_model_is_one_package(root: Path) -> None:
    """
    The group `serving` of our lock is what is unpacked beside the server: nothing that it needs is left out.
    """
    lock = tomli.loads((root / "uv.lock").read_text())
    by_name = {package["name"]: package for package in lock["package"]}

    (asked,) = by_name["mlflow-uv-action"]["dev-dependencies"]["serving"]

    assert ("prometheus-client", None) == (asked["name"], by_name[asked["name"]].get("dependencies"))
    assert locked_line(root, asked["name"]).startswith("prometheus-client==")
    assert "--hash=sha256:" in locked_line(root, asked["name"])


def test_a_line_has_the_hash_of_each_wheel_of_a_package(root: Path) -> None:
    """
    Of the first and the last one in the lock, too.
    """
    packages = [each for each in tomli.loads((root / "uv.lock").read_text())["package"] if "wheels" in each]

    for package in (packages[0], packages[-1]):
        pin, *hashes = locked_line(root, package["name"]).split()

        assert f"{package['name']}=={package['version']}" == pin
        assert [f"--hash={wheel['hash']}" for wheel in package["wheels"]] == hashes


def test_an_archive_is_the_same_whatever_the_dates_and_modes_were(tmp_path: Path) -> None:
    """
    Sorted, root's, of one date, readable by everybody; a link to a file is the file.
    """
    folders = []
    for name, mode in (("one", 0o600), ("other", 0o755)):
        folder = tmp_path / name
        (folder / "code").mkdir(parents=True)
        for file in ("z.txt", "code/.hidden", "a.txt") if name == "one" else ("a.txt", "code/.hidden", "z.txt"):
            (folder / file).write_text(file)
            (folder / file).chmod(mode)
            os.utime(folder / file, (mode, mode))
        folders.append(folder)
    (folders[1] / "a.txt").unlink()
    (tmp_path / "elsewhere").write_text("a.txt")
    (folders[1] / "a.txt").symlink_to(tmp_path / "elsewhere")

    archives = [tmp_path / f"{folder.name}.tar" for folder in folders]
    for archive, folder in zip(archives, folders, strict=True):
        pack(archive, folder, PurePosixPath("/opt/model"))

    with tarfile.open(archives[0]) as tar:
        names = tar.getnames()
    assert archives[0].read_bytes() == archives[1].read_bytes()
    assert ["opt", "opt/model", "opt/model/a.txt", "opt/model/code", "opt/model/code/.hidden"] == names[:5]


def test_a_library_has_one_order_by_path_and_by_component(tmp_path: Path) -> None:
    """
    Engines sort the files of a layer by either, so that names whose order differs would give two digests.
    """
    wheel = tmp_path / "wheel"
    for name in (
        "grape/__init__.py",
        "grape-1.0.dist-info/METADATA",
        "grape-1.0.dist-info/licenses/LICENSE",
        "vine.py",
    ):
        (wheel / name).parent.mkdir(parents=True, exist_ok=True)
        (wheel / name).write_text(name)
    (tmp_path / "server").mkdir()

    copy_library(wheel, tmp_path / "server")

    names = {str(path.relative_to(tmp_path / "server")) for path in (tmp_path / "server").rglob("*") if path.is_file()}
    assert sorted(names) == sorted(names, key=lambda name: name.split("/"))
    assert {
        "lib/grape/__init__.py", "lib/vine.py",
        "metadata/grape-1.0.dist-info/METADATA", "metadata/grape-1.0.dist-info/licenses/LICENSE",
    } == names  # fmt: skip


def test_a_model_with_a_file_that_deletes_others_in_a_layer_is_refused(tmp_path: Path) -> None:
    """
    The name of a whiteout is that of a file in the model folder, and none in an image.
    """
    folder = tmp_path / "model"
    (folder / "data" / ".wh.vocabulary").mkdir(parents=True)

    with pytest.raises(ToolFailed, match=r"`data/\.wh\.vocabulary` cannot be put into an image"):
        pack(tmp_path / "layer.tar", folder, PurePosixPath("/opt/model"))
