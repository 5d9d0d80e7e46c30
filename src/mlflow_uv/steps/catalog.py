"""Lists all steps by name and imports the module of a step on first use, because imports are slow."""

from functools import cache
from importlib import import_module
from typing import Any

from ..command.step import Step

RELEASE_NAME = "release"
NAMES = (
    "init",
    "check-lock",
    "check-targets",
    "lint",
    "compare-locks",
    "compare-versions",
    "post-comment",
    "export",
    "log-model",
    "register",
    "build-image",
    "smoke-test",
    "verify",
    "sign",
    "verify-chain",
    "evaluate",
    "promote",
    "rollback",
    "deploy",
    "audit",
    "report",
    "describe-version",
    "model-card",
    "prune",
    "score",
    "export-model",
    "report-issue",
    "doctor",
)
# What a release runs unless it is told otherwise, in this order.
RELEASE_PARTS = ("check-lock", "check-targets", "export", "log-model", "register", "build-image", "smoke-test")


@cache
def step_of(name: str) -> Step[Any, Any, Any]:
    """Return the step with a name from NAMES, or `release`."""
    step: Step[Any, Any, Any] = import_module(f".{name.replace('-', '_')}", __package__).STEP
    return step


def steps() -> tuple[Step[Any, Any, Any], ...]:
    """Return all steps but `release`."""
    return tuple(map(step_of, NAMES))


def all_steps() -> tuple[Step[Any, Any, Any], ...]:
    """Return `release` and all other steps."""
    return (step_of(RELEASE_NAME), *steps())
