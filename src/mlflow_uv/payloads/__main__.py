"""
Entry point of the payloads: `PYTHON -I <this folder> VERB RESPONSE_FILE`, the request as JSON on standard input.

Python puts this folder first on `sys.path`. It is removed again, and the modules are loaded as a package with a unique
name, so that a model with its own module called `models` or `answers` imports that one and not a payload.
"""

import importlib
import importlib.util
import sys
from pathlib import Path

PACKAGE = "mlflow_uv_payloads"


def load_package(folder: Path) -> None:
    """Make the modules importable as `mlflow_uv_payloads.<sibling>` without leaving `folder` on the path."""
    sys.path[:] = [entry for entry in sys.path if Path(entry).resolve() != folder]
    spec = importlib.util.spec_from_file_location(
        PACKAGE, folder / "__init__.py", submodule_search_locations=[str(folder)]
    )
    if spec is None or spec.loader is None:
        raise ImportError(f"the payloads in {folder} cannot be loaded")
    package = importlib.util.module_from_spec(spec)
    sys.modules[PACKAGE] = package
    spec.loader.exec_module(package)


if __name__ == "__main__":
    load_package(Path(__file__).resolve().parent)
    sys.exit(importlib.import_module(PACKAGE + ".dispatch").main(sys.argv[1:]))
