"""
Compiles the modules of packages: `python -B -S -s bytecode.py`, a package on each line of standard input as JSON.

Each is {out, files: [[source, path in the image]]}, and is compiled in a process of its own, in its order, so that its
bytecode depends on nothing but these files and the interpreter: CPython's marshal format depends on what a process
compiled before. That process is forked from this one, which imports, parses and compiles nothing meanwhile, so that no
package waits for the start of an interpreter. A line is printed for each package: `{}`, or of a process that failed the
position of the `file`, and the `signal` that ended it, or its `error` as text and the `errno` of an OSError.

The file `out` gets a line with [[path in the image, size], …] as JSON, and after it the content of these files. The
environment sets PYTHONHASHSEED. Bytecode is marked as unchecked (PEP 552). No module is imported.
"""

import gc
import importlib.util
import json
import marshal
import mmap
import os
import sys
import warnings
from pathlib import PurePosixPath

# Folders that serving a model never imports: a third of the files.
UNSERVED = frozenset(
    {"__pycache__", "ensurepip", "idlelib", "lib2to3", "pydoc_data", "test", "tests", "tkinter", "turtledemo"}
)
UNCHECKED = (1).to_bytes(4, "little")
NUMBER, MOST_TEXT = 4, 2000  # bytes


def main() -> None:
    """Compile each package on standard input, and print how that ended."""
    warnings.simplefilter("ignore")
    gc.disable()  # a process ends after one package; collecting takes a tenth of the time
    progress = CompilationProgress()
    for line in sys.stdin.buffer:
        progress.begin(0)  # of this package: its process may be killed before it begins
        child = os.fork()
        if child == 0:
            code = 1
            try:
                compile_package(line, progress)
                code = 0
            except BaseException as error:  # noqa: BLE001  # it ends here, whatever it is
                progress.fail(error)
            finally:
                os._exit(code)
        status = os.waitpid(child, 0)[1]
        sys.stdout.write("{}\n" if status == 0 else f"{json.dumps(progress.failure(status))}\n")
        sys.stdout.flush()


class CompilationProgress:
    """
    What this process learns of the one that compiles, also if that is killed: memory that both share.

    Neither needs a disk for it, which may be full.
    """

    def __init__(self) -> None:
        self._memory = mmap.mmap(-1, NUMBER * 2 + MOST_TEXT)

    def begin(self, at: int) -> None:
        """The file at this position is compiled next."""
        self._memory[:NUMBER] = at.to_bytes(NUMBER, "little")

    def fail(self, error: BaseException) -> None:
        """Keep why a file cannot be compiled."""
        number = error.errno or 0 if isinstance(error, OSError) else 0
        text = f"{type(error).__name__}: {error}".encode(errors="replace")[:MOST_TEXT].ljust(MOST_TEXT, b"\0")
        self._memory[NUMBER:] = number.to_bytes(NUMBER, "little") + text

    def failure(self, status: int) -> "dict[str, object]":
        """How a process ended that has this status, as `os.waitpid` returns it."""
        at, number = (int.from_bytes(self._memory[start : start + NUMBER], "little") for start in (0, NUMBER))
        if os.WIFSIGNALED(status):
            return {"file": at, "signal": os.WTERMSIG(status)}
        text = self._memory[NUMBER * 2 :].rstrip(b"\0").decode(errors="replace")
        return {"file": at, "errno": number, "error": text}


def compile_package(line: bytes, progress: CompilationProgress) -> None:
    """Compile the files of a package, and write their bytecode. Raises OSError."""
    request = json.loads(line)
    compiled = []
    for at, (source, place) in enumerate(request["files"]):
        progress.begin(at)
        path = PurePosixPath(place)
        if path.suffix == ".py" and UNSERVED.isdisjoint(path.parent.parts):
            name = f"{path.stem}.{sys.implementation.cache_tag}.pyc"
            compiled.append((str(path.parent / "__pycache__" / name), bytecode(source, place)))
    kept = [(name, data) for name, data in compiled if data]
    with open(request["out"], "wb") as out:  # noqa: PTH123  # text: a path has parts, which are interned
        out.write(json.dumps([[name, len(data)] for name, data in kept]).encode() + b"\n")
        out.writelines(data for _, data in kept)


def bytecode(source: str, place: str) -> bytes:
    """The bytecode of a file; empty if it is no valid Python, or nested too deeply. Raises OSError."""
    with open(source, "rb") as file:  # noqa: PTH123  # as above
        text = file.read()
    try:
        code = compile(text, place, "exec", dont_inherit=True)
        data = marshal.dumps(code)  # of a variable: the format depends on the number of references
    except (SyntaxError, ValueError, RecursionError, MemoryError, OverflowError):
        return b""
    return importlib.util.MAGIC_NUMBER + UNCHECKED + importlib.util.source_hash(text) + data


if __name__ == "__main__":
    main()
