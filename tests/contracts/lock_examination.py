"""Examines a lock with real uv, for the tests of its freshness."""

import os
import sys
from pathlib import Path

from mlflow_uv.command.host import Host
from mlflow_uv.ops.lock.freshness import Freshness, examine
from mlflow_uv.surfaces.terminal import terminal
from mlflow_uv.tools.lock_toolbox import locktools
from mlflow_uv.tools.project.files import read_project


def tools_in(folder: Path, **variables: str):
    """Real tools for a caller with these variables, who stands in the folder."""
    python = Path(sys.executable)
    return locktools(Host.of({**os.environ, **variables}, folder=folder, python=python), console=terminal())


def examined(folder: Path, *, respect_env: bool = False, offline: bool = True, **variables: str) -> Freshness:
    """What is found out about a project by a caller who stands in its folder."""
    with tools_in(folder, **variables) as tools:
        return examine(read_project(folder), tools, respect_env=respect_env, offline=offline)
