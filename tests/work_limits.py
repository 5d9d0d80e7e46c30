"""Asserts that work grows with the length of a text and not with its square, in processor time of this process."""

import time
from collections.abc import Callable

# A linear pass over either takes milliseconds; one that reads the text again from each of its characters takes many
# seconds for the first, and hours for the second, which is then not tried.
SIZES = (30_000, 1_000_000)
_MOST_S = 4


def assert_linear(work: Callable[[str], object], start: str, unit: str, *, most: int = SIZES[-1]) -> None:
    """Do the work for texts of both sizes, at most `most`, that begin with `start` and repeat `unit`."""
    for size in SIZES:
        text = start + unit * (min(size, most) // len(unit))
        before = time.process_time()
        work(text)
        used = time.process_time() - before
        assert used < _MOST_S, f"{used:.0f} s for {len(text):,} characters of {unit!r} after {start!r}"
