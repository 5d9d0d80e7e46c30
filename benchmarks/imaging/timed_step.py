"""
Runs a step of this program, and writes how long its parts took as JSON.

    python -I timed_step.py FILE STARTED STEP [FLAG …]

STARTED is the time at which the command was started, in seconds since 1970. The file has the seconds of each part by a
clock, in which some of its functions ran; parts that run at the same time have more together than the whole.
"""

import importlib
import json
import resource
import sys
import time
from collections.abc import Callable, Iterable, Mapping
from functools import wraps
from pathlib import Path
from typing import Any

Span = tuple[float, float]
# The functions of each part, as `module:name`.
PARTS: Mapping[str, tuple[str, ...]] = {
    "mlflow": ("tools.mlflow.mlflow:Mlflow._exchange",),
    "base": ("tools.oci.registries:Registries.pull", "tools.layers.base_cache:BaseCache.find"),
    "known": ("tools.layers.cache:LayerCache.find",),
    "laid out": ("tools.uv.uv:Uv.create", "tools.uv.uv:Uv.lay_out"),
    "verified": ("tools.layers.package_layers:_Package.verified",),
    "compiled": ("tools.layers.compiler:Compiler.compile",),
    "written": ("tools.layers.cache:LayerCache.add",),
    "libraries": (
        "tools.engines.library_scanner:LibraryScanner.describe",
        "tools.engines.library_scanner:LibraryScanner.examine",
    ),
    "packed": (
        "tools.engines.build_context:BuildContexts.write_layers",
        "ops.image.composed_release:own_layers",
    ),
    "registry": ("tools.oci.registries:Registries.require_push", "tools.oci.registries:Registries.push"),
    "sent": ("tools.oci.uploads:_Upload.run",),
}


def main(file: Path, started: float) -> int:
    """Run the step that the other arguments are for, and return its exit code."""
    spans: dict[str, list[Span]] = {part: [] for part in PARTS}
    begun = time.time()
    for part, names in PARTS.items():
        for name in names:
            owner, last = place_of(name)
            setattr(owner, last, noted(getattr(owner, last), spans[part]))
    from mlflow_uv.surfaces import cli  # noqa: PLC0415  # imported as a start of the program does, and counted

    code = 0
    try:
        code = int(cli.main() or 0)
    except SystemExit as ended:
        code = int(ended.code or 0)
    finally:
        file.write_text(json.dumps(parts_of(spans, started, begun, time.time())))
    return code


def place_of(name: str) -> tuple[Any, str]:
    """The module or class that has a function, and its name there. Raises AttributeError without it."""
    module, _, path = name.partition(":")
    owner: Any = importlib.import_module(f"mlflow_uv.{module}")
    *owners, last = path.split(".")
    for each in owners:
        owner = getattr(owner, each)
    getattr(owner, last)
    return owner, last


def noted(function: Callable[..., Any], spans: list[Span]) -> Callable[..., Any]:
    """The function, which notes when it ran."""

    @wraps(function)
    def call(*arguments: Any, **named: Any) -> Any:
        begun = time.time()
        try:
            return function(*arguments, **named)
        finally:
            spans.append((begun, time.time()))

    return call


def parts_of(spans: Mapping[str, list[Span]], started: float, begun: float, ended: float) -> dict[str, float]:
    """
    The seconds of each part, and of the whole.

    `start` is until the imports of this program, whose time is in `checks`: that is until MLflow is asked. Its first
    answer takes as long as it is imported and opens the store; the others are `answers`.
    """
    asked = sorted(spans["mlflow"])
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    parts = {part: busy(those) for part, those in spans.items()}
    return {
        **parts,
        "start": begun - started,
        "checks": asked[0][0] - begun if asked else 0.0,
        "mlflow": busy(asked[:1]),
        "answers": busy(asked[1:]),
        "whole": ended - started,
        "processor": sum(each.ru_utime + each.ru_stime for each in used),
    }


def busy(spans: Iterable[Span]) -> float:
    """The seconds in which at least one of the spans ran."""
    total, until = 0.0, 0.0
    for begun, ended in sorted(spans):
        total += max(0.0, ended - max(begun, until))
        until = max(until, ended)
    return total


if __name__ == "__main__":
    target, when = Path(sys.argv[1]), float(sys.argv[2])
    sys.argv = [sys.argv[0], *sys.argv[3:]]
    sys.exit(main(target, when))
