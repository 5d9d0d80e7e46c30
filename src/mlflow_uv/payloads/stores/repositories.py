"""Restricts MLflow's artifact repositories to the locations that the module `locations` allows, and names links."""

import os
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from ..problems import Problem, ProblemKind, kind_of
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
# Methods of a repository that follow paths below its folder.
_FOLLOWING = ("list_artifacts", "download_artifacts", "log_artifact", "log_artifacts", "delete_artifacts")

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

    Where no server names the locations, all are allowed. An error about a link in a folder names the link.
    MLflow opens every repository by one function, whether for a run, a model, a version, `runs:/` or `models:/`.
    A check there uses the same location as the access that follows.
    """
    if verb in _LOCAL_VERBS:
        yield
        return
    trust = trust_of(os.environ)
    from mlflow.store.artifact import artifact_repository_registry  # noqa: PLC0415  # describe-environment works without mlflow

    registry = artifact_repository_registry._artifact_repository_registry  # noqa: SLF001
    original = registry.get_artifact_repository

    def open_checked(artifact_uri: str, *arguments: Any, **named: Any) -> Any:
        location = str(artifact_uri)
        problem = None if trust is None or location in _own_folders else check(location, trust)
        if problem is not None:
            raise Problem(problem.kind, f"an artifact location, {problem.message}")
        repository = original(artifact_uri, *arguments, **named)
        if trust is not None:
            repository.list_artifacts = _within(repository.list_artifacts)
        if folder := getattr(repository, "artifact_dir", None):
            for name in _FOLLOWING:
                setattr(repository, name, _naming_links(getattr(repository, name), Path(folder)))
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


def _naming_links(method: "Callable[..., Any]", folder: Path) -> "Callable[..., Any]":
    """A method of the repository of a folder; if it fails because of a symbolic link in it, the error names that."""

    def called(*arguments: Any, **named: Any) -> Any:
        try:
            return method(*arguments, **named)
        except Exception as error:
            if kind_of(error) not in {ProblemKind.LINKED_ARTIFACTS, ProblemKind.NOT_FOUND}:
                raise
            link = next(stray_links(folder), None)
            if isinstance(error, Problem) or link is None:
                raise
            target = _real(link)
            why = "out of its folder" if target.exists() else "which is not there"
            raise Problem(ProblemKind.LINKED_ARTIFACTS, f"`{link}` leads to `{target}`, {why}") from error

    return called


def stray_links(folder: Path) -> "Iterator[Path]":
    """The symbolic links below a folder that lead out of it, or to nothing, such as one to itself."""
    top = _real(folder)
    for base, folders, files in os.walk(folder):
        for path in sorted(Path(base, name) for name in (*folders, *files)):
            if path.is_symlink() and not (path.exists() and _real(path).is_relative_to(top)):
                yield path


def _real(path: Path) -> Path:
    """The path without links; before Python 3.13, `Path.resolve` raises RuntimeError for one that leads to itself."""
    return Path(os.path.realpath(path))
