"""Finding the requirement that an error message of uv is about."""

import pytest

from mlflow_uv.core.freshness.causes import ManifestPlace
from mlflow_uv.core.freshness.uv_reasons import blamed_place

from .workspaces import workspace_of

MANIFEST = """\
[project]
name = "wine"
version = "0.1.0"
dependencies = ["grape>=1"]

[project.optional-dependencies]
a = ["hop"]
"""


@pytest.mark.parametrize(
    ("words", "place"),
    [
        ("Because only hop<=3 is here and wine[a] depends on hop>9, we", ("project", "optional-dependencies", "a", 0)),
        ("your project depends on nothing and your project depends on grape>9.", ("project", "dependencies", 0)),
        ("Because it rains", None),
    ],
)
def test_the_requirement_that_uv_blames_is_found(words: str, place: tuple[str | int, ...] | None) -> None:
    """
    The first of ours that it names.
    """
    found = blamed_place(words, workspace_of(MANIFEST))

    assert (ManifestPlace("pyproject.toml", place) if place else None) == found
