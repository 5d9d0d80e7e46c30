"""Writes what bounds the steps, alone and in a release, from the parts that timed_step.py measured."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
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
# The same within a release, where MLflow was imported before.
LEAST_IN_RELEASE = {"answers": "answers of MLflow", "registry": "the registry"}
OF_STARTS = ("start", "checks", "mlflow", "import")
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
    "registry": "the registry is asked before, and gets at the end what it lacks",
    "sent": "blobs are sent, also while layers are made",
    "whole": "the whole step",
    "processor": "… its processor time",
}
WIDTH = 120
TEXT = """### What bounds it

Seconds, by a clock, in which each part of the steps in the column "composed" ran. What is made meanwhile runs beside
MLflow, in several threads and processes, so that the parts take longer together than the whole step.

{parts}

{conclusion}"""
IN_RELEASE = """The same of the steps in the column "composed, in a release":

{parts}

{conclusion}"""
LEAST_OF = (
    "A step that runs alone takes at least as long as what cannot run at the same time ({parts}), and at least its"
    " processor time divided by {processors} processors."
)
LEAST_OF_RELEASED = (
    "A step in a release takes at least as long as {parts} together, and at least its processor time divided by"
    " {processors} processors, of which other programs need a part: the registry is on this machine."
)
LESS_IMPORT = (
    "Stock's command imports MLflow too ({seconds:.1f} s), which a step in a release does not. Stock has no release;"
    " were its import left out, the steps in a release would be faster than the rest of its command by: {ratios}."
)


@dataclass(frozen=True, kw_only=True)
class Compared:
    """Seconds of stock and the aim, for each case, and the processors that the steps had."""

    stock: Mapping[str, float]
    aims: Mapping[str, float]
    processors: int


def bounds(parts: Mapping[str, Parts], compared: Compared) -> str:
    """The part of the page about steps that run alone."""
    least_of = {name: least(case, compared.processors) for name, case in parts.items()}
    rule = LEAST_OF.format(parts=", ".join(LEAST.values()), processors=compared.processors)
    unreached = beyond(least_of, compared)
    mlflow = [name for name in unreached if compared.stock[name] / parts[name]["mlflow"] < compared.aims[name]]
    alone = (
        f" The import of MLflow alone takes longer than these aims allow for: {', '.join(mlflow)}." if mlflow else ""
    )
    return TEXT.format(
        parts=table(("", *parts), _rows(parts, least_of, compared, ROWS)),
        conclusion=_filled(f"{rule} {conclusion(least_of, compared)}{alone}"),
    )


def bounds_in_release(parts: Mapping[str, Parts], compared: Compared, import_s: float) -> str:
    """The part about the same steps in a release; `import_s` are the seconds of MLflow's import."""
    least_of = {name: least(case, compared.processors, LEAST_IN_RELEASE) for name, case in parts.items()}
    rule = LEAST_OF_RELEASED.format(parts=" and ".join(LEAST_IN_RELEASE.values()), processors=compared.processors)
    ratios = [f"{name} {(compared.stock[name] - import_s) / case['whole']:.1f}" for name, case in parts.items()]
    less = LESS_IMPORT.format(seconds=import_s, ratios=", ".join(ratios))
    rows = {part: words for part, words in ROWS.items() if part not in OF_STARTS}
    return IN_RELEASE.format(
        parts=table(("", *parts), _rows(parts, least_of, compared, rows)),
        conclusion=_filled(f"{rule} {conclusion(least_of, compared)} {less}"),
    )


def least(case: Parts, processors: int, serial: Iterable[str] = tuple(LEAST)) -> float:
    """Seconds that a step takes at least, however its parts that are not serial are divided among processors."""
    return max(sum(case[part] for part in serial), case["processor"] / processors)


def _filled(text: str) -> str:
    return fill(text, WIDTH, break_long_words=False)


def _rows(
    parts: Mapping[str, Parts], least_of: Mapping[str, float], compared: Compared, rows: Mapping[str, str]
) -> Iterator[tuple[str, ...]]:
    for part, words in rows.items():
        yield (words, *(f"{case[part]:.2f}" for case in parts.values()))
    yield ("the least of such a step", *(f"{least_of[name]:.2f}" for name in parts))
    yield (
        "how many times faster than stock that is",
        *(f"{compared.stock[name] / least_of[name]:.1f}" for name in parts),
    )
    yield ("the aim", *(f"{compared.aims[name]:g}" for name in parts))


def beyond(least_of: Mapping[str, float], compared: Compared) -> list[str]:
    """The cases whose aim not even the least step reaches."""
    return [name for name, seconds in least_of.items() if compared.stock[name] / seconds < compared.aims[name]]


def conclusion(least_of: Mapping[str, float], compared: Compared) -> str:
    """Which aims no step can reach here."""
    unreached = beyond(least_of, compared)
    if not unreached:
        return "Each aim can be reached."
    named = ", ".join(
        f"{name} ({compared.aims[name]:g}, at most {compared.stock[name] / least_of[name]:.1f})" for name in unreached
    )
    return f"So here none can reach the aims of: {named}."
