"""Words differences between answers, and what a server says that refuses a case."""

from collections.abc import Sequence

from ...command.wording import Wording, option
from ..security.documents import parse_json
from .answers import AnswerDifference, ignorable

REASON = 1000  # characters
SHOWN = 5


def listed(found: Sequence[AnswerDifference]) -> str:
    """The first differences, and how many there are more."""
    more = f"; and {len(found) - SHOWN} more" if len(found) > SHOWN else ""
    return "; ".join(shortened(difference.text, REASON) for difference in found[:SHOWN]) + more


def ignoring_fix(found: Sequence[AnswerDifference]) -> str:
    """The paths to ignore where only times and names drawn anew differ; else nothing."""
    paths = ignorable(tuple(found))
    if not paths:
        return ""
    return Wording(option("ignore-answers", ",".join(paths)), ", which differ from answer to answer")


def difference_fix(found: Sequence[AnswerDifference]) -> str:
    """The paths to ignore, or a tolerance where a floating-point number differs."""
    if fix := ignoring_fix(found):
        return fix
    look = "look for what differs between the two environments"
    if any(difference.is_of_floats for difference in found):
        return Wording(look, ", or set ", option("tolerance", "NUMBER"))
    return look


def reason_of(body: str) -> str:
    """What MLflow's error says, and the line on which the traceback ends that it carries; else the body."""
    try:
        said = parse_json(body)
        message, trace = str(said["message"]).strip(), str(said.get("stack_trace") or "").strip()
    except (ValueError, RecursionError, TypeError, KeyError, AttributeError):
        return shortened(body, REASON)
    last = trace.splitlines()[-1] if trace else ""
    return shortened(message if last in message else f"{message} {last}", REASON)


def shortened(text: str, longest: int) -> str:
    """A text without its middle where it is too long: what was done comes first in it, and the reason last."""
    if len(text) <= longest:
        return text
    head = longest // 3
    return f"{text[:head]} [...] {text[head - longest :]}"
