"""
Compiles the modules of packages: `python -B -S -s bytecode.py`, a package on each line of standard input as JSON.

Each is {out, files: [[source, path in the image]]}, and is compiled in a process of its own, in its order, so that its
bytecode depends on nothing but these files and the interpreter: CPython's marshal format depends on what a process
compiled before. That process is forked from this one, which imports, parses and compiles nothing meanwhile, so that no
package waits for the start of an interpreter. The exit status of the process is printed, as a line for each package.

The file `out` gets a line with [[path in the image, size], …] as JSON, and after it the content of these files. The
environment sets PYTHONHASHSEED. Bytecode is marked as unchecked (PEP 552). No module is imported.
"""

import gc
import importlib.util
import json
import marshal
import os
import sys
import traceback
import warnings
from pathlib import PurePosixPath

# Folders that serving a model never imports: a third of the files.
UNSERVED = frozenset(
    {"__pycache__", "ensurepip", "idlelib", "lib2to3", "pydoc_data", "test", "tests", "tkinter", "turtledemo"}
)
UNCHECKED = (1).to_bytes(4, "little")


def main() -> None:
    """Compile each package on standard input, and print the exit status of the process that did it."""
    warnings.simplefilter("ignore")
    gc.disable()  # a process ends after one package; collecting takes a tenth of the time
    for line in sys.stdin.buffer:
        child = os.fork()
        if child == 0:
            code = 1
            try:
                compile_package(line)
                code = 0
            except BaseException:  # noqa: BLE001  # it ends here, whatever it is
                traceback.print_exc()
                sys.stderr.flush()
            finally:
                os._exit(code)
        status = os.waitpid(child, 0)[1]
        sys.stdout.write(f"{status}\n")
        sys.stdout.flush()


def compile_package(line: bytes) -> None:
    """Compile the files of a package, and write their bytecode. Raises OSError."""
    request = json.loads(line)
    compiled = []
    for source, place in request["files"]:
        path = PurePosixPath(place)
        if path.suffix == ".py" and UNSERVED.isdisjoint(path.parent.parts):
            name = f"{path.stem}.{sys.implementation.cache_tag}.pyc"
            compiled.append((str(path.parent / "__pycache__" / name), bytecode(source, place)))
    kept = [(name, data) for name, data in compiled if data]
    with open(request["out"], "wb") as out:  # noqa: PTH123  # text: a path has parts, which are interned
        out.write(json.dumps([[name, len(data)] for name, data in kept]).encode() + b"\n")
        out.writelines(data for _, data in kept)


def bytecode(source: str, place: str) -> bytes:
    """The bytecode of a file; empty if it is no valid Python. Raises OSError."""
    with open(source, "rb") as file:  # noqa: PTH123  # as above
        text = file.read()
    try:
        code = compile(text, place, "exec", dont_inherit=True)
    except (SyntaxError, ValueError, RecursionError, MemoryError, OverflowError):
        return b""
    return importlib.util.MAGIC_NUMBER + UNCHECKED + importlib.util.source_hash(text) + marshal.dumps(code)


if __name__ == "__main__":
    main()
