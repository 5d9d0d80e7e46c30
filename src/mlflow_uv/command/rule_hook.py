"""Declares a hook of a single rule of a step."""

from collections.abc import Mapping

from ..payloads.messages.lazy_dataclass import lazy_dataclass


@lazy_dataclass
class RuleHook:
    """A pre-commit hook that runs a step with some inputs, as for one of its rules."""

    id: str
    name: str
    summary: str
    files: str
    inputs: Mapping[str, str]
