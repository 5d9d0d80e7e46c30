"""
Entry point of the server: `PYTHON -I <this folder> [serve]`.

Python puts this folder first on `sys.path`. It is removed again, and the modules are loaded as a package with a unique
name, so that a model with its own module called `settings` or `metrics` imports that one and not the server's.
"""

import importlib
import os
import signal
import sys
import types

if __name__ == "__main__":
    # Process 1 of a container ignores signals that it has no handler for, so a stop would time out. The handlers are
    # installed before the slow imports; no request is in flight yet.
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda _number, _frame: os._exit(0))

from pathlib import Path  # slower than everything above

PACKAGE = "mlflow_uv_serving"


def load_package(folder: Path) -> None:
    """Make the modules importable as `mlflow_uv_serving.<sibling>` without leaving `folder` on the path."""
    sys.path[:] = [entry for entry in sys.path if Path(entry).resolve() != folder]
    package = types.ModuleType(PACKAGE)
    package.__path__ = [str(folder)]
    sys.modules[PACKAGE] = package


if __name__ == "__main__":
    load_package(Path(__file__).resolve().parent)
    sys.exit(importlib.import_module(PACKAGE + ".main").main(sys.argv[1:]))
