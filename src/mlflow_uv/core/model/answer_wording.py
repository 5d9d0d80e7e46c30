"""Formats differences between answers, and the error of a server that refuses a case."""

from collections.abc import Sequence

from ...command.wording import Wording, option
from ..security.documents import parse_json
from .answers import AnswerDifference, volatile_paths

LONGEST_REASON = 1000  # characters
SHOWN = 5


def format_differences(answer_differences: Sequence[AnswerDifference]) -> str:
    """The first differences, and how many more there are."""
    more = f"; and {len(answer_differences) - SHOWN} more" if len(answer_differences) > SHOWN else ""
    return "; ".join(shortened(difference.text, LONGEST_REASON) for difference in answer_differences[:SHOWN]) + more


def repeatable_fix(method: str) -> str:
    """Return the fix for a method of a model that answers equal requests differently."""
    return f"seed the random numbers in its {method}, and keep nothing there from one call to the next"


def ignoring_fix(answer_differences: Sequence[AnswerDifference]) -> str:
    """The option that ignores the paths, if only timestamps and generated ids differ; else empty."""
    paths = volatile_paths(tuple(answer_differences))
    if not paths:
        return ""
    return Wording(option("ignore-answers", ",".join(paths)), ", which differ from response to response")


def difference_fix(answer_differences: Sequence[AnswerDifference]) -> str:
    """The option that ignores the paths, or sets a tolerance where a floating-point number differs."""
    if fix := ignoring_fix(answer_differences):
        return fix
    compare = "compare the two environments"
    if any(difference.is_of_floats for difference in answer_differences):
        return Wording(compare, ", or set ", option("tolerance", "NUMBER"))
    return compare


def reason_of(body: str) -> str:
    """The message of MLflow's JSON error and the last line of its traceback; the body if it is not such an error."""
    try:
        error = parse_json(body)
        message, trace = str(error["message"]).strip(), str(error.get("stack_trace") or "").strip()
    except (ValueError, RecursionError, TypeError, KeyError, AttributeError):
        return shortened(body, LONGEST_REASON)
    last = trace.splitlines()[-1] if trace else ""
    return shortened(message if last in message else f"{message} {last}", LONGEST_REASON)


def shortened(text: str, longest: int) -> str:
    """Cut a text's middle out if it has more than `longest` characters; in errors the reason is at the end."""
    if len(text) <= longest:
        return text
    head = longest // 3
    return f"{text[:head]} [...] {text[head - longest :]}"
