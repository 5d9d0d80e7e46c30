"""Each benchmark replaces its own part of the page and nothing else."""

import json
import subprocess
import sys
from pathlib import Path

from benchmarks.imaging.chart import chart
from benchmarks.page import put

PAGE = """\
# Benchmarks

A word before.

<!-- Written by `uv run benchmarks/one.py --write`. -->
## One

Old.

<!-- End of one.py. -->

A word between.

<!-- Written by `uv run benchmarks/two.py --write`. -->
## Two

<!-- End of two.py. -->
"""


def test_a_section_takes_the_place_of_its_own_last_one_alone() -> None:
    """
    What others wrote, by hand too, stands as it stood.
    """
    section = "\n## One\n\nNew, with a \\1 in it.\n"

    page = put(PAGE, "one.py", section)

    assert PAGE.replace("Old.", "New, with a \\1 in it.") == page


def test_who_writes_for_the_first_time_comes_last() -> None:
    """
    A benchmark without a section gets one at the end, and from then on that is its own.
    """
    page = put(PAGE, "three.py", "## Three")

    again = put(page, "three.py", "## Three")

    third = "<!-- Written by `uv run benchmarks/three.py --write`. -->\n## Three\n\n<!-- End of three.py. -->\n"
    assert (f"{PAGE}\n{third}", page) == (page, again)


def test_page_and_picture_say_what_was_measured(root: Path) -> None:
    """
    Nobody improves a number by hand: what is committed is what the measured numbers come to.
    """
    folder = root / "benchmarks"
    numbers, page, picture = folder / "serving_image.json", root / "docs/benchmarks.md", root / "docs/serving-image.svg"

    words = (sys.executable, folder / "serving_image.py", "--from", numbers)
    section = subprocess.run(words, capture_output=True, text=True, check=True).stdout
    drawn = chart(json.loads(numbers.read_text()))

    written = put(page.read_text(), "serving_image.py", section)
    assert (written, drawn) == (page.read_text(), picture.read_text())
