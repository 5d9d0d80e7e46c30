"""
Measures the lock steps and the commands that a user would run instead.

    uv run benchmarks/locks.py [--write]

The commands of a comparison run in alternation, on the wine example; results are medians of wall-clock milliseconds.
`--write` writes the table to docs/benchmarks.md.
"""

import json
import os
import platform
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import chain
from pathlib import Path

import page
import targets
from race import PYTHON, UV, VARIABLES, WINE, Race, Side, program, run, version

from mlflow_uv.tools.system.spawned import AT_ONCE

MANY = 100
FILES = ("pyproject.toml", "uv.lock")
INFERENCE = """
import json, sys, time, warnings
warnings.filterwarnings("ignore")
import mlflow
from mlflow.models import infer_pip_requirements
started = time.perf_counter()
names = infer_pip_requirements(sys.argv[1], "sklearn")
print(json.dumps([time.perf_counter() - started, len(names)]))
"""
REMARK = """
The hook starts uv before it imports anything but `os`, and parses the manifests while uv runs. With a lock policy, a
flag, or a setting that the step reads, it runs the whole step, whose additional time is that of its imports: its own
modules and the standard library (dataclasses, typing, pathlib, subprocess). The hook passes an interpreter to uv, so
that uv does not search for one. This saves more if Python is behind shims, which is not the case here.
"""
MODEL = """
import sys, mlflow
from sklearn.linear_model import LogisticRegression
mlflow.sklearn.save_model(LogisticRegression().fit([[0], [1]], [0, 1]), sys.argv[1], serialization_format="pickle")
"""


def main(arguments: Sequence[str]) -> None:
    """Run every race and print its line."""
    lines = ["| task | alternative | this project | target | result |", "|---|---|---|---|---|"]
    with tempfile.TemporaryDirectory(prefix="mlflow-uv-bench-") as scratch:
        # One race is prepared when its turn comes: the targets set a variable of uv, under which the hook does more.
        for race in chain(races(Path(scratch)), targets.races(Path(scratch))):
            medians = run(race)
            side_times = [f"{side.name}: {taken:.0f} ms" for side, taken in zip(race.sides, medians, strict=True)]
            others, own = "<br>".join(side_times[:-1]), side_times[-1]
            line = f"| {race.question} | {others} | {own} | {race.aim} | {race.reached(medians)} |"
            print(line, flush=True)
            lines.append(line)
    if "--write" in arguments:
        page.write("locks.py", section(lines))


def races(scratch: Path) -> Iterator[Race]:
    """What is compared."""
    alone = made_repository(scratch / "alone", 1) / "0"
    yield Race(
        question="check one lock (hook)",
        sides=(
            Side(name="`uv lock --check`", run=program(UV, "lock", "--check", folder=alone)),
            Side(
                name="hook `check-lock`",
                run=program(*PYTHON, "mlflow_uv_hooks", "check-lock", *FILES, folder=alone),
            ),
        ),
        rounds=20,
        aim="at most 40 ms more",
        reached=lambda ms: f"{ms[1] - ms[0]:+.0f} ms",
    )
    yield Race(
        question="check one lock under a lock policy (hook)",
        sides=(
            Side(name="`uv lock --check`", run=program(UV, "lock", "--check")),
            Side(
                name="hook `check-lock`, the whole step", run=program(*PYTHON, "mlflow_uv_hooks", "check-lock", *FILES)
            ),
        ),
        rounds=20,
        aim="",
        reached=lambda ms: f"{ms[1] - ms[0]:+.0f} ms",
    )
    monorepo = made_repository(scratch / "monorepo", MANY)
    locks = [f"{number}/{name}" for number in range(MANY) for name in FILES]
    yield Race(
        question=f"check {MANY} locks of a monorepo (hook)",
        sides=(
            Side(name="`uv lock --check`, one project after the other", run=in_a_row(monorepo)),
            Side(name=f"`uv lock --check`, {AT_ONCE} side by side", run=side_by_side(monorepo)),
            Side(
                name="hook `check-lock`",
                run=program(*PYTHON, "mlflow_uv_hooks", "check-lock", *locks, folder=monorepo),
            ),
        ),
        rounds=3,
        aim="at most twice uv side by side",
        reached=lambda ms: f"{ms[2] / ms[1]:.2f} times",
    )
    for step in ("check-lock", "promote"):
        yield Race(
            question=f"start {step} (`--help`)",
            sides=(
                Side(name="Python alone", run=program(sys.executable, "-I", "-c", "pass")),
                Side(name=f"`mlflow-uv {step} --help`", run=program(*PYTHON, "mlflow_uv", step, "--help")),
            ),
            rounds=20,
            aim="at most 100 ms more",
            reached=lambda ms: f"{ms[1] - ms[0]:+.0f} ms",
        )
    requirements = scratch / "requirements.txt"
    yield Race(
        question="export the lock as requirements",
        sides=(
            Side(name="MLflow imports the model", run=inference(scratch)),
            Side(name="`uv export`", run=program(UV, "export", "--frozen", "--quiet", "--output-file", os.devnull)),
            Side(
                name="`mlflow-uv export`",
                run=program(*PYTHON, "mlflow_uv", "export", "--requirements-file", str(requirements)),
            ),
        ),
        rounds=5,
        aim="100 times faster than MLflow's import",
        reached=lambda ms: f"{ms[0] / ms[-1]:.0f} times, {ms[-1] - ms[1]:+.0f} ms compared with `uv export`",
    )


def in_a_row(monorepo: Path) -> Callable[[], float]:
    """What a loop over the projects takes."""
    runs = [program(UV, "lock", "--check", folder=monorepo / str(number)) for number in range(MANY)]
    return lambda: sum(run() for run in runs)


def side_by_side(monorepo: Path) -> Callable[[], float]:
    """What as many processes at once take as the hook starts."""
    runs = [program(UV, "lock", "--check", folder=monorepo / str(number)) for number in range(MANY)]

    def run() -> float:
        started = time.perf_counter()
        with ThreadPoolExecutor(AT_ONCE) as pool:
            list(pool.map(lambda one: one(), runs))
        return (time.perf_counter() - started) * 1000

    return run


def made_repository(folder: Path, number_of_projects: int) -> Path:
    """The wine example, once or many times, in a repository."""
    for number in range(number_of_projects):
        (folder / str(number)).mkdir(parents=True)
        for name in FILES:
            shutil.copy(WINE / name, folder / str(number) / name)
    subprocess.run(["git", "init", "--quiet"], cwd=folder, check=True)
    return folder


def inference(scratch: Path) -> Callable[[], float]:
    """MLflow's own way: import the model and see which packages came along, in the environment of the example."""
    environment = {**VARIABLES, "UV_PROJECT_ENVIRONMENT": str(scratch / "environment"), "MLFLOW_LOG_UV_FILES": "false"}
    subprocess.run([UV, "sync", "--frozen", "--quiet"], cwd=WINE, env=environment, check=True)
    python = str(scratch / "environment" / "bin" / "python")
    model = str(scratch / "model")
    subprocess.run([python, "-c", MODEL, model], cwd=scratch, env=environment, check=True, capture_output=True)

    def run() -> float:
        argv = (python, "-c", INFERENCE, f"{model}/model.pkl" if not Path(model).is_dir() else model)
        done = subprocess.run(argv, cwd=scratch, env=environment, check=True, capture_output=True, text=True)
        return float(json.loads(done.stdout.splitlines()[-1])[0]) * 1000

    return run


def section(lines: Sequence[str]) -> str:
    """Our part of docs/benchmarks.md."""
    machine = f"{os.cpu_count()} cores, Python {platform.python_version()}, {version(UV)}"
    table = "\n".join(lines)
    return (
        "## Lock steps\n\n"
        "Each row compares a step with the command that a user would run instead. Both were run in alternation; the\n"
        f"numbers are medians of wall-clock time on {machine}.\n\n{table}\n{REMARK}"
    )


if __name__ == "__main__":
    main(sys.argv[1:])
