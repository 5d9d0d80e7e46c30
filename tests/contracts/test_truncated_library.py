"""A library that a build wrote in part: what the message says makes real uv build the package again."""

import io
import os
import shlex
import subprocess
import sys
import tarfile
from pathlib import Path

import pytest

from mlflow_uv.command.errors import BaseImageUnfit
from mlflow_uv.installing.libraries import is_truncated
from mlflow_uv.ops.image.composed_sources import examined_packages, require_loadable, unloadable_libraries
from tests import elf
from tests.unit.ops.image.test_composed_sources import base_with, code

UV = Path(sys.executable).parent / "uv"
BACKEND = """
import zipfile
from pathlib import Path

def build_wheel(folder, config_settings=None, metadata_directory=None):
    info = "plum-1.0.dist-info"
    files = {"plum_c.so": Path(%r).read_bytes()}
    files[info + "/METADATA"] = b"Metadata-Version: 2.1\\nName: plum\\nVersion: 1.0\\n"
    files[info + "/WHEEL"] = b"Wheel-Version: 1.0\\nRoot-Is-Purelib: true\\nTag: py3-none-any\\n"
    files[info + "/RECORD"] = "".join(f"{name},,\\n" for name in [*files, info + "/RECORD"]).encode()
    with zipfile.ZipFile(Path(folder, "plum-1.0-py3-none-any.whl"), "w") as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return "plum-1.0-py3-none-any.whl"
"""


def sdist(folder: Path, compiled: Path) -> None:
    """A source distribution whose backend takes what a compiler wrote."""
    folder.mkdir()
    files = {
        "pyproject.toml": '[build-system]\nrequires = []\nbuild-backend = "press"\nbackend-path = ["."]\n',
        "press.py": BACKEND % str(compiled),
        "PKG-INFO": "Metadata-Version: 2.2\nName: plum\nVersion: 1.0\n",
    }
    with tarfile.open(folder / "plum-1.0.tar.gz", "w:gz") as archive:
        for name, text in files.items():
            member = tarfile.TarInfo(f"plum-1.0/{name}")
            member.size = len(text.encode())
            archive.addfile(member, io.BytesIO(text.encode()))


def test_a_package_with_a_library_that_was_cut_off_is_built_again(tmp_path: Path) -> None:
    """
    Installing it again is not enough, because uv keeps the wheel; the printed command removes it.
    """
    compiled, whole = tmp_path / "plum_c.so", elf.library()
    sdist(tmp_path / "dist", compiled)
    compiled.write_bytes(whole[:-40])
    variables = {**os.environ, "UV_CACHE_DIR": str(tmp_path / "cache")}

    def installed(name: str) -> Path:
        argv = (UV, "pip", "install", "--quiet", "--no-index", "--find-links", tmp_path / "dist",
                "--python", sys.executable, "--target", tmp_path / name, "plum")  # fmt: skip
        subprocess.run(argv, env=variables, check=True)
        return tmp_path / name / "plum_c.so"

    cut = installed("first")
    compiled.write_bytes(whole)
    again = installed("again")
    found = unloadable_libraries(code(truncated=("plum",)), base_with())
    with pytest.raises(BaseImageUnfit) as refused:
        require_loadable(found, examined_packages(frozenset({"plum"}), ()), base_with())
    program, *words = shlex.split(str(refused.value.fix))
    subprocess.run((UV, *words), env=variables, check=True, capture_output=True)

    assert "uv" == program
    assert (True, True, False) == tuple(map(is_truncated, (cut, again, installed("cleaned"))))
