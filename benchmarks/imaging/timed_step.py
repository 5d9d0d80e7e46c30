"""
Runs a step of this program, and writes how long its parts took as JSON.

    python -I timed_step.py FILE STARTED STEP [FLAG …]

STARTED is the time at which the command was started, in seconds since 1970. The file has the seconds of each part by a
clock, in which some of its functions ran; parts that run at the same time have more together than the whole. Of a
release, they are those of its step `build-image`.
"""

import importlib
import json
import os
import resource
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
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
TICK = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True)
class Run:
    """When the step `build-image` ran, and the processor time of it and of its processes."""

    span: Span
    processor_s: float


def main(file: Path, started: float) -> int:
    """Run the step that the other arguments are for, and return its exit code."""
    spans: dict[str, list[Span]] = {part: [] for part in PARTS}
    runs: list[Run] = []
    begun = time.time()
    for part, names in PARTS.items():
        for name in names:
            owner, last = place_of(name)
            setattr(owner, last, noted(getattr(owner, last), spans[part]))
    step: Any = importlib.import_module("mlflow_uv.steps.build_image")
    step.STEP = replace(step.STEP, run=measured(step.STEP.run, runs))
    from mlflow_uv.surfaces import cli  # noqa: PLC0415  # imported as a start of the program does, and counted

    code = 0
    try:
        code = int(cli.main() or 0)
    except SystemExit as ended:
        code = int(ended.code or 0)
    finally:
        in_release = sys.argv[1:2] == ["release"]
        parts = parts_in_release(spans, runs[-1]) if in_release else parts_of(spans, started, begun, time.time())
        file.write_text(json.dumps(parts))
    return code


def measured(run: Callable[..., Any], runs: list[Run]) -> Callable[..., Any]:
    """The function of a step, whose runs are noted."""

    @wraps(run)
    def call(*arguments: Any, **named: Any) -> Any:
        begun, before = time.time(), processor_s()
        try:
            return run(*arguments, **named)
        finally:
            runs.append(Run(span=(begun, time.time()), processor_s=processor_s() - before))

    return call


def processor_s() -> float:
    """The processor time of this process, of those that it started and that ended, and of those that run."""
    ended = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(each.ru_utime + each.ru_stime for each in ended) + sum(running_s(os.getpid()))


def running_s(parent: int) -> Iterator[float]:
    """The processor time of each process that another one started and that runs, with what these waited for."""
    children: dict[int, list[tuple[int, float]]] = {}
    for place in Path("/proc").glob("[0-9]*/stat"):
        try:
            words = place.read_text().rpartition(")")[2].split()
        except OSError:  # it ended in this moment
            continue
        children.setdefault(int(words[1]), []).append((int(place.parent.name), sum(map(int, words[11:15])) / TICK))
    parents = [parent]
    while parents:
        for process, seconds in children.get(parents.pop(), ()):
            parents.append(process)
            yield seconds


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


def parts_in_release(spans: Mapping[str, list[Span]], run: Run) -> dict[str, float]:
    """The seconds of each part of the step in a release; MLflow was imported before, and answers."""
    begun, ended = run.span
    parts = {part: busy(span for span in those if begun <= span[0] < ended) for part, those in spans.items()}
    answers = parts.pop("mlflow")
    return {**parts, "answers": answers, "whole": ended - begun, "processor": run.processor_s}


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
