"""Lets MLflow open artifact repositories only at the locations that `locations` allows."""

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from .locations import check, leaves, trust_of
from .problems import Problem, ProblemKind

# What reads and writes folders of this machine that we name ourselves.
_LOCAL_VERBS = frozenset(
    {
        "answer",
        "call-function",
        "describe-cases",
        "describe-environment",
        "describe-signature",
        "evaluate",
        "read-example",
        "write-data",
    }
)


def require(location: str, *, whose: str) -> None:
    """Raise where the server of this process must not keep artifacts there."""
    trust = trust_of(os.environ)
    problem = None if trust is None else check(location, trust)
    if problem is not None:
        raise Problem(problem.kind, f"the artifact location of {whose}, {problem.message}")


@contextmanager
def checked(verb: str) -> Iterator[None]:
    """
    Let MLflow open no artifact repository at a location that `check` refuses, and believe no listing that leaves it.

    Every repository is opened by one function, whatever led to it: a run, a model, a version, `runs:/` or `models:/`.
    There, nothing can change between the question and the use.
    """
    trust = None if verb in _LOCAL_VERBS else trust_of(os.environ)
    if trust is None:
        yield
        return
    from mlflow.store.artifact import artifact_repository_registry  # noqa: PLC0415  # describe-environment needs none

    registry = artifact_repository_registry._artifact_repository_registry  # noqa: SLF001
    opening = registry.get_artifact_repository

    def opened(artifact_uri: str, *arguments: Any, **named: Any) -> Any:
        problem = check(str(artifact_uri), trust)
        if problem is not None:
            raise Problem(problem.kind, f"an artifact location, {problem.message}")
        repository = opening(artifact_uri, *arguments, **named)
        repository.list_artifacts = _within(repository.list_artifacts)
        return repository

    registry.get_artifact_repository = opened
    try:
        yield
    finally:
        del registry.get_artifact_repository


def _within(listing: "Callable[..., Any]") -> "Callable[..., Any]":
    """A listing whose paths stay below the folder that they are downloaded to."""

    def listed(*arguments: Any, **named: Any) -> Any:
        entries = listing(*arguments, **named)
        for entry in entries:
            if leaves(str(entry.path)):
                raise Problem(ProblemKind.UNEXPECTED, f"the store lists `{entry.path}`, which leads out of its folder")
        return entries

    return listed
