"""The chart of a benchmark draws exactly the numbers that were measured."""

from typing import Any
from xml.etree import ElementTree as ET

from benchmarks.imaging.chart import PANELS, chart

Numbers = dict[str, Any]
SVG = "{http://www.w3.org/2000/svg}"


def bars(picture: str) -> dict[str, list[float]]:
    """How long the bars of each side are, without those of the legend."""
    found: dict[str, list[float]] = {}
    for bar in list(ET.fromstring(picture).iter(f"{SVG}rect"))[3:]:
        found.setdefault(bar.attrib["class"], []).append(float(bar.attrib["width"]))
    return found


def test_bars_are_as_long_as_their_numbers_are_large(numbers: Numbers) -> None:
    """
    Where less is better, a fifth is a fifth of stock's bar; of requests a second, stock's is the short one.
    """
    found = bars(chart(numbers))

    rounded = [
        [round(ours / stock, 1) for stock, ours in zip(found["stock"], found[side], strict=True)]
        for side in ("locked", "slim")
    ]
    more = [panel.remark == "more is better" for panel in PANELS]
    assert [[5.0 if one else 0.2 for one in more], [10.0 if one else 0.1 for one in more]] == rounded


def test_what_is_missing_has_no_bar(numbers: Numbers) -> None:
    """
    A side that failed is not drawn as one that took no time.
    """
    del numbers["models"]["wine"]["sides"]["stock"]["cold"]

    found = bars(chart(numbers))

    assert (len(PANELS) - 1, len(PANELS)) == (len(found["stock"]), len(found["locked"]))


def test_it_can_be_read_in_the_dark_and_aloud(numbers: Numbers) -> None:
    """
    Other colours where the page is dark, every number in the description, and names that are no markup.
    """
    picture = chart(numbers)

    description = ET.fromstring(picture).findtext(f"{SVG}desc") or ""
    assert "prefers-color-scheme: dark" in picture
    assert "Cold build, Wine & cheese: stock 60 s, locked 12 s, slim 6.0 s." in description
