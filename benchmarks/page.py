"""Replaces a benchmark's own section in docs/benchmarks.md and leaves the others unchanged."""

import re
from pathlib import Path

PAGE = Path(__file__).resolve().parents[1] / "docs" / "benchmarks.md"


def put(page: str, owner: str, section: str) -> str:
    """The page with a section in place of the owner's last one, or at its end; `owner` is the file that measures."""
    begin, end = f"<!-- Written by `uv run benchmarks/{owner} --write`. -->", f"<!-- End of {owner}. -->"
    written = f"{begin}\n{section.strip()}\n\n{end}\n"
    last = re.compile(rf"{re.escape(begin)}\n.*?{re.escape(end)}\n", re.DOTALL)
    if last.search(page):
        return last.sub(lambda _: written, page, count=1)
    return f"{page.rstrip()}\n\n{written}"


def write(owner: str, section: str) -> None:
    """Write the owner's section."""
    PAGE.write_text(put(PAGE.read_text(), owner, section))
