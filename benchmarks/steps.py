"""
Measures what each step costs before it does its work, and what steps about a version cost beyond their requests.

    uv run benchmarks/steps.py [--rounds 30] [--store-rounds 5] [--setup-rounds 3] [--write]

Every step is started with `--help` in turns with Python alone, which subtracts what no program can avoid. Results are
medians of processor time, which other programs on the machine change less than wall-clock time. `--store-rounds 0`
leaves out the steps that talk to a tracking server: see store_calls.py; `--setup-rounds 0` leaves out the set-up of the
action: see setups.py. With `--write` the tables go to docs/benchmarks.md.
"""

import argparse
import os
import resource
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

import page
import setups
import store_calls
from race import PYTHON, VARIABLES, WINE
from steps_results import ALONE, REFUSED, section, setup_section, store_section

from mlflow_uv.steps.catalog import NAMES, RELEASE_NAME

COUNT = """
import sys
import mlflow_uv.surfaces.cli
from mlflow_uv.steps.catalog import step_of
step_of(sys.argv[1])
print(sum(name.startswith("mlflow_uv") for name in sys.modules))
"""


def main() -> None:
    """Measure and print, or write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=30)
    parser.add_argument("--store-rounds", type=int, default=5)
    parser.add_argument("--setup-rounds", type=int, default=3)
    parser.add_argument("--write", action="store_true")
    options = parser.parse_args()
    if options.write and not (options.store_rounds and options.setup_rounds):
        parser.error("--write replaces the whole section, so it needs every part of it")
    load = os.getloadavg()[0]
    commands = {ALONE: (sys.executable, "-I", "-c", "pass")}
    commands |= {name: (*PYTHON, "mlflow_uv", name, "--help") for name in (*NAMES, RELEASE_NAME)}
    commands |= {REFUSED: (*PYTHON, "mlflow_uv", RELEASE_NAME, "--format", "none")}
    modules = {name: imported(name) for name in (*NAMES, RELEASE_NAME)}
    text = section(medians(commands, options.rounds), modules, options.rounds)
    if options.store_rounds:
        with tempfile.TemporaryDirectory() as scratch:
            measured = list(store_calls.measured(Path(scratch), options.store_rounds))
        text += "\n\n" + store_section(measured, options.store_rounds)
    if options.setup_rounds:
        with tempfile.TemporaryDirectory() as scratch:
            setup = setups.measured(Path(scratch), options.setup_rounds)
        text += "\n\n" + setup_section(setup, options.setup_rounds, load)
    if options.write:
        page.write("steps.py", text)
    else:
        print(text)


def medians(commands: Mapping[str, Sequence[str]], rounds: int) -> dict[str, float]:
    """Milliseconds of processor time of each command; the first round compiles modules and does not count."""
    taken: dict[str, list[float]] = {name: [] for name in commands}
    for number in range(rounds + 1):
        for name, argv in commands.items():
            spent = processor_ms(argv)
            if number:
                taken[name].append(spent)
    return {name: statistics.median(times) for name, times in taken.items()}


def processor_ms(argv: Sequence[str]) -> float:
    """Milliseconds of processor time of one command, which ends with 0, or 2 for wrong arguments."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    done = subprocess.run(argv, cwd=WINE, env=VARIABLES, check=False, capture_output=True, text=True)
    if done.returncode not in (0, 2):
        sys.exit(f"{' '.join(argv)} failed:\n{done.stderr}")
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return (after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime) * 1000


def imported(name: str) -> int:
    """How many of our modules the start of a step imports."""
    done = subprocess.run((sys.executable, "-I", "-c", COUNT, name), env=VARIABLES, check=True, capture_output=True)
    return int(done.stdout)


if __name__ == "__main__":
    main()
