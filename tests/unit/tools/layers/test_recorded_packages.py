"""Packages in an environment, verified by their RECORD files."""

import base64
import hashlib
import os
from pathlib import Path, PurePosixPath

import pytest

from mlflow_uv.command.errors import ToolFailed
from mlflow_uv.tools.layers.recorded_packages import recorded_packages, shared_files, unowned, verified_files

SITE = "lib/python3.11/site-packages"
HOME = PurePosixPath("/opt/venv")


def signed(path: str, data: bytes) -> str:
    """A row of RECORD."""
    digest = base64.urlsafe_b64encode(hashlib.sha256(data).digest()).rstrip(b"=").decode()
    return f"{path},sha256={digest},{len(data)}\n"


def package(environment: Path, name: str, files: dict[str, bytes], rows: str = "") -> Path:
    """Lay a package out as uv does: files by their paths in RECORD, and more rows of it."""
    site = environment / SITE
    info = site / f"{name}-1.0.dist-info"
    info.mkdir(parents=True)
    metadata = f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n".encode()
    listed = ""
    for path, data in {**files, f"{info.name}/METADATA": metadata}.items():
        file = Path(os.path.normpath(site / path))
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(data)
        listed += signed(path, data)
    (info / "RECORD").write_text(f"{listed}{rows}{info.name}/RECORD,,\n")
    return environment


def verified(environment: Path):
    """The files of the only package."""
    (only,) = recorded_packages(environment)
    return verified_files(environment, only, HOME)


def test_a_package_is_its_files_at_their_places(tmp_path: Path) -> None:
    """
    Modules, data and scripts; a script starts the interpreter of the image, and RECORD says so.
    """
    script = f"#!{tmp_path}/bin/python\nimport grape\n".encode()
    files = {"grape/__init__.py": b"", "../../../bin/grape": script, "../../../share/grape.txt": b"red"}
    package(tmp_path, "Grape_Juice", files)
    (tmp_path / "bin" / "grape").chmod(0o755)

    (only,) = recorded_packages(tmp_path)
    found = verified_files(tmp_path, only, HOME)

    expected = b"#!/opt/venv/bin/python\nimport grape\n"
    record = found[PurePosixPath(SITE, "Grape_Juice-1.0.dist-info", "RECORD")].data.decode()
    assert "grape-juice" == only.name
    assert (expected, True) == (found[PurePosixPath("bin/grape")].data, found[PurePosixPath("bin/grape")].executable)
    assert signed("../../../bin/grape", expected) in record
    assert not found[PurePosixPath("share/grape.txt")].executable
    assert [] == list(unowned(tmp_path, (only,)))


def test_what_is_executable_in_a_wheel_stays_so(tmp_path: Path) -> None:
    """
    Also where it makes no sense: some wheels are packed with one mode for all files, RECORD among them.
    """
    package(tmp_path, "grape", {"grape.py": b"red", "grape.so": b""})
    info = tmp_path / SITE / "grape-1.0.dist-info"
    for path in (tmp_path / SITE / "grape.so", info / "RECORD"):
        path.chmod(0o755)

    modes = {path.name: file.executable for path, file in verified(tmp_path).items()}

    assert {"grape.py": False, "grape.so": True, "RECORD": True, "METADATA": False} == modes


def test_a_script_of_a_long_path_starts_the_interpreter_of_the_image_too(tmp_path: Path) -> None:
    """
    The kernel reads 127 bytes of a first line, and no spaces in a path: uv then starts it by a shell.
    """
    environment = tmp_path / "with a space"
    script = f"#!/bin/sh\n'''exec' '{environment}/bin/python' \"$0\" \"$@\"\n' '''\nimport grape\n".encode()
    package(environment, "grape", {"../../../bin/grape": script})

    found = verified(environment)

    assert b"#!/opt/venv/bin/python\nimport grape\n" == found[PurePosixPath("bin/grape")].data


def test_what_differs_between_two_installations_is_left_out(tmp_path: Path) -> None:
    """
    The folder that a local wheel came from, and when uv read it.
    """
    url = b'{"url":"file:///home/me/model/mlflow-uv/wheels/grape-1.0-py3-none-any.whl","archive_info":{}}'
    info = "grape-1.0.dist-info"
    package(tmp_path, "grape", {f"{info}/direct_url.json": url, f"{info}/uv_cache.json": b'{"timestamp":1}'})

    found = verified(tmp_path)

    names = {path.name for path in found}
    direct = found[PurePosixPath(SITE, info, "direct_url.json")].data
    assert b"/home/me" not in direct
    assert b"/wheels/grape-1.0-py3-none-any.whl" in direct
    assert "uv_cache.json" not in names
    assert b"uv_cache" not in found[PurePosixPath(SITE, info, "RECORD")].data


@pytest.mark.parametrize(
    "path", ["../../../../x", "/etc/passwd", "../../../../../../../../etc/passwd", "grape/../../../../../x"]
)
def test_a_record_that_leads_out_of_the_environment_is_refused(tmp_path: Path, path: str) -> None:
    """
    Nothing there is read, whether it exists or not.
    """
    (tmp_path / "x").write_text("of somebody else")
    package(tmp_path / "environment", "grape", {}, signed(path, b"of somebody else"))

    with pytest.raises(ToolFailed, match="`grape` cannot be used") as raised:
        recorded_packages(tmp_path / "environment")

    assert "outside" in raised.value.why


def change(path: Path) -> None:
    path.write_bytes(b"white")


def remove(path: Path) -> None:
    path.unlink()


def link_out(path: Path) -> None:
    path.unlink()
    path.symlink_to("/etc/passwd")


def link_to_the_same(path: Path) -> None:
    path.symlink_to(path.rename(path.with_name("moved")))


@pytest.mark.parametrize(
    ("spoil", "reason"),
    [(change, "does not match"), (remove, "missing"), (link_out, "no file"), (link_to_the_same, "no file")],
)
def test_a_file_other_than_that_of_the_wheel_is_refused(tmp_path: Path, spoil, reason: str) -> None:
    """
    uv's cache shares its files with environments by hard links: who edits one there changes it for all.
    """
    package(tmp_path, "grape", {"grape.py": b"red"})
    spoil(tmp_path / SITE / "grape.py")

    with pytest.raises(ToolFailed) as raised:
        verified(tmp_path)

    assert f"{SITE}/grape.py" in raised.value.what
    assert reason in raised.value.why
    assert "uv cache clean grape" == raised.value.fix


@pytest.mark.parametrize("rows", ["grape.py,,\n", "grape.py,md5=abc,3\n"])
def test_a_file_without_a_digest_that_counts_is_refused(tmp_path: Path, rows: str) -> None:
    """
    PEP 376 allows none and MD5; nothing would show that it is the file of the wheel.
    """
    package(tmp_path, "grape", {}, rows)
    (tmp_path / SITE / "grape.py").write_text("red")

    with pytest.raises(ToolFailed) as raised:
        verified(tmp_path)

    assert "its RECORD has no digest of it" in raised.value.why


def test_a_path_that_is_listed_twice_is_refused(tmp_path: Path) -> None:
    """
    In any spelling: nothing says which of two digests counts.
    """
    package(tmp_path, "grape", {"grape.py": b"red"}, signed("x/../grape.py", b"white"))

    with pytest.raises(ToolFailed) as raised:
        recorded_packages(tmp_path)

    assert "twice" in raised.value.why


def test_files_of_nobody_and_of_several_are_known(tmp_path: Path) -> None:
    """
    The first may be put there by somebody, the second are installed in no order.
    """
    package(tmp_path, "grape", {"cellar/__init__.py": b"red"})
    package(tmp_path, "plum", {"cellar/__init__.py": b"blue"})
    (tmp_path / SITE / "stray.pth").write_text("import os")
    (tmp_path / "lib64").symlink_to("lib")

    packages = recorded_packages(tmp_path)

    assert {PurePosixPath(SITE, "cellar/__init__.py"): ("grape", "plum")} == shared_files(packages)
    assert {PurePosixPath("lib64"), PurePosixPath(SITE, "stray.pth")} == set(unowned(tmp_path, packages))


def test_a_package_that_unpacks_to_more_than_the_limit_is_refused(tmp_path: Path) -> None:
    """
    A file of zeros takes no space in a wheel; its size is enough to refuse it, and it is not read.
    """
    package(tmp_path, "bomb", {"bomb.py": b"", "zeros.bin": b""})
    os.truncate(tmp_path / SITE / "zeros.bin", 20 << 30)
    (only,) = recorded_packages(tmp_path)

    with pytest.raises(ToolFailed) as refused:
        verified_files(tmp_path, only, HOME)

    assert "`bomb` cannot be put into an image: it unpacks to more than 16 GiB" == refused.value.what
    assert "zeros.bin" in refused.value.why
