"""Turns what converters raise into a refusal with the operator and the reason."""

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from ..messages.conversion import ConversionRefusal, ConversionResult
from ..problems import last_line, shortened
from .native_models import Inconvertible

_LONGEST_REASON = 600


def converted_or_refused(convert: Callable[[], ConversionResult]) -> ConversionResult:
    """The result of a conversion, or the refusal that it raised."""
    try:
        return convert()
    except Inconvertible as error:
        reason = shortened(error.reason, _LONGEST_REASON)
        return ConversionResult(refusal=ConversionRefusal(operator=error.operator, reason=reason))


@contextmanager
def refusing(operator: str) -> Iterator[None]:
    """Raise Inconvertible for any other error in the block."""
    try:
        yield
    except Inconvertible:
        raise
    except (Exception, SystemExit) as error:  # converters and steps of a model raise anything
        raise Inconvertible(_culprit(error) or operator, _reason(error)) from error


def _culprit(error: BaseException) -> str:
    """The class of the step that a converter was at, from the frames of its error; empty if there is none."""
    found, trace = "", error.__traceback__
    while trace is not None:
        operator = trace.tb_frame.f_locals.get("operator")
        raw = getattr(operator, "raw_operator", None)
        if raw is not None:
            found = type(raw).__name__
        trace = trace.tb_next
    named = re.search(r"<class '(?:[\w.]+\.)?(\w+)'>|^(\w+(?:Transformer|Classifier|Regressor))\b", str(error))
    return found or (next(filter(None, named.groups())) if named else "")


def _reason(error: BaseException) -> str:
    """The first sentence of a converter's message, without the help and the lists after it."""
    text = " ".join(str(error).split()) or last_line(error)
    text = re.split(r"\s(?:It usually|You may|This usually|If )|\s+topology:|See function|\swith name=", text)[0]
    return f"{type(error).__name__}: {text}"
