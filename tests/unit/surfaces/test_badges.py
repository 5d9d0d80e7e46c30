"""The badges of the README are true."""

import tomllib
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest
import yaml

from mlflow_uv.surfaces import badges
from mlflow_uv.surfaces.phrasing import OWNER

ROOT = Path(__file__).resolve().parents[3]


def test_the_readme_has_the_badges_below_its_title() -> None:
    """
    They are what `surfaces/badges.py` writes, with the one owner.
    """
    text = (ROOT / "README.md").read_text()

    assert f"\n\n<!-- badges -->\n{badges.line()}<!-- /badges -->\n\n" in text[:900]
    assert f"(https://github.com/{OWNER}/actions/workflows/ci.yml)" in badges.line()


def test_a_badge_says_what_is_tested_and_declared() -> None:
    """
    The Pythons are those of CI, the first is the lowest that the package takes, and the licence is the package's.
    """
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    workflow = yaml.safe_load((ROOT / ".github/workflows/ci.yml").read_text())

    assert list(badges.PYTHONS) == workflow["jobs"]["test"]["strategy"]["matrix"]["python"]
    assert (f">={badges.PYTHONS[0]}", badges.LICENCE) == (project["requires-python"], project["license"])
    assert "Apache License\n                           Version 2.0" in (ROOT / "LICENSE").read_text()


@pytest.mark.parametrize(
    ("name", "said"),
    [("python", ["python", "3.11 – 3.14"]), ("license", ["license", "Apache-2.0"])],
)
def test_a_picture_says_it(name: str, said: list[str]) -> None:
    """
    It is the file in the repository, and XML with the two texts.
    """
    text = badges.pictures()[f"docs/badges/{name}.svg"]

    found = [each.text for each in ET.fromstring(text).iter("{http://www.w3.org/2000/svg}text")]

    assert (said, text) == (found, (ROOT / f"docs/badges/{name}.svg").read_text())
