"""Finding the line of the project at which a program failed in tracebacks of real Pythons."""

import subprocess
import sys
from pathlib import Path

import pytest

from mlflow_uv.core.model.tracebacks import Frame, deepest_frame, last_exception

LIBRARY = "def fail(data):\n    raise ValueError('the data is gone')\n"
PROGRAMS = {
    "its own": ("\nraise ValueError('a')\n", 2, "ValueError: a"),
    "below a library": (
        "import lib\ndef train():\n    lib.fail(1)\ntrain()\n", 3, "ValueError: the data is gone",
    ),
    "raised from another": (
        "try:\n    1 / 0\nexcept ZeroDivisionError as error:\n    raise KeyError('x') from error\n", 4, "KeyError: 'x'",
    ),
    "several lines": ("raise RuntimeError('a\\nb: c')\n", 1, "RuntimeError: a"),
    "no message": ("\n\nraise KeyboardInterrupt\n", 3, "KeyboardInterrupt"),
    "a group": ("def f():\n    1 / 0\ntry:\n    f()\nexcept Exception as e:\n    raise ExceptionGroup('g', [e])\n", 2,
                "ZeroDivisionError: division by zero"),
    "no syntax": ("x = 1\nx =\n", 2, "SyntaxError: invalid syntax"),
    "too deep": ("def f():\n    f()\nf()\n", 2, "RecursionError: maximum recursion depth exceeded"),
    "with words after it": ("import atexit\natexit.register(print, 'bye', file=__import__('sys').stderr)\n1 / 0\n", 3,
                            "ZeroDivisionError: division by zero"),
}  # fmt: skip


def run(folder: Path, program: str) -> list[str]:
    """What a program in a folder printed."""
    installed = folder / ".venv" / "lib" / "site-packages"
    installed.mkdir(parents=True)
    (installed / "lib.py").write_text(LIBRARY)
    (folder / "train.py").write_text(program)
    words = (sys.executable, "-S", "train.py")
    done = subprocess.run(
        words, cwd=folder, env={"PYTHONPATH": str(installed)}, capture_output=True, text=True, check=False
    )
    return done.stderr.splitlines()


@pytest.mark.parametrize(("program", "line", "exception"), PROGRAMS.values(), ids=PROGRAMS)
def test_the_deepest_line_of_the_project_is_found(tmp_path: Path, program: str, line: int, exception: str) -> None:
    """
    Not that of a library, not that of an exception before; and what the exception says.
    """
    lines = run(tmp_path, program)

    assert Frame(path=tmp_path / "train.py", line=line, exception=exception) == deepest_frame(lines, tmp_path)


def test_a_folder_may_be_called_anything(tmp_path: Path) -> None:
    """
    Python writes the name of a file between quotes as it is, quotes included.
    """
    folder = tmp_path / 'it\'s "odd" – größer, line 3, in x'
    folder.mkdir()

    lines = run(folder, "\n1 / 0\n")

    expected = Frame(path=folder / "train.py", line=2, exception="ZeroDivisionError: division by zero")
    assert expected == deepest_frame([line.replace('"train.py"', f'"{folder}/train.py"') for line in lines], folder)


@pytest.mark.parametrize(
    "lines",
    [
        [],
        ["Traceback (most recent call last):"],
        ["Traceback (most recent call last):", '  File "/elsewhere/a.py", line 1, in f', "ValueError: x"],
        ["Traceback (most recent call last):", '  File "../a.py", line 1, in f', "ValueError: x"],
        ["Traceback (most recent call last):", '  File "<string>", line x, in f', "ValueError: x"],
        ["a train of thought"] * 1000,
    ],
)
def test_where_none_leads_into_the_project_there_is_none(lines: list[str]) -> None:
    """
    Then the message has no place, and says what it said.
    """
    assert None is deepest_frame(lines, Path("/w"))


def test_the_last_exception_of_a_log_is_named() -> None:
    """
    Without its frames, whatever is logged after it.
    """
    text = (
        "up\nTraceback (most recent call last):\n  File \"x.py\", line 1, in f\n    g()\nKeyError: 'a'\nGET /ping 200\n"
    )

    assert ("KeyError: 'a'", "") == (last_exception(text), last_exception("up\nKeyError: 'a'\n"))
