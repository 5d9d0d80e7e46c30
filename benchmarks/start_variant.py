"""
Starts this project's server with one change: `python -I start_variant.py VARIANT SERVING MODEL PHASES`.

Writes the milliseconds of processor time at the end of each phase of its start to the file PHASES, as JSON.
"""

import ctypes
import gc
import importlib
import json
import runpy
import sys
import time
from collections.abc import Callable
from importlib import _bootstrap_external
from pathlib import Path
from typing import Any

VARIANT, SERVING, MODEL, PHASES = sys.argv[1:5]
PATHS: Any = _bootstrap_external
phases: dict[str, float] = {}
mechanics = dict.fromkeys(("finding", "reading", "objects", "libraries"), 0.0)


def ended(phase: str) -> None:
    """Note that a phase of the start has ended."""
    phases[phase] = time.process_time() * 1000


def noted(work: Callable[..., Any], phase: str) -> Callable[..., Any]:
    """The work, after which a phase has ended."""

    def run(*arguments: Any) -> Any:
        result = work(*arguments)
        ended(phase)
        return result

    return run


def counted(kind: Any, name: str, what: str) -> None:
    """Count the processor time of a method of the import system, which calls none of the others."""
    own = getattr(kind, name)

    def method(*arguments: Any, **named: Any) -> Any:
        started = time.process_time()
        try:
            return own(*arguments, **named)
        finally:
            mechanics[what] += (time.process_time() - started) * 1000

    setattr(kind, name, method)


def trim() -> None:
    """Return the free memory of the C library to the system."""
    ctypes.CDLL(None).malloc_trim(0)


def collect() -> None:
    """Collect garbage after loading."""
    gc.unfreeze()
    gc.collect()
    gc.freeze()
    trim()


def forget() -> None:
    """Remove the modules of skops, which only loads the model, from memory."""
    for name in [name for name in sys.modules if name.partition(".")[0] == "skops"]:
        parent, _, part = name.rpartition(".")
        vars(sys.modules.get(parent, object)).get(part) and delattr(sys.modules[parent], part)
        del sys.modules[name]
    collect()


AFTER: dict[str, Callable[[], None]] = {"trim": trim, "collect": collect, "forget": forget}
LIBRARIES = {"no order": (), "skops first": ("skops.io",)}


def main() -> None:
    """Change the server's modules, and start it."""
    runpy.run_path(f"{SERVING}/__main__.py", run_name="server")["load_package"](Path(SERVING))
    loading = importlib.import_module("mlflow_uv_serving.model.loading")
    loading.IMAGE_MODEL = Path(MODEL)  # as in an image, where the requirements were compared when it was built
    server = importlib.import_module("mlflow_uv_serving.main")
    ended("server")
    if VARIANT in LIBRARIES:
        loading.imported_first = lambda _model: LIBRARIES[VARIANT]
    if VARIANT == "requirements":
        loading.skip_requirement_check = lambda: None
    if VARIANT == "collecting":
        loading.gc = type(gc)("gc")
        loading.gc.disable = lambda: None
        loading.gc.enable, loading.gc.freeze = gc.enable, gc.freeze
    if VARIANT == "mechanics":
        counted(PATHS.FileFinder, "find_spec", "finding")
        counted(PATHS.FileLoader, "get_data", "reading")
        counted(PATHS, "_compile_bytecode", "objects")
        counted(PATHS.ExtensionFileLoader, "create_module", "libraries")
        counted(PATHS.ExtensionFileLoader, "exec_module", "libraries")
    import_first, import_mlflow, load = loading.imported_first, loading.import_mlflow, loading.load

    def first(model: Path) -> tuple[str, ...]:
        libraries = tuple(import_first(model))
        for library in libraries:
            importlib.import_module(library)
        ended("libraries")
        return ()

    def loaded(*arguments: Any) -> Any:
        model = load(*arguments)
        AFTER.get(VARIANT, lambda: None)()
        ended("model")
        Path(PHASES).write_text(json.dumps({"phases": phases, "mechanics": mechanics, "modules": len(sys.modules)}))
        return model

    loading.imported_first = first
    loading.import_mlflow = noted(import_mlflow, "mlflow")
    loading.load = loaded
    sys.argv = [SERVING]
    sys.exit(server.main([]))


if __name__ == "__main__":
    main()
