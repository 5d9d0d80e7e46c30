"""Writes what bounds the steps after a change, from the parts that timed_step.py measured."""

from collections.abc import Iterator, Mapping
from textwrap import fill

from .tables import table

Parts = Mapping[str, float]
# What no step that runs alone goes without: it starts, compares, and asks MLflow and the registry.
LEAST = {
    "start": "start",
    "checks": "comparisons",
    "mlflow": "import of MLflow",
    "answers": "its answers",
    "registry": "the registry",
}
ROWS = {
    "start": "Python starts",
    "checks": "the step is imported; lock, commit and the environment with MLflow are compared",
    "mlflow": "MLflow is imported, and opens the store",
    "import": "… of this, Python and `import mlflow` alone, measured apart",
    "answers": "MLflow answers the other requests",
    "base": "meanwhile: the base is read and compared",
    "known": "… known layers are compared",
    "laid out": "… uv lays the changed packages out",
    "verified": "… their files are compared with RECORD",
    "compiled": "… modules are compiled",
    "written": "… layers are compressed and written",
    "libraries": "… shared libraries are described and examined",
    "packed": "server and model are packed",
    "registry": "requests to the registry, and blobs that it lacks",
    "sent": "… of this, blobs are sent",
    "whole": "the whole step",
    "processor": "… its processor time",
}
WIDTH = 120
TEXT = """### What bounds it

Seconds, by a clock, in which each part of the steps in the column "composed" ran. What is made meanwhile runs beside
MLflow, in several threads and processes, so that the parts take longer together than the whole step.

{parts}

{conclusion}"""
LEAST_OF = (
    "A step that runs alone takes at least as long as what cannot run at the same time ({parts}), and at least its"
    " processor time divided by {processors} processors."
)


def bounds(
    parts: Mapping[str, Parts], stock: Mapping[str, float], aims: Mapping[str, float], *, processors: int
) -> str:
    """The part of the page; `stock` are the seconds of stock and `aims` the times of each case."""
    limits = {name: stock[name] / least(case, processors) for name, case in parts.items()}
    rule = LEAST_OF.format(parts=", ".join(LEAST.values()), processors=processors)
    return TEXT.format(
        parts=table(("", *parts), _rows(parts, limits, aims, processors)),
        conclusion=fill(f"{rule} {conclusion(parts, stock, aims, limits)}", WIDTH, break_long_words=False),
    )


def least(case: Parts, processors: int) -> float:
    """Seconds that a step which runs alone takes, however its other parts are divided among processors."""
    return max(sum(case[part] for part in LEAST), case["processor"] / processors)


def _rows(
    parts: Mapping[str, Parts], limits: Mapping[str, float], aims: Mapping[str, float], processors: int
) -> Iterator[tuple[str, ...]]:
    for part, words in ROWS.items():
        yield (words, *(f"{case[part]:.2f}" for case in parts.values()))
    yield ("the least of a step that runs alone", *(f"{least(case, processors):.2f}" for case in parts.values()))
    yield ("how many times faster than stock that is", *(f"{limits[name]:.1f}" for name in parts))
    yield ("the aim", *(f"{aims[name]:g}" for name in parts))


def conclusion(
    parts: Mapping[str, Parts], stock: Mapping[str, float], aims: Mapping[str, float], limits: Mapping[str, float]
) -> str:
    """Which aims a step that runs alone cannot reach here, and which ones the import of MLflow alone misses."""
    beyond = [name for name in parts if limits[name] < aims[name]]
    if not beyond:
        return "Each aim can be reached."
    named = ", ".join(f"{name} ({aims[name]:g}, at most {limits[name]:.1f})" for name in beyond)
    mlflow = [name for name in beyond if stock[name] / parts[name]["mlflow"] < aims[name]]
    alone = (
        f" The import of MLflow alone takes longer than these aims allow for: {', '.join(mlflow)}." if mlflow else ""
    )
    return f"So here none can reach the aims of: {named}.{alone}"
