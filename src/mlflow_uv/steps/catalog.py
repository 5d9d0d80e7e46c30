"""Every step there is, by its name; one is loaded when it is asked for, since the others take time to import."""

from functools import cache
from importlib import import_module
from typing import Any

from ..command.step import Step

NAMES = (
    "check-lock",
    "check-targets",
    "export",
    "log-model",
    "register",
    "build-image",
    "smoke-test",
    "evaluate",
    "promote",
    "rollback",
    "audit",
    "prune",
    "doctor",
)


@cache
def step_of(name: str) -> Step[Any, Any, Any]:
    """The step of a name in NAMES, which its module declares."""
    step: Step[Any, Any, Any] = import_module(f".{name.replace('-', '_')}", __package__).STEP
    return step


def steps() -> tuple[Step[Any, Any, Any], ...]:
    """All of them."""
    return tuple(map(step_of, NAMES))
