"""Programs started without `subprocess`."""

import os
import sys
from pathlib import Path

import pytest

from mlflow_uv.tools.system.spawned import Spawned


def spawned(code: str, folder: Path, stream: int = 1) -> Spawned:
    """A Python program."""
    return Spawned((sys.executable, "-I", "-c", code), folder=str(folder), variables={"A": "b"}, stream=stream)


@pytest.mark.parametrize("stream", [1, 2])
def test_one_stream_is_kept(tmp_path: Path, stream: int) -> None:
    """
    With the folder and the variables that were given, and no input; the working folder stays.
    """
    code = (
        "import os, sys; print(os.getcwd(), os.environ['A'], repr(sys.stdin.read()));"
        " print('error', file=sys.stderr); sys.exit(3)"
    )
    before = Path.cwd()

    code_and_words = spawned(code, tmp_path, stream).wait()

    assert (3, f"{tmp_path} b ''\n" if stream == 1 else "error\n") == code_and_words
    assert before == Path.cwd()


def test_a_long_output_is_read_completely(tmp_path: Path) -> None:
    """
    It is longer than a pipe, and not UTF-8.
    """
    code, words = spawned("import os; [os.write(1, b'\\xff' * 1000) for _ in range(300)]", tmp_path).wait()

    assert (0, b"\xff" * 300_000) == (code, words.encode(errors="surrogateescape"))


def test_a_process_that_keeps_the_pipe_open_is_not_waited_for(tmp_path: Path) -> None:
    """
    A shim may start a daemon.
    """
    read, write = os.pipe()
    os.set_inheritable(read, True)  # noqa: FBT003  # has no keyword
    try:
        code = f"import os, sys\nif os.fork() == 0:\n    os.read({read}, 1)\nelse:\n    print('x', flush=True)"
        assert (0, "x\n") == spawned(code, tmp_path).wait()
    finally:
        os.close(write)
        os.close(read)


def test_what_cannot_be_started_leaves_nothing_open(tmp_path: Path) -> None:
    """
    Neither descriptors nor another working folder.
    """
    before, opened = Path.cwd(), len(list(Path("/proc/self/fd").iterdir()))

    for argv, folder in ((("/no/such/program",), tmp_path), ((sys.executable,), tmp_path / "missing")):
        with pytest.raises(OSError, match="No such file"):
            Spawned(argv, folder=str(folder), variables={}, stream=1)

    assert (before, opened) == (Path.cwd(), len(list(Path("/proc/self/fd").iterdir())))


def test_a_running_program_can_be_stopped(tmp_path: Path) -> None:
    """
    And one that ended already, without an error.
    """
    process = spawned("import time; time.sleep(3600)", tmp_path)

    process.stop()
    process.stop()

    assert (-15, "") == process.wait()
