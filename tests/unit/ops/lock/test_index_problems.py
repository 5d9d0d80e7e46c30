"""Which address in a manifest is no index, and where a package was looked for that nobody has."""

from pathlib import Path

import pytest

from mlflow_uv.core.freshness.causes import Cause, ManifestPlace
from mlflow_uv.core.freshness.declared_requirements import ProjectManifest, Workspace
from mlflow_uv.ops.lock.index_problems import index_faults, not_found

PLACE = ManifestPlace("pyproject.toml", ("tool", "uv", "index", 0, "url"))


def workspace(folder: Path, uv: dict[str, object], *members: ProjectManifest) -> Workspace:
    """A workspace whose root has these settings of uv."""
    root = ProjectManifest(file="pyproject.toml", folder=str(folder), table={"tool": {"uv": uv}})
    return Workspace(root=root, members=(root, *members), neighbours=(), settings=root, options=("tool", "uv"))


@pytest.mark.parametrize(
    ("url", "why"),
    [
        ("https://pypi.test/simple", None), ("http://localhost:8080", None), ("wheels", None), ("file:wheels", None),
        ("${INDEX}/simple", None), ("HTTPS://x", None),
        ("htps://pypi.test", "`htps` is not http, https or file"),
        ("pypi.test/simple", "it is read as a path that does not exist"),
        ("file:///no/such/folder", "it is read as a path that does not exist"),
    ],
)  # fmt: skip
def test_an_address_is_a_url_or_a_path_that_exists(tmp_path: Path, url: str, why: str | None) -> None:
    """
    An address with a variable is uv's to read.
    """
    (tmp_path / "wheels").mkdir()
    url = url.replace("file:wheels", f"file://{tmp_path}/wheels")

    faults = index_faults(workspace(tmp_path, {"index": [{"url": url}]}))

    expected = [] if why is None else [(Cause.INDEX, PLACE, why)]
    assert expected == [(fault.cause, fault.place, fault.why) for fault in faults]


def test_a_password_in_an_address_is_not_repeated(tmp_path: Path) -> None:
    """
    The finding is shown in logs.
    """
    (fault,) = index_faults(workspace(tmp_path, {"index": [{"url": "htps://me:hunter2222@pypi.test"}]}))

    assert "hunter2222" not in fault.what + fault.why


@pytest.mark.parametrize("value", [[1], {"url": 3}, "x", [None], [["a"]], [{"url": []}]])
def test_settings_of_another_shape_are_no_crash(tmp_path: Path, value: object) -> None:
    """
    uv says what is wrong with them.
    """
    assert () == index_faults(workspace(tmp_path, {"index": value}))


WORDS = "Because my-grape was not found in the package registry and wine depends on it"


def test_a_package_is_looked_for_in_the_index_of_its_source(tmp_path: Path) -> None:
    """
    Its name in `tool.uv.sources` may be written in another way.
    """
    indexes = [{"name": "one", "url": "https://one.test"}, {"name": "two", "url": "https://two.test", "explicit": True}]
    settings: dict[str, object] = {"index": indexes, "sources": {"My_Grape": {"index": "two"}}}

    found = not_found(WORDS, workspace(tmp_path, settings))

    assert ("my-grape", ManifestPlace("pyproject.toml", ("tool", "uv", "index", 1, "url"))) == found


def test_any_other_package_is_looked_for_in_the_first_that_is_not_explicit(tmp_path: Path) -> None:
    """
    Without an index there is no place to name.
    """
    indexes = [{"url": "https://one.test", "explicit": True}, {"url": "https://two.test"}]

    found = not_found(WORDS, workspace(tmp_path, {"index": indexes}))

    assert ("my-grape", ManifestPlace("pyproject.toml", ("tool", "uv", "index", 1, "url"))) == found
    assert (None, None) == (
        not_found(WORDS, workspace(tmp_path, {})),
        not_found("x", workspace(tmp_path, {"index": indexes})),
    )
