"""Replaces a benchmark's own section in docs/benchmarks.md and leaves the others unchanged."""

import re
from pathlib import Path

PAGE = Path(__file__).resolve().parents[1] / "docs" / "benchmarks.md"


def section(page: str, owner: str) -> str:
    """The owner's section of a page; empty if it has none."""
    begin, end = marks(owner)
    return page.partition(f"{begin}\n")[2].partition(f"\n{end}")[0]


def marks(owner: str) -> tuple[str, str]:
    """The lines before and after the section of the file that measures it."""
    return f"<!-- Written by `uv run benchmarks/{owner} --write`. -->", f"<!-- End of {owner}. -->"


def put(page: str, owner: str, section: str) -> str:
    """The page with a section in place of the owner's last one, or at its end; `owner` is the file that measures."""
    begin, end = marks(owner)
    written = f"{begin}\n{section.strip()}\n\n{end}\n"
    last = re.compile(rf"{re.escape(begin)}\n.*?{re.escape(end)}\n", re.DOTALL)
    if last.search(page):
        return last.sub(lambda _: written, page, count=1)
    return f"{page.rstrip()}\n\n{written}"


def write(owner: str, section: str) -> None:
    """Write the owner's section."""
    PAGE.write_text(put(PAGE.read_text(), owner, section))
