"""Limits the values that an input accepts."""

import math
from typing import NamedTuple


class Limits(NamedTuple):
    """The limits of a number: the smallest allowed value, and one that must not be reached."""

    least: float = 0
    below: float = math.inf

    def allow(self, number: float) -> bool:
        """Whether a number is within the limits; NaN is not."""
        return self.least <= number < self.below

    @property
    def text(self) -> str:
        """The limits as words."""
        return f"of at least {self.least:g}" + (f" and below {self.below:g}" if self.below < math.inf else "")


ANY_NUMBER = Limits()


class NotEmpty:
    """Marks an input whose empty text is refused: an unset variable of the caller must not mean its default."""


def is_empty(value: object) -> bool:
    """Whether a value counts as not given: GitHub passes an input that nobody set as empty text or as a line break."""
    return value is None or (isinstance(value, str) and not value.strip())
