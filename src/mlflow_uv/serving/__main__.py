"""
Door of the server: `PYTHON -I <this folder> [serve]`.

Python puts this folder first on `sys.path`. It is taken off again, and the siblings are loaded as a package of a name
nobody else has, so that a model whose own code is called `settings` or `metrics` finds its module and not one of ours.
"""

import importlib
import os
import signal
import sys
import types

if __name__ == "__main__":
    # A container's first process is not ended by a signal that it does not handle: who stops it would wait in vain. So
    # this comes before everything that takes time. Nothing is in flight yet.
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda _number, _frame: os._exit(0))

from pathlib import Path  # takes longer than all of the above

PACKAGE = "mlflow_uv_serving"


def load_package(folder: Path) -> None:
    """Make the siblings importable as `mlflow_uv_serving.<sibling>` without leaving `folder` on the path."""
    sys.path[:] = [entry for entry in sys.path if Path(entry).resolve() != folder]
    package = types.ModuleType(PACKAGE)
    package.__path__ = [str(folder)]
    sys.modules[PACKAGE] = package


if __name__ == "__main__":
    load_package(Path(__file__).resolve().parent)
    sys.exit(importlib.import_module(PACKAGE + ".main").main(sys.argv[1:]))
