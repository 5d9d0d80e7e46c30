"""
What do the steps about the lock cost, beside what a user would run instead?

    uv run benchmarks/locks.py [--write]

All sides of a comparison in one run, taking turns, on the wine example; medians of wall-clock milliseconds. With
`--write` the table goes to docs/benchmarks.md.
"""

import json
import os
import platform
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import page
import targets
from race import PYTHON, UV, VARIABLES, WINE, Race, Side, program, run, version

MANY = 100
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
Two aims are missed. Of what a hook takes on top of uv, Python's own start and the standard library that it imports
(dataclasses, typing, pathlib, subprocess) are more than half; the classes of ours that it makes are most of the rest.
What was left out already: packaging, tempfile, json, difflib and every step but the one that is asked. uv is given an
interpreter instead of searching one, which saves it 100 ms more where Python is behind shims; here it is not.
"""
MODEL = """
import sys, mlflow
from sklearn.linear_model import LogisticRegression
mlflow.sklearn.save_model(LogisticRegression().fit([[0], [1]], [0, 1]), sys.argv[1], serialization_format="pickle")
"""


def main(arguments: Sequence[str]) -> None:
    """Run every race and print its line."""
    lines = ["| question | instead | ours | aim | result |", "|---|---|---|---|---|"]
    with tempfile.TemporaryDirectory(prefix="mlflow-uv-bench-") as scratch:
        for race in (*races(Path(scratch)), *targets.races(Path(scratch))):
            medians = run(race)
            told = [f"{side.name}: {taken:.0f} ms" for side, taken in zip(race.sides, medians, strict=True)]
            line = f"| {race.question} | {'<br>'.join(told[:-1])} | {told[-1]} | {race.aim} | {race.reached(medians)} |"
            print(line, flush=True)
            lines.append(line)
    if "--write" in arguments:
        page.write("locks.py", section(lines))


def races(scratch: Path) -> Iterator[Race]:
    """What is compared."""
    yield Race(
        question="Is one lock fresh? (hook)",
        sides=(
            Side(name="`uv lock --check`", run=program(UV, "lock", "--check")),
            Side(name="hook `check-lock`", run=program(*PYTHON, "mlflow_uv_hooks", "check-lock", "uv.lock")),
        ),
        rounds=20,
        aim="at most 60 ms on top",
        reached=lambda ms: f"{ms[1] - ms[0]:+.0f} ms",
    )
    monorepo = made_monorepo(scratch / "monorepo")
    locks = [f"{number}/uv.lock" for number in range(MANY)]
    yield Race(
        question=f"Are {MANY} locks of a monorepo fresh? (hook)",
        sides=(
            Side(name="`uv lock --check` in a row", run=in_a_row(monorepo)),
            Side(
                name="hook `check-lock`",
                run=program(*PYTHON, "mlflow_uv_hooks", "check-lock", *locks, folder=monorepo),
            ),
        ),
        rounds=3,
        aim="at most 60 ms on top, per project",
        reached=lambda ms: f"{(ms[1] - ms[0]) / MANY:+.1f} ms per project",
    )
    requirements = scratch / "requirements.txt"
    yield Race(
        question="What does the lock say, as requirements?",
        sides=(
            Side(name="MLflow imports the model", run=inference(scratch)),
            Side(name="`uv export`", run=program(UV, "export", "--frozen", "--quiet", "--output-file", os.devnull)),
            Side(
                name="`mlflow-uv export`",
                run=program(*PYTHON, "mlflow_uv", "export", "--requirements-file", str(requirements)),
            ),
        ),
        rounds=5,
        aim="100 times faster than by importing",
        reached=lambda ms: f"{ms[0] / ms[-1]:.0f} times, {ms[-1] - ms[1]:+.0f} ms over `uv export`",
    )


def in_a_row(monorepo: Path) -> Callable[[], float]:
    """What a loop over the projects takes."""
    runs = [program(UV, "lock", "--check", folder=monorepo / str(number)) for number in range(MANY)]
    return lambda: sum(run() for run in runs)


def made_monorepo(folder: Path) -> Path:
    """The wine example, many times, in a repository."""
    for number in range(MANY):
        (folder / str(number)).mkdir(parents=True)
        for name in ("pyproject.toml", "uv.lock"):
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
        "## The steps about the lock\n\n"
        "Each line compares what a user would run instead with ours, both sides in one run, taking turns; medians of\n"
        f"wall-clock time on {machine}.\n\n{table}\n{REMARK}"
    )


if __name__ == "__main__":
    main(sys.argv[1:])
