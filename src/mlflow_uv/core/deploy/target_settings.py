"""Defines the settings that every kind of target of a deployment has."""

from dataclasses import dataclass
from typing import Annotated, ClassVar

from ...command.step import Doc


@dataclass(frozen=True, kw_only=True, slots=True)
class TargetSettings:
    """The settings that every kind of target has; a kind whose servers start slowly has a longer deadline at least."""

    least_deadline_s: ClassVar[float] = 0

    target: Annotated[str, Doc("Kind of the target.")]
