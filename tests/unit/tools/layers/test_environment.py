"""The environment of an image, and the bytecode of its base's library."""

import sys
from pathlib import Path, PurePosixPath

from mlflow_uv.tools.layers.compiler import Compiler
from mlflow_uv.tools.layers.environment import environment_files, library_files
from mlflow_uv.tools.layers.saved_image import BasePython, python_of
from mlflow_uv.tools.system.process import SystemRunner
from tests.unit.tools.layers.test_saved_image import saved

MINOR = f"{sys.version_info.major}.{sys.version_info.minor}"
TAG = sys.implementation.cache_tag
LIBRARY = f"usr/lib/python{MINOR}"


def test_an_environment_starts_the_python_of_the_base() -> None:
    """
    By the path under which it is on PATH, which stays when the base gets another patch release.
    """
    python = BasePython(
        command=PurePosixPath("/usr/local/bin/python3"), version="3.11.2", library=PurePosixPath("/usr/lib/python3.11")
    )

    files = {str(path.relative_to("/opt/venv")): file for path, file in environment_files(python).items()}

    assert ["/usr/local/bin/python3", "python", "python", "lib"] == [
        files[name].target for name in ("bin/python", "bin/python3", "bin/python3.11", "lib64")
    ]
    assert "home = /usr/local/bin" in files["pyvenv.cfg"].data.decode().splitlines()
    assert "version_info = 3.11.2" in files["pyvenv.cfg"].data.decode().splitlines()


def test_modules_of_the_library_get_the_bytecode_that_they_lack(tmp_path: Path) -> None:
    """
    What has some keeps it, and packages that a distribution installed there are none of ours.
    """
    base = {
        f"usr/bin/python{MINOR}": b"\x7fELF",
        "usr/bin/python3": f"python{MINOR}",
        f"{LIBRARY}/os.py": b"name = 'posix'\n",
        f"{LIBRARY}/json/__init__.py": b"",
        f"{LIBRARY}/compiled.py": b"",
        f"{LIBRARY}/__pycache__/compiled.{TAG}.pyc": b"there",
        f"{LIBRARY}/test/support.py": b"",
        f"{LIBRARY}/dist-packages/apt.py": b"",
        f"{LIBRARY}/site-packages/pip.py": b"",
    }
    image = saved(tmp_path / "image", base)
    python = python_of(image)
    assert python is not None

    with Compiler(SystemRunner(), Path(sys.executable)) as compiler:
        files = library_files(image, python, compiler, tmp_path / "scratch")

    assert {
        PurePosixPath("/", LIBRARY, "__pycache__", f"os.{TAG}.pyc"),
        PurePosixPath("/", LIBRARY, "json", "__pycache__", f"__init__.{TAG}.pyc"),
    } == files.keys()
