"""Defines the settings that every kind of target of a deployment has."""

from typing import Annotated, ClassVar

from ...command.step import Doc
from ...payloads.messages.lazy_dataclass import lazy_dataclass


@lazy_dataclass
class TargetSettings:
    """The settings that every kind of target has; a kind whose servers start slowly has a longer deadline at least."""

    least_deadline_s: ClassVar[float] = 0

    target: Annotated[str, Doc("Kind of the target.")]
