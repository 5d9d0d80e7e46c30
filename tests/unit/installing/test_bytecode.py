"""Bytecode that depends on the sources and the interpreter alone."""

import errno
import json
import py_compile
import subprocess
import sys
from pathlib import Path
from typing import Any

from tests.conftest import ROOT

PROGRAM = ROOT / "src" / "mlflow_uv" / "installing" / "bytecode.py"


def compiled(folder: Path, *groups: list[tuple[Path, str]]) -> tuple[list[dict[str, Any]], list[dict[str, bytes]]]:
    """How each group ended, and the bytecode that the program writes for those that it compiles."""
    folder.mkdir()
    requests = [
        {"out": str(folder / str(at)), "files": [[str(source), place] for source, place in group]}
        for at, group in enumerate(groups)
    ]
    done = subprocess.run(
        (sys.executable, "-B", "-S", "-s", PROGRAM), capture_output=True,
        input="".join(f"{json.dumps(request)}\n" for request in requests), text=True, check=True, cwd="/",
        env={"PYTHONHASHSEED": "0"},
    )  # fmt: skip
    return list(map(json.loads, done.stdout.splitlines())), [bytecode_in(path) for path in sorted(folder.iterdir())]


def bytecode_in(file: Path) -> dict[str, bytes]:
    """The files in what the program writes for a group."""
    with file.open("rb") as content:
        files = {name: content.read(size) for name, size in json.loads(content.readline())}
        assert b"" == content.read()
    return files


def test_bytecode_does_not_depend_on_folder_time_and_neighbours(tmp_path: Path) -> None:
    """
    Each group has a process of its own: what is compiled beside it leaves no interned names.
    """
    text = "\n".join(f"def f{at}(row, *, colour={{'red', 'white'}}): return row.name_{at}" for at in range(50))
    folders = [tmp_path / "one", tmp_path / "another one"]
    for folder in folders:
        folder.mkdir()
        (folder / "grape.py").write_text(text)
        (folder / "plum.py").write_text(text.replace("colour", "colours"))
    (one, plum), (other, _) = [
        ((folder / "grape.py", "/opt/venv/grape.py"), (folder / "plum.py", "/opt/venv/plum.py")) for folder in folders
    ]

    alone = compiled(tmp_path / "a", [one])
    after = compiled(tmp_path / "b", [plum], [other, plum], [other])

    name = f"/opt/venv/__pycache__/grape.{sys.implementation.cache_tag}.pyc"
    assert ([{}], [name]) == (alone[0], list(alone[1][0]))
    assert ([{}, {}, {}], alone[1][0]) == (after[0], after[1][2])
    assert alone[1][0][name] == after[1][1][name]


def test_bytecode_is_what_the_standard_library_compiles(tmp_path: Path) -> None:
    """
    `py_compile` in a process of its own gives the same bytes.
    """
    source, place = Path(py_compile.__file__), "/opt/venv/lib/py_compile.py"
    lines = (
        "import py_compile, sys",
        "mode = py_compile.PycInvalidationMode.UNCHECKED_HASH",
        "py_compile.compile(*sys.argv[1:], invalidation_mode=mode)",
    )
    argv = (sys.executable, "-B", "-S", "-s", "-c", "\n".join(lines), source, tmp_path / "expected", place)
    subprocess.run(argv, check=True, env={"PYTHONHASHSEED": "0"})

    _, (files,) = compiled(tmp_path / "out", [(source, place)])

    assert [(tmp_path / "expected").read_bytes()] == list(files.values())


def test_bytecode_is_unchecked_and_says_where_its_source_is_in_the_image(tmp_path: Path) -> None:
    """
    PEP 552: no time of a source; and a traceback names no folder of the machine that compiled it.
    """
    (tmp_path / "grape.py").write_text("colour = 'red'\n")

    _, (files,) = compiled(tmp_path / "out", [(tmp_path / "grape.py", "/opt/venv/lib/grape.py")])

    (data,) = files.values()
    assert 0b01 == int.from_bytes(data[4:8], "little")
    assert b"/opt/venv/lib/grape.py" in data
    assert str(tmp_path).encode() not in data


def test_what_is_no_module_of_a_server_is_left_out(tmp_path: Path) -> None:
    """
    Templates with the suffix of a module, tests, what is nested too deeply, and files of other kinds.

    The others are compiled all the same.
    """
    (tmp_path / "template.py").write_text("{{ this is no Python }}")
    (tmp_path / "grape.py").write_text("colour = 'red'\n")
    (tmp_path / "deep.py").write_text("x = " + "(" * 5000 + ")" * 5000)
    (tmp_path / "nested.py").write_text("x = " + "lambda: " * 1500 + "0")
    places = {
        "/v/nested.py": "nested.py",
        "/v/template.py": "template.py",
        "/v/deep.py": "deep.py",
        "/v/tests/grape.py": "grape.py",
        "/v/grape.pyi": "grape.py",
        "/v/grape.py": "grape.py",
    }

    codes, (files,) = compiled(tmp_path / "out", [(tmp_path / file, place) for place, file in places.items()])

    assert ([{}], [f"/v/__pycache__/grape.{sys.implementation.cache_tag}.pyc"]) == (codes, list(files))


def test_a_file_that_cannot_be_read_is_a_failure(tmp_path: Path) -> None:
    """
    A package without its bytecode would be slow, and a layer without it another layer; the next one is compiled.
    """
    (tmp_path / "grape.py").write_text("colour = 'red'\n")
    grape, absent = (tmp_path / "grape.py", "/v/grape.py"), (tmp_path / "absent.py", "/v/absent.py")

    (failure, grapes), files = compiled(tmp_path / "out", [grape, absent], [grape])

    error = f"FileNotFoundError: [Errno 2] No such file or directory: '{tmp_path / 'absent.py'}'"
    assert {"file": 1, "errno": errno.ENOENT, "error": error} == failure
    assert ({}, 1) == (grapes, len(files))


def test_a_process_that_ends_before_its_first_file_names_no_file_of_another_package(tmp_path: Path) -> None:
    """
    As one that the kernel kills at once if no memory is left; it may have fewer files than the package before.
    """
    (tmp_path / "grape.py").write_text("colour = 'red'\n")
    files = [[str(tmp_path / "grape.py"), f"/v/{name}.py"] for name in "abc"]
    requests = [{"out": str(tmp_path / "out"), "files": files}, {"out": str(tmp_path / "out")}]

    done = subprocess.run(
        (sys.executable, "-B", "-S", "-s", PROGRAM),
        input="".join(f"{json.dumps(request)}\n" for request in requests),
        capture_output=True,
        text=True,
        check=True,
    )

    assert [{}, {"file": 0, "errno": 0, "error": "KeyError: 'files'"}] == list(
        map(json.loads, done.stdout.splitlines())
    )
