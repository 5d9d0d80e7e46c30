"""Exports made in this process by real uv, without a network, and environments that are made from them."""

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from mlflow_uv.command.host import Host
from mlflow_uv.command.report import Report
from mlflow_uv.steps import export
from mlflow_uv.tools.lock_toolbox import locktools
from tests.console import KeptConsole

PROGRAM = Path(sys.executable).parent / "uv"
LISTING = (
    "import importlib.metadata as m, json;"
    "print(json.dumps({d.metadata['Name'].lower().replace('_', '-'): d.version for d in m.distributions()}))"
)


def offline(variables: Mapping[str, str] | None = None) -> dict[str, str]:
    """The machine's variables, without a network and without what steers uv or pip."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("PIP_", "VIRTUAL_ENV"))}
    return {**kept, "UV_OFFLINE": "1", "PIP_CONFIG_FILE": os.devnull, "NO_PROXY": "127.0.0.1", **(variables or {})}


def exported(
    folder: Path, *, uv: Path = PROGRAM, variables: Mapping[str, str] | None = None, **inputs: Any
) -> Report[export.Outputs]:
    """What the step says of a project."""
    host = Host.of(offline(variables), folder=folder, python=Path(sys.executable))
    with locktools(host, console=KeptConsole(), uv=uv) as tools:
        return export.run(export.Inputs(project=folder, **inputs), tools)


def synced(folder: Path, environment: Path, *flags: str, network: Mapping[str, str] | None = None) -> dict[str, str]:
    """What the lock itself installs: names and versions. `flags` are the selection, in uv's words."""
    alone = ("--no-default-groups", "--no-editable", "--python", sys.executable)
    variables = offline({"UV_PROJECT_ENVIRONMENT": str(environment), **(network or {})})
    argv: list[str | Path] = [PROGRAM, "sync", "--frozen", "--quiet", *alone, *flags]
    subprocess.run(argv, cwd=folder, env=variables, check=True)
    return held(environment)


def installed(
    requirements: Path, environment: Path, *installer: str | Path, network: Mapping[str, str] | None = None
) -> dict[str, str]:
    """What a list installs in a new environment, from the folder where it lies. Raises CalledProcessError."""
    variables = offline(network)
    subprocess.run(
        [PROGRAM, "venv", "--quiet", "--no-project", "--python", sys.executable, environment], env=offline(), check=True
    )
    python = environment / "bin" / "python"
    argv = [str(word).replace("PYTHON", str(python)) for word in installer]
    done = subprocess.run(
        [*argv, requirements.name], cwd=requirements.parent, env=variables, capture_output=True, text=True, check=False
    )
    if done.returncode != 0:
        raise subprocess.CalledProcessError(done.returncode, argv, done.stdout, done.stderr)
    return held(environment)


def held(environment: Path) -> dict[str, str]:
    """Names and versions of what an environment holds."""
    done = subprocess.run(
        [environment / "bin" / "python", "-I", "-c", LISTING], check=True, capture_output=True, text=True
    )
    found: dict[str, str] = json.loads(done.stdout)
    return found


def compared(lock: Mapping[str, str], found: Mapping[str, str]) -> list[str]:
    """Each difference between what the lock installs and what an export does; empty where they are equal."""
    return [
        f"{name}: {lock.get(name, 'nothing')} is locked, {found.get(name, 'nothing')} is installed"
        for name in sorted(lock.keys() | found.keys())
        if lock.get(name) != found.get(name)
    ]


ONLINE = {"UV_OFFLINE": "0"}
# With nothing that was fetched before: indexes on loopback come and go at the same address.
AFRESH = {**ONLINE, "UV_NO_CACHE": "1", "PIP_NO_CACHE_DIR": "1"}
UV_PIP = (PROGRAM, "pip", "install", "--quiet", "--no-deps", "--python", "PYTHON", "-r")
