"""Is what a server answered what training answered?"""

import math
from collections.abc import Iterator

from .digests import canonical, sha256

TOLERANCE = 1e-6  # the last bits of a float depend on the processor


def answers_digest(answers: object) -> str:
    """Digest of JSON answers or cases, in canonical form."""
    return sha256(canonical(answers))


def differences(expected: object, observed: object, *, tolerance: float, path: str = "$") -> Iterator[str]:
    """
    Name every place where two JSON values differ.

    Floating-point numbers may differ by `tolerance`, relative to the larger one (and absolutely by as much below 1):
    the last bits depend on the processor. Everything else, the type included, must be equal.
    """
    match expected, observed:
        case dict(), dict():
            for key in sorted(expected.keys() | observed.keys()):
                if key not in observed:
                    yield f"{path}.{key} is missing"
                elif key not in expected:
                    yield f"{path}.{key} was not expected"
                else:
                    yield from differences(expected[key], observed[key], tolerance=tolerance, path=f"{path}.{key}")
        case list(), list():
            if len(expected) != len(observed):
                yield f"{path} has {len(observed)} items, expected are {len(expected)}"
                return
            for index, (one, other) in enumerate(zip(expected, observed, strict=True)):
                yield from differences(one, other, tolerance=tolerance, path=f"{path}[{index}]")
        case (float() | int() as one, float() | int() as other) if _numbers(one, other):
            if not _close(one, other, tolerance):
                yield f"{path} is {other!r}, expected is {one!r}"
        case _:
            if type(expected) is not type(observed) or expected != observed:
                yield f"{path} is {observed!r}, expected is {expected!r}"


def _numbers(one: object, other: object) -> bool:
    """Whether at least one is floating and none is a truth value, which Python counts as an int."""
    return bool not in {type(one), type(other)} and float in {type(one), type(other)}


def _close(one: float, other: float, tolerance: float) -> bool:
    try:
        return (math.isnan(one) and math.isnan(other)) or math.isclose(one, other, rel_tol=tolerance, abs_tol=tolerance)
    except OverflowError:  # JSON has whole numbers beyond every float
        return False
