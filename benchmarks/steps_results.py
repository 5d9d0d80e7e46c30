"""How what steps.py measures is compared and shown."""

import os
import platform
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

AIM_MS = 100.0
AIM_COLD_S, AIM_WARM_S = 3, 0.3
ALONE, REFUSED = "Python alone", "release, refused"
NO_STEPS = frozenset({ALONE, REFUSED})


@dataclass(frozen=True)
class Taken:
    """Seconds of one run, and the seconds of processor time of its processes."""

    elapsed_s: float
    used_s: float


@dataclass(frozen=True)
class StoreStep:
    """A step about a store beside a program that imports MLflow and sends the same requests."""

    name: str
    calls: int
    by_hand: Taken
    step: Taken


@dataclass(frozen=True)
class Setup:
    """What it takes until a step begins: with uv alone, with its downloads, with all that is made, and without uv."""

    cold: Taken
    downloaded: Taken
    warm: Taken
    without_uv: Taken


def setup_section(setup: Setup, rounds: int, load: float) -> str:
    """What goes to the page about the set-up of the action; what misses its aim is in bold letters."""
    rows = (
        ("uv is on `PATH`, nothing was downloaded", setup.cold, AIM_COLD_S),
        ("the same, with what uv downloaded before", setup.downloaded, None),
        ("the environment was made before", setup.warm, AIM_WARM_S),
        ("no uv is on `PATH`, nothing was downloaded", setup.without_uv, None),
    )
    return "\n".join((
        "### Set-up of the action", "",
        "Seconds of wall-clock time from the start of `bin/mlflow-uv` as an action calls it until a step would begin:",
        "it looks for Python and uv, makes the environment of this program from its lock, and imports what an action",
        f"needs. Medians of {rounds} rounds at a load of {load:.1f} on {os.cpu_count()} processors; packages come over",
        "the network. A job that has uv on `PATH` used `astral-sh/setup-uv` before, whose own time is not included.",
        "**Bold numbers miss the aim.**", "",
        "| what is there | seconds | processor time, seconds | aim |", "|---|---:|---:|---:|",
        *(
            f"| {what} | {seconds_text(taken.elapsed_s, aim)} | {taken.used_s:.2f} | {'' if aim is None else aim} |"
            for what, taken, aim in rows
        ),
        *disturbed(load, os.cpu_count() or 1),
    ))  # fmt: skip


def disturbed(load: float, processors: int) -> tuple[str, ...]:
    """What a reader of wall-clock times has to know, if more processes ran than there are processors."""
    if load <= processors:
        return ()
    return (
        "",
        "More processes than processors were running, of this measurement or of other programs: a number in bold",
        "letters does not show that the aim is missed, and the processor time depends less on the load.",
    )


def seconds_text(seconds: float, aim: float | None) -> str:
    """A number of seconds, bold if it misses its aim."""
    return f"**{seconds:.2f}**" if aim is not None and seconds > aim else f"{seconds:.2f}"


def store_section(steps: Sequence[StoreStep], rounds: int) -> str:
    """What goes to the page about steps that talk to a server."""
    rows = [
        f"| `{one.name}` | {one.calls} | {one.by_hand.elapsed_s:.2f} s | {one.step.elapsed_s:.2f} s |"
        f" {one.by_hand.used_s:.2f} s | {one.step.used_s:.2f} s | {one.step.used_s - one.by_hand.used_s:+.2f} s |"
        for one in steps
    ]
    return "\n".join((
        "### Steps about a version in a tracking server", "",
        "Each step beside a program that imports mlflow-skinny and sends the HTTP requests that the step sent, byte",
        "for byte, which is the least that anybody could write. The server and its SQLite are on the same machine,",
        f"and no part of the processor time. Medians of {rounds} rounds in alternation. A step has one process with",
        "MLflow, however much it asks; beyond the requests it reads the lock and git, and asks uv whether the lock is",
        "fresh and the client's environment complete.", "",
        "| step | requests | by hand | step | by hand, CPU | step, CPU | more CPU |",
        "|---|---:|---:|---:|---:|---:|---:|",
        *rows,
    ))  # fmt: skip


def section(taken: Mapping[str, float], modules: Mapping[str, int], rounds: int) -> str:
    """What goes to the page, with the number of our modules by step; a step that misses the aim is in bold letters."""
    alone = taken[ALONE]
    ours = {name: spent - alone for name, spent in taken.items() if name not in NO_STEPS}
    fewest, most = min(modules.values()), max(modules.values())
    rows = [f"| `{name}` | {shown(spent)} |" for name, spent in ours.items()]
    missed = sum(spent > AIM_MS for spent in ours.values())
    return "\n".join((
        "## Start of a step", "",
        "Milliseconds of processor time of `mlflow-uv STEP --help` beyond those of Python alone, which takes",
        f"{alone:.0f} ms: the import of the step, and of what it needs of the standard library. Medians of {rounds}",
        f"rounds on {os.cpu_count()} processors, Python {platform.python_version()}. The aim is {AIM_MS:.0f} ms;",
        f"**bold numbers miss it**: {missed} of {len(ours)}.", "",
        "| step | ms |", "|---|---:|", *rows, "",
        "Collection of garbage is off until everything is imported, and what is imported is frozen. Dataclasses and",
        "patterns are made on first use, the methods of dataclasses are not compiled, and modules that a start does",
        f"not need are imported later. What is left are {fewest} to {most} of our modules, and the standard library",
        "(`dataclasses` with `inspect`, `argparse`, `subprocess`, `typing`, `pathlib`). `release` needs the modules",
        "of all steps that it runs; with an argument that is refused instead of `--help`, which formats the text of",
        f"the help, it takes {taken[REFUSED] - alone:.0f} ms.",
    ))  # fmt: skip


def shown(spent: float) -> str:
    """A number of milliseconds, bold if it misses the aim."""
    return f"**{spent:.0f}**" if spent > AIM_MS else f"{spent:.0f}"
