"""
The pictures in the documents show a real release.

`--picture-of report.html --picture-of comment.md` makes `docs/report.png` and `docs/comment.png` of what `report` and
`compare-locks --markdown-file` wrote: look at each before it is committed.
"""

import re
from pathlib import Path

import pytest
from PIL import Image

from tests.house.files import ROOT
from tests.pictures.browser import Screen, kept, picture
from tests.pictures.samples import page_of_markdown

NAMES = ("comment", "report", "summary")
LARGEST = 150_000  # bytes
TALLEST = 925  # pixels; the rest of a long page is left out


@pytest.mark.parametrize("name", NAMES)
def test_a_picture_stays_small(name: str) -> None:
    """
    A clone is not burdened, and a page with it loads quickly.
    """
    with Image.open(ROOT / f"docs/{name}.png") as image:
        assert (True, True) == (image.width <= 1_100, (ROOT / f"docs/{name}.png").stat().st_size < LARGEST)


@pytest.mark.extended
@pytest.mark.usefixtures("browser")
def test_pages_that_are_given_are_pictured(pytestconfig: pytest.Config, tmp_path: Path) -> None:
    """
    A registry on this machine is shown with the name of GitHub's.
    """
    for path in map(Path, pytestconfig.getoption("--picture-of")):
        assert path.stem in NAMES
        text = re.sub(r"\b127\.0\.0\.1:\d+/", "ghcr.io/", path.read_text())
        page = text if path.suffix == ".html" else page_of_markdown(text)
        taken = picture(page, Screen(), tmp_path / path.stem)
        kept(taken.crop((0, 0, taken.width, min(taken.height, TALLEST))), ROOT / f"docs/{path.stem}.png")
