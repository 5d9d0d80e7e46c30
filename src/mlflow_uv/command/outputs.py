"""Reads the outputs of a report by name; the outputs of the steps of a release are outputs of the release."""

from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from types import UnionType
from typing import Any, Union, get_args, get_origin

from .step import Field, fields_of


def output_values(outputs: Any) -> Mapping[str, Any]:
    """
    The value of each output by its name in Python; None for those of a step that did not run.

    Of equal names in several steps the last step has the value.
    """
    values: dict[str, Any] = dict.fromkeys(field.name for field in fields_of(type(outputs)))
    for declared in fields(outputs):
        value = getattr(outputs, declared.name)
        if declared.name in values:
            values[declared.name] = value
        elif value is not None:  # the outputs of a step
            values |= output_values(value)
    return values


def empty_value(output: Field) -> object:
    """The empty value of the output's type: (), a record of defaults, or None."""
    for kind in get_args(output.hint) if get_origin(output.hint) in (Union, UnionType) else (output.hint,):
        if get_origin(kind) is tuple:
            return ()
        if is_dataclass(kind) and isinstance(kind, type):
            return kind()
    return None
