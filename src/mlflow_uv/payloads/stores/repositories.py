"""Restricts MLflow's artifact repositories to the locations that the module `locations` allows."""

import os
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from ..problems import Problem, ProblemKind
from .locations import check, leaves, trust_of

# Verbs that only use local folders named by the caller.
_LOCAL_VERBS = frozenset(
    {
        "answer",
        "call-function",
        "describe-cases",
        "describe-environment",
        "describe-signature",
        "evaluate",
        "read-cases",
        "read-example",
        "write-data",
    }
)


# Folders of this process that MLflow may open by their paths.
_own_folders: set[str] = set()


def require(location: str, *, whose: str) -> None:
    """Raise Problem if a location from the server of this process is not allowed."""
    trust = trust_of(os.environ)
    problem = None if trust is None else check(location, trust)
    if problem is not None:
        raise Problem(problem.kind, f"the artifact location of {whose}, {problem.message}")


@contextmanager
def checked(verb: str) -> Iterator[None]:
    """
    Let MLflow open only repositories at allowed locations, and reject listings with paths outside of them.

    MLflow opens every repository by one function, whether for a run, a model, a version, `runs:/` or `models:/`.
    A check there uses the same location as the access that follows.
    """
    trust = None if verb in _LOCAL_VERBS else trust_of(os.environ)
    if trust is None:
        yield
        return
    from mlflow.store.artifact import artifact_repository_registry  # noqa: PLC0415  # describe-environment works without mlflow

    registry = artifact_repository_registry._artifact_repository_registry  # noqa: SLF001
    original = registry.get_artifact_repository

    def open_checked(artifact_uri: str, *arguments: Any, **named: Any) -> Any:
        problem = None if str(artifact_uri) in _own_folders else check(str(artifact_uri), trust)
        if problem is not None:
            raise Problem(problem.kind, f"an artifact location, {problem.message}")
        repository = original(artifact_uri, *arguments, **named)
        repository.list_artifacts = _within(repository.list_artifacts)
        return repository

    registry.get_artifact_repository = open_checked
    try:
        yield
    finally:
        del registry.get_artifact_repository


@contextmanager
def own_folder() -> Iterator[str]:
    """A temporary folder of this process from which MLflow may read as from a location, while the block runs."""
    with tempfile.TemporaryDirectory(prefix="mlflow-uv-") as folder:
        inside = str(Path(folder) / "model")
        _own_folders.add(inside)
        try:
            yield inside
        finally:
            _own_folders.discard(inside)


def _within(listing: "Callable[..., Any]") -> "Callable[..., Any]":
    """A `list_artifacts` that raises Problem for paths outside of the download folder."""

    def listed(*arguments: Any, **named: Any) -> Any:
        entries = listing(*arguments, **named)
        for entry in entries:
            if leaves(str(entry.path)):
                raise Problem(ProblemKind.UNEXPECTED, f"the store lists `{entry.path}`, which is outside of its folder")
        return entries

    return listed
