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
Two targets are missed. More than half of the time that a hook needs in addition to uv is the start of Python and the
import of the standard library (dataclasses, typing, pathlib, subprocess); most of the rest is the creation of this
program's classes. The hook does not import packaging, tempfile, json, difflib, or any step but the one that it runs. It
passes an interpreter to uv, so that uv does not search for one. This saves another 100 ms if Python is behind shims,
which is not the case here.
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
        for race in (*races(Path(scratch)), *targets.races(Path(scratch))):
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
    yield Race(
        question="check one lock (hook)",
        sides=(
            Side(name="`uv lock --check`", run=program(UV, "lock", "--check")),
            Side(name="hook `check-lock`", run=program(*PYTHON, "mlflow_uv_hooks", "check-lock", "uv.lock")),
        ),
        rounds=20,
        aim="at most 60 ms more",
        reached=lambda ms: f"{ms[1] - ms[0]:+.0f} ms",
    )
    monorepo = made_monorepo(scratch / "monorepo")
    locks = [f"{number}/uv.lock" for number in range(MANY)]
    yield Race(
        question=f"check {MANY} locks of a monorepo (hook)",
        sides=(
            Side(name="`uv lock --check`, one project after the other", run=in_a_row(monorepo)),
            Side(
                name="hook `check-lock`",
                run=program(*PYTHON, "mlflow_uv_hooks", "check-lock", *locks, folder=monorepo),
            ),
        ),
        rounds=3,
        aim="at most 60 ms more, per project",
        reached=lambda ms: f"{(ms[1] - ms[0]) / MANY:+.1f} ms per project",
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
        "## Lock steps\n\n"
        "Each row compares a step with the command that a user would run instead. Both were run in alternation; the\n"
        f"numbers are medians of wall-clock time on {machine}.\n\n{table}\n{REMARK}"
    )


if __name__ == "__main__":
    main(sys.argv[1:])
