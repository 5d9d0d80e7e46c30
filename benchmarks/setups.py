"""
Measures what an action does before its step: the launcher makes the program's own environment, or finds it.

Each round starts with empty folders, so that everything is downloaded; the second run has uv's downloads alone, and the
third the environment. What is started is no step: it ends once a step would begin.
"""

import os
import resource
import shutil
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path

from race import ROOT, UV, VARIABLES
from steps_results import Setup, Taken
from store_calls import median

NO_STEP = "none"
REFUSED = 2


def measured(folder: Path, rounds: int) -> Setup:
    """The medians of the ways in which an environment comes to be there."""
    taken = [one_round(folder / str(number)) for number in range(rounds)]
    return Setup(*(median(way) for way in zip(*taken, strict=True)))


def one_round(folder: Path) -> tuple[Taken, Taken, Taken, Taken]:
    """What it takes with uv on PATH, with its downloads, with the environment, and with nothing and no uv."""
    programs, nothing = folder / "bin", folder / "nothing"
    programs.mkdir(parents=True)
    (programs / "uv").symlink_to(shutil.which(UV) or UV)
    (programs / "python3").symlink_to(sys.executable)
    (nothing / "bin").mkdir(parents=True)
    (nothing / "bin" / "python3").symlink_to(sys.executable)
    with_uv = variables_in(folder, programs)
    cold = start(with_uv)
    warm = start(with_uv)
    shutil.rmtree(folder / "home")
    downloaded = start(with_uv)
    without_uv = start(variables_in(nothing, nothing / "bin"))
    shutil.rmtree(folder)
    return cold, downloaded, warm, without_uv


def variables_in(folder: Path, programs: Path) -> Mapping[str, str]:
    """Variables that keep environments and downloads below a folder, and find only its programs and the system's."""
    kept = {name: value for name, value in VARIABLES.items() if not name.startswith("PIP_CACHE")}
    folders = {"MLFLOW_UV_HOME": "home", "UV_CACHE_DIR": "uv", "PIP_CACHE_DIR": "pip"}
    places = {name: str(folder / place) for name, place in folders.items()}
    return {**kept, **places, "PATH": os.pathsep.join((str(programs), "/usr/bin", "/bin"))}


def start(variables: Mapping[str, str]) -> Taken:
    """What it takes until the program that an action starts refuses a step that does not exist."""
    argv = (str(ROOT / "bin" / "mlflow-uv"), "github", NO_STEP)
    before, started = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    done = subprocess.run(argv, cwd=ROOT, env=variables, check=False, capture_output=True, text=True)
    elapsed, after = time.perf_counter() - started, resource.getrusage(resource.RUSAGE_CHILDREN)
    if done.returncode != REFUSED or NO_STEP not in done.stdout:
        sys.exit(f"The launcher failed:\n{done.stdout}\n{done.stderr}")
    return Taken(elapsed, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)
