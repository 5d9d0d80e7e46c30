"""The answers of an interpreter that runs no code."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from mlflow_uv.tools.uv.inert_python import REFUSAL, InertPython, refused_build
from tests.unit.tools.conftest import completed

SCRIPT = "import sys; sys.path = [{}] + sys.path; from python.get_interpreter_info import main; main()"


@pytest.fixture
def python(tmp_path: Path) -> Path:
    """Such an interpreter, below a folder whose name is not easy."""
    return InertPython(cache=tmp_path / "our 'cache'", default=Path(sys.executable)).of(None)


def run(python: Path, *argv: str) -> subprocess.CompletedProcess[str]:
    """Start it."""
    return subprocess.run([python, *argv], capture_output=True, text=True, check=False)


def test_it_says_what_it_is_and_is_itself_the_interpreter(tmp_path: Path, python: Path) -> None:
    """
    uv learns all that it wants to know, but that the program to start is this one.
    """
    (tmp_path / "python").mkdir()
    program = "import json, sys\ndef main(): print(json.dumps([sys.executable, sys._base_executable, sys.version]))\n"
    (tmp_path / "python" / "get_interpreter_info.py").write_text(program)

    done = run(python, "-I", "-B", "-c", SCRIPT.format(repr(str(tmp_path))))

    assert [str(python), str(python), sys.version] == json.loads(done.stdout)


@pytest.mark.parametrize(
    "argv",
    [
        (),
        ("-c", "print('ran')"),
        ("-I", "-B", "-c", "print('ran')"),
        ("-I", "-B", "-c", SCRIPT.format("'x'") + "; print('ran')"),
        ("-I", "-B", "-c", SCRIPT.format("'x'; print('ran'); 'x'")),
        ("-B", "-c", SCRIPT.format("'x'")),
        ("-c", SCRIPT.format("'x'")),
        ("-I", "-B", "-c", SCRIPT.format("'x'"), "more"),
        ("setup.py", "egg_info"),
        ("-m", "venv", "x"),
    ],
)
def test_it_runs_nothing_else(python: Path, argv: tuple[str, ...]) -> None:
    """
    Whatever a build starts it with: it refuses, and says so.
    """
    done = run(python, *argv)

    assert (1, "", f"{REFUSAL}\n") == (done.returncode, done.stdout, done.stderr)


def test_it_is_made_once(tmp_path: Path) -> None:
    """
    uv remembers an interpreter by when it was written.
    """
    made = InertPython(cache=tmp_path, default=Path(sys.executable))
    first = made.of(None)
    before = first.stat().st_ctime_ns

    again = made.of(Path(sys.executable))

    assert (first, before) == (again, again.stat().st_ctime_ns)


@pytest.mark.parametrize(
    ("variables", "cache"),
    [
        ({"HOME": "/home/me"}, "/home/me/.cache/uv"),
        ({"HOME": "/home/me", "XDG_CACHE_HOME": "/x"}, "/x/uv"),
        ({"HOME": "/home/me", "UV_CACHE_DIR": "/c"}, "/c"),
        ({"XDG_CACHE_HOME": "x"}, "/ours/uv-cache"),
        ({}, "/ours/uv-cache"),
    ],
)
def test_uv_s_cache_is_where_it_always_is(variables: dict[str, str], cache: str) -> None:
    """
    Said by a variable, which goes before what a checkout says.
    """
    found = InertPython(cache=Path("/ours"), default=Path("/python")).variables(variables)

    assert (cache, "never") == (found["UV_CACHE_DIR"], found["UV_PYTHON_DOWNLOADS"])
    assert not Path(found["UV_PROJECT_ENVIRONMENT"]).exists()


@pytest.mark.parametrize(
    ("stderr", "name"),
    [
        ("error: Failed to build `wine @ file:///w`\n  cause: The build backend returned an error\n", "wine"),
        ("error: Failed to generate package metadata for `wine==1 @ editable+.`\n", "wine"),
        ("  x\n  ╰─▶ Failed to download and build `my-grape.x==1.0`\n", "my-grape.x"),
        ("error: Failed to build `/w/x`\n", "/w/x"),
        ("error: The lockfile at `uv.lock` needs to be updated\n", ""),
    ],
)
def test_what_would_have_to_be_built_is_named(stderr: str, name: str) -> None:
    """
    In each of the ways in which uv says that a build failed.
    """
    assert [name, ""] == [refused_build(completed(stderr=stderr, code=code)) for code in (1, 0)]
