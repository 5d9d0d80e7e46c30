"""Loads a program of CI, which is no module of the package."""

import importlib.util
import sys
from pathlib import Path
from types import ModuleType


def program_module(path: Path) -> ModuleType:
    """Run a script as a module of its name, so that its functions can be called."""
    spec = importlib.util.spec_from_file_location(path.stem, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[path.stem] = module  # dataclasses look themselves up there
    spec.loader.exec_module(module)
    return module
