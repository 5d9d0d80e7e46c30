"""Reads the output of a running program line by line, with secrets masked."""

from collections.abc import Callable, Sequence
from typing import IO

from ...core.security.masking import MaskedLines


def drain_verbatim(stream: IO[bytes], lines: list[str]) -> None:
    """Read data that is not shown; bytes that are not UTF-8 become surrogates."""
    with stream:
        lines += [raw.decode(errors="surrogateescape") for raw in stream]


def drain_masked(
    stream: IO[bytes], lines: list[str], on_line: Callable[[str], None] | None, secrets: Sequence[str]
) -> None:
    """Read text to its end, mask secrets, and call `on_line` with each line."""
    masked = MaskedLines(secrets)

    def keep(shown: list[str]) -> None:
        nonlocal on_line
        for line in shown:
            lines.append(line)
            if on_line is None:
                continue
            try:
                on_line(line.rstrip("\r\n"))
            except OSError:
                on_line = None  # the output is closed; a pipe that is not drained would block the child

    with stream:
        for raw in stream:
            keep(masked.feed(raw.decode(errors="replace")))
        keep(masked.end())
