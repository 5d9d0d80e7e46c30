"""
Job summary, comment and report look as they did when a person last looked at them.

With `--keep-pictures` the pictures are made again: look at each of them before it is committed.
"""

from pathlib import Path

import pytest
from PIL import Image

from tests.pictures.browser import HERE, Screen, difference, kept, picture, scrolling
from tests.pictures.samples import pages

pytestmark = [pytest.mark.extended, pytest.mark.usefixtures("browser")]
KEPT = HERE / "kept"
PAGES = pages()
# What a person would notice, as styles that a careless change could add.
FAULTS = {
    "another colour": "header { border-color: #d1242f !important } .chain li { border-top-color: #d1242f !important }",
    "an overlap": ".chain { margin-bottom: -4rem !important }",
    "a cut": "main { max-width: 40rem !important; overflow: hidden !important }",
    "text without contrast": "td { color: #d8dee4 !important }",
    "a missing histogram": ".columns { visibility: hidden }",
    "another word": "section:last-of-type h2::after { content: ' to use' }",
}


def taken(name: str, folder: Path, *, style: str = "") -> Image.Image:
    """A page as it is shown now, with a style after its own."""
    page, screen = PAGES[name]
    return picture(page.replace("</style>", f"{style}</style>", 1), screen, folder)


def expected(name: str) -> Image.Image:
    """A page as it was shown when somebody looked at it."""
    with Image.open(KEPT / f"{name}.png") as image:
        return image.convert("RGB")


@pytest.mark.parametrize("name", PAGES)
def test_a_page_looks_as_it_did(name: str, tmp_path: Path, pytestconfig: pytest.Config) -> None:
    """
    Good, failed, unfinished and hostile releases; the report also on a dark screen, on a phone and on paper.
    """
    now = taken(name, tmp_path)
    if pytestconfig.getoption("--keep-pictures"):
        kept(now, KEPT / f"{name}.png")

    assert "" == difference(expected(name), now)


@pytest.mark.parametrize("fault", FAULTS)
def test_a_change_that_a_person_would_notice_is_found(fault: str, tmp_path: Path) -> None:
    """
    The tolerance hides none of these.
    """
    assert difference(expected("report-good"), taken("report-good", tmp_path, style=FAULTS[fault]))


@pytest.mark.parametrize("name", [name for name, (_, screen) in PAGES.items() if not screen.paper])
def test_a_page_needs_no_more_than_its_width(name: str, tmp_path: Path) -> None:
    """
    Nothing is behind the right edge, however long a name is, and no table is cut where its place ends.
    """
    assert [] == scrolling(*PAGES[name], tmp_path)


def test_a_report_fits_on_a_small_phone(tmp_path: Path) -> None:
    """
    The smallest that is common; a page with a table that is wider is found.
    """
    page, _ = PAGES["report-good"]
    wide = page.replace("</style>", "table { min-width: 500px }</style>", 1)

    found = [scrolling(text, Screen(width=320), tmp_path / str(at)) for at, text in enumerate((page, wide))]

    assert ([], True) == (found[0], len(found[1]) > 1)


def test_the_pictures_are_those_of_the_pages_and_stay_small() -> None:
    """
    None is left behind, and a clone is not burdened.
    """
    files = list(KEPT.glob("*.png"))

    assert set(PAGES) == {file.stem for file in files}
    assert sum(file.stat().st_size for file in files) < 1_500_000
