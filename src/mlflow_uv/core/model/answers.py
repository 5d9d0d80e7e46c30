"""Compares what a server answered with what training answered, and writes a case as training was asked it."""

import json
import math
import re
from collections.abc import Iterator
from dataclasses import dataclass

from ..release.digests import canonical, sha256
from .answer_paths import member

TOLERANCE = 1e-6  # the last bits of a float depend on the processor
_ITEMS = re.compile(r"\[\d+\]")
# Seconds since 1970 from 2017 on, as they are, in milli-, micro- or nanoseconds.
_EPOCHS = tuple((1_500_000_000 * scale, 4_000_000_000 * scale) for scale in (1, 10**3, 10**6, 10**9))
# A name that is drawn anew, with or without a prefix (`chatcmpl-…`, `msg_…`), and a date with a time.
_DRAWN = re.compile(r"(?:[\w.:]*[-_.:])?(?:[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}|(?=\S*\d)[0-9A-Za-z]{16,64})")
_DATE = re.compile(r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d.*")


@dataclass(frozen=True, slots=True)
class AnswerDifference:
    """A place where two answers differ, as a path and as a sentence, and the two values where there are two."""

    path: str
    text: str
    expected: object = None
    observed: object = None

    @property
    def is_of_floats(self) -> bool:
        """Whether a tolerance could close it."""
        return float in {type(self.expected), type(self.observed)} and _numbers(self.expected, self.observed)

    @property
    def is_of_the_moment(self) -> bool:
        """Whether both values look like a time or like a name that is drawn anew for each answer."""
        return _of_the_moment(self.expected) and _of_the_moment(self.observed)


def request_body(case: object) -> bytes:
    """The body of a request that asks a case: the bytes training was asked, with keys and columns in their order."""
    return json.dumps(case).encode()


def answers_digest(answers: object) -> str:
    """Digest of JSON answers or cases, in canonical form."""
    return sha256(canonical(answers))


def differences(expected: object, observed: object, *, tolerance: float, path: str = "$") -> Iterator[AnswerDifference]:
    """
    Name every place where two JSON values differ.

    Floating-point numbers may differ by `tolerance`, relative to the larger one (and absolutely by as much below 1):
    the last bits depend on the processor. Everything else, the type included, must be equal.
    """
    match expected, observed:
        case dict(), dict():
            for key in sorted(expected.keys() | observed.keys()):
                inner = member(path, key)
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
            for index, (one, other) in enumerate(zip(expected, observed, strict=True)):
                yield from differences(one, other, tolerance=tolerance, path=f"{path}[{index}]")
        case _ if not _same(expected, observed, tolerance):
            text = f"{path} is {observed!r}, expected is {expected!r}"
            yield AnswerDifference(path, text, expected, observed)


def ignorable(found: tuple[AnswerDifference, ...]) -> tuple[str, ...]:
    """Paths that leave out all of these differences, where each of them is only of the moment; else none."""
    if not all(difference.is_of_the_moment for difference in found):
        return ()
    return tuple(dict.fromkeys(_ITEMS.sub("[*]", difference.path) for difference in found))


def not_json(answer: object, path: str = "$") -> Iterator[str]:
    """The places of NaN and infinity, which Python writes and reads, and no other reader of JSON does."""
    match answer:
        case dict():
            for key, inner in answer.items():
                yield from not_json(inner, member(path, key))
        case list():
            for index, inner in enumerate(answer):
                yield from not_json(inner, f"{path}[{index}]")
        case float() if not math.isfinite(answer):
            yield f"{path} is {json.dumps(answer)}"


def _same(expected: object, observed: object, tolerance: float) -> bool:
    match expected, observed:
        case (float() | int() as one, float() | int() as other) if _numbers(one, other):
            return _close(one, other, tolerance)
    return type(expected) is type(observed) and expected == observed


def _numbers(one: object, other: object) -> bool:
    """Whether both are numbers, at least one of them floating; Python counts truth values as numbers."""
    kinds = {type(one), type(other)}
    return float in kinds and kinds <= {int, float}


def _close(one: float, other: float, tolerance: float) -> bool:
    try:
        return (math.isnan(one) and math.isnan(other)) or math.isclose(one, other, rel_tol=tolerance, abs_tol=tolerance)
    except OverflowError:  # JSON has whole numbers beyond every float
        return False


def _of_the_moment(value: object) -> bool:
    match value:
        case bool():
            return False
        case int() | float():
            return any(earliest <= value <= latest for earliest, latest in _EPOCHS)
        case str():
            return bool(_DRAWN.fullmatch(value) or _DATE.fullmatch(value))
    return False
