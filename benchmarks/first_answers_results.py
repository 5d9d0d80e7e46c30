"""Compares and shows what first_answers.py measures."""

import statistics
import textwrap
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

STOCK, PLAIN, MECHANICS = "MLflow's server", "this server", "this server, with clocks in the import system"
ASKED = 20


@dataclass(frozen=True)
class Variant:
    """A change that start_variant.py makes, and variables of the process."""

    change: str = "none"
    variables: Mapping[str, str] = field(default_factory=dict)


VARIANTS = {
    PLAIN: Variant(),
    "… MLflow imported before the model's libraries": Variant("no order"),
    "… skops imported before SciPy's functions": Variant("skops first"),
    "… with MLflow's comparison of requirements": Variant("requirements"),
    "… garbage collected during the imports": Variant("collecting"),
    "… garbage collected after loading, `malloc_trim`": Variant("collect"),
    "… `malloc_trim` after loading": Variant("trim"),
    "… skops removed from memory after loading, `malloc_trim`": Variant("forget"),
    "… `MALLOC_ARENA_MAX=1`": Variant(variables={"MALLOC_ARENA_MAX": "1"}),
    "… `MALLOC_TRIM_THRESHOLD_=65536`": Variant(variables={"MALLOC_TRIM_THRESHOLD_": "65536"}),
    MECHANICS: Variant("mechanics"),
}


@dataclass(frozen=True)
class Start:
    """A start until the first answer; bytes of memory after some more, and milliseconds at the end of each phase."""

    elapsed_s: float
    used_s: float
    resident: float
    phases: Mapping[str, float] = field(default_factory=dict)
    mechanics: Mapping[str, float] = field(default_factory=dict)
    modules: float = 0


def medians(starts: Sequence[Start]) -> Start:
    """The medians of several starts, each number by itself."""

    def each(values: Sequence[Mapping[str, float]]) -> dict[str, float]:
        return {name: statistics.median(one[name] for one in values) for name in values[0]}

    return Start(
        elapsed_s=statistics.median(start.elapsed_s for start in starts),
        used_s=statistics.median(start.used_s for start in starts),
        resident=statistics.median(start.resident for start in starts),
        phases=each([start.phases for start in starts]),
        mechanics=each([start.mechanics for start in starts]),
        modules=statistics.median(start.modules for start in starts),
    )


def section(taken: Mapping[str, Start], about: Mapping[str, Any]) -> str:
    """What goes to the page."""
    stock, plain, mechanics = taken[STOCK], taken[PLAIN], taken[MECHANICS]
    rows = [f"| {name} | {row(start, stock, plain)} |" for name, start in taken.items() if name != MECHANICS]
    clocks = mechanics.mechanics
    imports_s = mechanics.phases["model"] / 1000
    about_run = (
        f"Medians of {about['rounds']} starts in turns on {about['processors']} processors at a load of"
        f" {about['load']:.1f}, MLflow {about['mlflow']}, Python {about['python']}."
    )
    warning = " Other programs used the processors meanwhile: compare processor time, not seconds."
    mechanics_of_import = (
        f"Of {imports_s:.1f} s of processor time until the model is loaded, finding modules took"
        f" {clocks['finding'] / 1000:.2f} s, reading their files {clocks['reading'] / 1000:.2f} s, turning bytecode"
        f" into objects {clocks['objects'] / 1000:.2f} s, and loading compiled modules"
        f" {clocks['libraries'] / 1000:.2f} s; the rest is the code of the modules itself. A frozen path, or libraries"
        " that a second processor loads, could save no more than that, and are not used."
    )
    return "\n".join((
        "## First answer, without a container", "",
        *wrapped(
            "One worker with a scikit-learn model that skops loads, in the environment of examples/wine: seconds from"
            " the start of the process until its first answer, seconds of processor time until then, and its memory"
            f" after {ASKED} answers, with the pages of libraries. Each variant is this server with one change."
            f" {about_run}{warning if about['load'] > about['processors'] else ''}"
        ), "",
        "| server | seconds | times sooner | processor time | of this server's | memory | of MLflow's server |",
        "|---|---:|---:|---:|---:|---:|---:|",
        *rows, "",
        *wrapped(
            f"Of the processor time until the first answer, {shares(plain)}. {plain.modules:,.0f} modules are loaded:"
            " memory and time could be less only if MLflow and the model's libraries imported less."
        ), "",
        *wrapped(mechanics_of_import),
    ))  # fmt: skip


def wrapped(text: str) -> list[str]:
    """The lines of a paragraph."""
    return textwrap.wrap(text, 120, break_long_words=False, break_on_hyphens=False)


def row(start: Start, stock: Start, plain: Start) -> str:
    """The numbers of a variant beside MLflow's server and this one."""
    beyond = "" if start is stock or start is plain else f"{(start.used_s / plain.used_s - 1) * 100:+.0f}%"
    return " | ".join((
        f"{start.elapsed_s:.2f}", f"{stock.elapsed_s / start.elapsed_s:.2f}", f"{start.used_s:.2f} s", beyond,
        f"{start.resident / 1e6:.0f} MB", f"{start.resident / stock.resident:.2f}",
    ))  # fmt: skip


def shares(plain: Start) -> str:
    """Which part of the processor time each phase took."""
    ends = [0.0, *(plain.phases[name] for name in ("server", "libraries", "mlflow", "model")), plain.used_s * 1000]
    parts = [(end - begin) / ends[-1] * 100 for begin, end in pairwise(ends)]
    words = ("Python and the server's modules", "skops, with scikit-learn, SciPy and pandas", "MLflow after them",
             "loading the model", "the first request")  # fmt: skip
    return ", ".join(f"{part:.0f}% went into {what}" for part, what in zip(parts, words, strict=True))
