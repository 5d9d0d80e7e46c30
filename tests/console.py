"""A console for steps that run in the process of a test."""

from collections.abc import Iterator
from contextlib import contextmanager


class KeptConsole:
    """A console that prints nothing and keeps every line: messages, titles of groups, and output of other programs."""

    def __init__(self) -> None:
        self.lines: list[str] = []
        self.concealed: list[str] = []

    def say(self, text: str) -> None:
        """See Console."""
        self.lines.append(text)

    @contextmanager
    def step(self, name: str) -> Iterator[None]:
        """See Console."""
        self.lines.append(f"▸ {name}")
        yield

    @contextmanager
    def group(self, title: str, *, folded: bool = True) -> Iterator[None]:  # kept open
        """See Console."""
        self.lines.append(title)
        yield

    def foreign(self, line: str) -> None:
        """See Console."""
        self.lines.append(line)

    def conceal(self, secret: str) -> None:
        """See Console."""
        self.concealed.append(secret)
