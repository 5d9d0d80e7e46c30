"""Bytecode that depends on the sources and the interpreter alone."""

import hashlib
import json
import subprocess
import sys
from pathlib import Path

from tests.conftest import ROOT

PROGRAM = ROOT / "src" / "mlflow_uv" / "installing" / "bytecode.py"


def compiled(out: Path, *groups: list[tuple[Path, str]]) -> tuple[int, dict[str, str]]:
    """The exit status of the program, and the digests of what it writes for all groups."""
    request = [
        {"out": str(out / str(at)), "files": [[str(source), place] for source, place in group]}
        for at, group in enumerate(groups)
    ]
    done = subprocess.run(
        (sys.executable, "-B", "-S", "-s", PROGRAM),
        input=json.dumps(request), text=True, check=False, cwd="/", env={"PYTHONHASHSEED": "0"},
    )  # fmt: skip
    files = {str(path.relative_to(out)): path.read_bytes() for path in out.rglob("*.pyc")}
    return done.returncode, {name: hashlib.sha256(data).hexdigest() for name, data in files.items()}


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
    after = compiled(tmp_path / "b", [other], [plum])

    name = f"0/opt/venv/__pycache__/grape.{sys.implementation.cache_tag}.pyc"
    assert (0, {name: alone[1][name]}) == alone
    assert (0, alone[1][name], 2) == (after[0], after[1][name], len(after[1]))


def test_bytecode_is_unchecked_and_says_where_its_source_is_in_the_image(tmp_path: Path) -> None:
    """
    PEP 552: no time of a source; and a traceback names no folder of the machine that compiled it.
    """
    (tmp_path / "grape.py").write_text("colour = 'red'\n")

    compiled(tmp_path / "out", [(tmp_path / "grape.py", "/opt/venv/lib/grape.py")])

    (file,) = tmp_path.rglob("*.pyc")
    data = file.read_bytes()
    assert 0b01 == int.from_bytes(data[4:8], "little")
    assert b"/opt/venv/lib/grape.py" in data
    assert str(tmp_path).encode() not in data


def test_what_is_no_module_of_a_server_is_left_out(tmp_path: Path) -> None:
    """
    Templates with the suffix of a module, tests, and files of other kinds; the others are compiled all the same.
    """
    (tmp_path / "template.py").write_text("{{ this is no Python }}")
    (tmp_path / "grape.py").write_text("colour = 'red'\n")
    (tmp_path / "deep.py").write_text("x = " + "(" * 5000 + ")" * 5000)
    places = {
        "/v/template.py": "template.py",
        "/v/deep.py": "deep.py",
        "/v/tests/grape.py": "grape.py",
        "/v/grape.pyi": "grape.py",
        "/v/grape.py": "grape.py",
    }

    code, files = compiled(tmp_path / "out", [(tmp_path / file, place) for place, file in places.items()])

    assert (0, ["grape"]) == (code, [Path(name).name.partition(".")[0] for name in files])


def test_a_file_that_cannot_be_read_is_a_failure(tmp_path: Path) -> None:
    """
    A package without its bytecode would be slow, and a layer without it another layer.
    """
    code, files = compiled(tmp_path / "out", [(tmp_path / "absent.py", "/v/absent.py")])

    assert (1, {}) == (code, files)
