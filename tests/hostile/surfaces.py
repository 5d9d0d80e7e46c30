"""Starts the program as users do: on the command line, as a GitHub action, as a pre-commit hook."""

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from tests.waiting import CEILING_S


@dataclass(frozen=True, kw_only=True, slots=True)
class Ended:
    """How a call ended, and everything that it said or wrote for GitHub."""

    code: int
    output: str


def on_the_command_line(
    step: str, *words: str, folder: Path, given: Mapping[str, str], variables: Mapping[str, str]
) -> Ended:
    """`mlflow-uv STEP WORDS --NAME VALUE`, in a folder; `variables` are added to those of a test."""
    flags = [f"--{name}={value}" for name, value in given.items()]
    return _run(["-m", "mlflow_uv", step, *words, *flags], folder, variables)


def in_an_action(step: str, *words: str, folder: Path, given: Mapping[str, str], variables: Mapping[str, str]) -> Ended:
    """`uses: ACTION/actions/STEP` in a workspace; the one word that a step may need is an input like any other."""
    inputs = {"project": ".", **given, **({"version-uri": words[0]} if words else {})}
    files = {name: folder.parent / name for name in ("GITHUB_OUTPUT", "GITHUB_STEP_SUMMARY")}
    for file in files.values():
        file.touch()
    runner = {
        "GITHUB_ACTIONS": "true",
        "GITHUB_WORKSPACE": str(folder),
        "RUNNER_TEMP": str(folder.parent),
        "MLFLOW_UV_INPUTS": json.dumps(inputs),
        **{name: str(file) for name, file in files.items()},
    }
    ended = _run(["-m", "mlflow_uv.surfaces.github", step], folder, {**runner, **variables})
    return Ended(code=ended.code, output="\n".join((ended.output, *(file.read_text() for file in files.values()))))


def in_a_hook(step: str, *files: str, folder: Path, variables: Mapping[str, str]) -> Ended:
    """The pre-commit hook of a step, on files of a repository."""
    return _run(["-m", "mlflow_uv_hooks", step, *files], folder, variables)


def _run(words: list[str], folder: Path, variables: Mapping[str, str]) -> Ended:
    done = subprocess.run(
        [sys.executable, "-I", *words],
        cwd=folder,
        env={**os.environ, **variables},
        capture_output=True,
        text=True,
        check=False,
        timeout=CEILING_S,
    )
    return Ended(code=done.returncode, output=f"{done.stdout}\n{done.stderr}")
