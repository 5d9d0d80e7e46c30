"""Runs several commands for the same task in alternation and reports their median times."""

import os
import shutil
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
WINE = ROOT / "examples" / "wine"
UV = shutil.which("uv", path=str(Path(sys.executable).parent)) or "uv"
PYTHON = (sys.executable, "-I", "-m")
# Nobody's project or environment, and a Python that uv finds at once: shims would cost it 100 ms a question.
VARIABLES = {name: value for name, value in os.environ.items() if not name.startswith(("UV_PROJECT", "VIRTUAL_ENV"))}
VARIABLES["PATH"] = os.pathsep.join((str(Path(sys.base_prefix) / "bin"), VARIABLES["PATH"]))


@dataclass(frozen=True, kw_only=True)
class Side:
    """One way to get an answer: `run` gets it once and returns the milliseconds it took."""

    name: str
    run: Callable[[], float]


@dataclass(frozen=True, kw_only=True)
class Race:
    """Sides of one question; the last is ours."""

    question: str
    sides: tuple[Side, ...]
    rounds: int
    aim: str
    reached: Callable[[Sequence[float]], str]


def run(race: Race) -> list[float]:
    """The median of each side, taking turns; the first round warms caches and does not count."""
    taken: list[list[float]] = [[] for _ in race.sides]
    for number in range(race.rounds + 1):
        for times, side in zip(taken, race.sides, strict=True):
            spent = side.run()
            if number:
                times.append(spent)
    return [statistics.median(times) for times in taken]


def program(*argv: str, folder: Path = WINE) -> Callable[[], float]:
    """How long one run of a program takes."""

    def run() -> float:
        started = time.perf_counter()
        subprocess.run(argv, cwd=folder, env=VARIABLES, check=True, capture_output=True)
        return (time.perf_counter() - started) * 1000

    return run


def version(program: str) -> str:
    """What a program calls itself: its name and version."""
    output = subprocess.run([program, "--version"], check=True, capture_output=True, text=True).stdout
    return " ".join(output.split()[:2])
