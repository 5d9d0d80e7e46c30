"""
Compiles the modules of packages: `python -B -S -s bytecode.py`, groups of files on standard input as JSON.

Each group is {out, files: [[source, path in the image]]}, and is compiled in a process of its own, in its order, so
that its bytecode depends on nothing but these files and the interpreter: CPython's marshal format depends on what a
process compiled before. The environment sets PYTHONHASHSEED. Bytecode is marked as unchecked (PEP 552), and written
below the folder `out` at its path in the image.
"""

import json
import os
import py_compile
import sys
import warnings
from pathlib import Path, PurePosixPath
from typing import Any

# Folders that serving a model never imports: a third of the files.
UNSERVED = frozenset(
    {"__pycache__", "ensurepip", "idlelib", "lib2to3", "pydoc_data", "test", "tests", "tkinter", "turtledemo"}
)


def main(groups: "list[dict[str, Any]]") -> int:
    """Compile the groups, as many at once as there are processors; the exit status."""
    warnings.simplefilter("ignore")
    running: set[int] = set()
    failed = 0
    for group in groups:
        if len(running) >= (os.cpu_count() or 1):
            failed |= wait_for_one(running)
        running.add(start(Path(group["out"]), group["files"]))
    while running:
        failed |= wait_for_one(running)
    return 1 if failed else 0


def wait_for_one(running: "set[int]") -> int:
    """Wait until a process ends, and return its status."""
    child, status = os.wait()
    running.discard(child)
    return status


def start(out: Path, files: "list[list[str]]") -> int:
    """Fork a process that compiles the files of a group; its process id."""
    child = os.fork()
    if child == 0:
        code = 1
        try:
            for source, place in files:
                compile_module(source, PurePosixPath(place), out)
            code = 0
        finally:
            os._exit(code)
    return child


def compile_module(source: str, place: PurePosixPath, out: Path) -> None:
    """Compile a file, unless it is no module that serving imports, or no valid Python. Raises OSError."""
    if place.suffix != ".py" or not UNSERVED.isdisjoint(place.parent.parts):
        return
    name = f"{place.stem}.{sys.implementation.cache_tag}.pyc"
    target = out / place.parent.relative_to("/") / "__pycache__" / name
    mode = py_compile.PycInvalidationMode.UNCHECKED_HASH
    try:
        py_compile.compile(source, cfile=str(target), dfile=str(place), doraise=True, invalidation_mode=mode)
    except (py_compile.PyCompileError, RecursionError, ValueError):
        return


if __name__ == "__main__":
    sys.exit(main(json.load(sys.stdin)))
