"""Lists the lines that differ between two texts of which few lines differ, in time that grows with their length."""

from collections.abc import Iterator, Sequence

_LONGEST = 200  # lines of one change that are looked through
_AGREE = 3  # lines that must be equal for a change to be over


def changed_lines(before: str, after: str) -> tuple[str, ...]:
    """The removed lines with `-` and the added ones with `+` before them; a very long change ends with the texts."""
    return tuple(_changes(before.splitlines(), after.splitlines()))


def _changes(old: Sequence[str], new: Sequence[str]) -> Iterator[str]:
    first = second = 0
    while first < len(old) or second < len(new):
        if first < len(old) and second < len(new) and old[first] == new[second]:
            first, second = first + 1, second + 1
            continue
        removed, added = _length(old, new, first, second)
        yield from (f"-{line}" for line in old[first : first + removed])
        yield from (f"+{line}" for line in new[second : second + added])
        first, second = first + removed, second + added


def _length(old: Sequence[str], new: Sequence[str], first: int, second: int) -> tuple[int, int]:
    """How many lines of each text a change has, as few as possible: after them, the next ones are equal."""
    for total in range(1, _LONGEST):
        for removed in range(total + 1):
            begin, other = first + removed, second + total - removed
            if begin > len(old) or other > len(new):
                continue
            following, their = old[begin : begin + _AGREE], new[other : other + _AGREE]
            if following == their and (following or (begin == len(old) and other == len(new))):
                return removed, total - removed
    return len(old) - first, len(new) - second
