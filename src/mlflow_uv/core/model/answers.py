"""Compares the answers of a server with those of training, and computes their digest."""

import json
import math
from collections.abc import Iterator

from ...command.lazy_pattern import lazy_pattern
from ...payloads.messages.lazy_dataclass import lazy_dataclass
from ..release.digests import canonical, sha256
from .answer_paths import member_path

_ITEMS = lazy_pattern(r"\[\d+\]")
# Seconds since 1970 from 2017 on, as they are, in milli-, micro- or nanoseconds.
_EPOCHS = tuple((1_500_000_000 * scale, 4_000_000_000 * scale) for scale in (1, 10**3, 10**6, 10**9))
# A generated id, with or without a prefix (`chatcmpl-…`, `msg_…`), and a date with a time.
_GENERATED = lazy_pattern(
    r"(?:[\w.:]*[-_.:])?(?:[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}|(?=\S*\d)[0-9A-Za-z]{16,64})"
)
_DATE = lazy_pattern(r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d.*")


@lazy_dataclass(kw_only=False)
class AnswerDifference:
    """A difference between two answers: its path, a sentence, and both values where both exist."""

    path: str
    text: str
    expected: object = None
    observed: object = None

    @property
    def is_of_floats(self) -> bool:
        """Whether a larger tolerance could accept it."""
        return float in {type(self.expected), type(self.observed)} and _numbers(self.expected, self.observed)

    @property
    def is_volatile(self) -> bool:
        """Whether both values look like a timestamp or like an id that is generated for each answer."""
        return _volatile(self.expected) and _volatile(self.observed)


def answers_digest(answers: object) -> str:
    """SHA-256 of JSON answers or cases in canonical form, in hex."""
    return sha256(canonical(answers))


def differences(expected: object, observed: object, *, tolerance: float, path: str = "$") -> Iterator[AnswerDifference]:
    """
    Yield every difference between two JSON values.

    Floating-point numbers may differ by `tolerance`, relative to the larger one (absolute below 1), since the last bits
    depend on the processor. Everything else, including the type, must be equal.
    """
    match expected, observed:
        case dict(), dict():
            for key in sorted(expected.keys() | observed.keys()):
                inner = member_path(path, key)
                if key not in observed:
                    yield AnswerDifference(inner, f"{inner} is missing")
                elif key not in expected:
                    yield AnswerDifference(inner, f"{inner} was not expected")
                else:
                    yield from differences(expected[key], observed[key], tolerance=tolerance, path=inner)
        case list(), list():
            if len(expected) != len(observed):
                yield AnswerDifference(path, f"{path} has {len(observed)} items, expected are {len(expected)}")
                return
            for index, (expected_item, observed_item) in enumerate(zip(expected, observed, strict=True)):
                yield from differences(expected_item, observed_item, tolerance=tolerance, path=f"{path}[{index}]")
        case _ if not _same(expected, observed, tolerance):
            text = f"{path} is {observed!r}, expected is {expected!r}"
            yield AnswerDifference(path, text, expected, observed)


def volatile_paths(answer_differences: tuple[AnswerDifference, ...]) -> tuple[str, ...]:
    """The paths that ignore all of these differences, if each is a timestamp or a generated id; else empty."""
    if not all(difference.is_volatile for difference in answer_differences):
        return ()
    return tuple(dict.fromkeys(_ITEMS.sub("[*]", difference.path) for difference in answer_differences))


def non_json_values(answer: object, path: str = "$") -> Iterator[str]:
    """Yield the places of NaN and infinity, which JSON does not have and only Python's parser accepts."""
    match answer:
        case dict():
            for key, inner in answer.items():
                yield from non_json_values(inner, member_path(path, key))
        case list():
            for index, inner in enumerate(answer):
                yield from non_json_values(inner, f"{path}[{index}]")
        case float() if not math.isfinite(answer):
            yield f"{path} is {json.dumps(answer)}"


def _same(expected: object, observed: object, tolerance: float) -> bool:
    match expected, observed:
        case (float() | int() as expected_number, float() | int() as observed_number) if _numbers(
            expected_number, observed_number
        ):
            return _close(expected_number, observed_number, tolerance)
    return type(expected) is type(observed) and expected == observed


def _numbers(first: object, second: object) -> bool:
    """Whether both are numbers and at least one is a float; booleans do not count."""
    kinds = {type(first), type(second)}
    return float in kinds and kinds <= {int, float}


def _close(first: float, second: float, tolerance: float) -> bool:
    try:
        return (math.isnan(first) and math.isnan(second)) or math.isclose(
            first, second, rel_tol=tolerance, abs_tol=tolerance
        )
    except OverflowError:  # JSON allows integers beyond the range of float
        return False


def _volatile(value: object) -> bool:
    match value:
        case bool():
            return False
        case int() | float():
            return any(earliest <= value <= latest for earliest, latest in _EPOCHS)
        case str():
            return bool(_GENERATED.fullmatch(value) or _DATE.fullmatch(value))
    return False
