"""Gives tests the environment folders of a cache, without a console."""

from collections.abc import Callable
from pathlib import Path

from mlflow_uv.tools.uv.environment_folder import EnvironmentFolder
from tests.console import KeptConsole


def folders_in(cache: Path) -> Callable[[str], EnvironmentFolder]:
    """Return what `Environments.serving` is in this cache."""
    return lambda key: environment_at(cache / key[:16])


def environment_at(folder: Path) -> EnvironmentFolder:
    """Return what `Environments.at` is."""
    return EnvironmentFolder(folder=folder, console=KeptConsole(), on_new=lambda _folder: None)
