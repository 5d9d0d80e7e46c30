"""uv's settings outside of a repository: which of them are set aside, and what is written in their place."""

import math
import tomllib
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlflow_uv.tools.project.files import Project, read_project
from mlflow_uv.tools.uv.settings import MachineSettings, SettingsFile, _text, settings_of
from tests import checkout

NAMES = st.text(st.characters(exclude_categories=["Cs"]), max_size=8)
SCALARS = st.booleans() | st.integers(-(2**63), 2**63 - 1) | st.floats(allow_nan=False) | NAMES
VALUES: st.SearchStrategy[Any] = st.recursive(
    SCALARS | st.dates() | st.datetimes() | st.times(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(NAMES, inner, max_size=3),
    max_leaves=6,
)


@given(st.dictionaries(NAMES, VALUES, max_size=4))
def test_settings_are_written_as_they_were_read(table: dict[str, Any]) -> None:
    """
    Every kind of value that TOML has.
    """
    assert table == tomllib.loads(_text([table]))


@pytest.mark.parametrize("number", [math.inf, -math.inf, 1e300, -0.0, 5e-324])
def test_numbers_that_are_written_in_their_own_way_too(number: float) -> None:
    """
    TOML writes infinity as Python does.
    """
    assert number == tomllib.loads(_text([{"x": number}]))["x"]


def test_the_nearest_file_comes_first_and_lists_are_joined() -> None:
    """
    As uv merges them.
    """
    merged = _text(
        [{"offline": True, "find-links": ["/a"]}, {"offline": False, "find-links": ["/b"], "link-mode": "copy"}]
    )

    assert {"offline": True, "find-links": ["/a", "/b"], "link-mode": "copy"} == tomllib.loads(merged)


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """A user's configuration folder."""
    (tmp_path / "config" / "uv").mkdir(parents=True)
    (tmp_path / "config" / "git").mkdir()
    return tmp_path / "config"


@pytest.fixture
def project(tmp_path: Path) -> Project:
    """A project in a repository, below a folder that is in none."""
    folder = tmp_path / "above" / "repository"
    folder.mkdir(parents=True)
    (folder / "pyproject.toml").write_text('[project]\nname = "wine"\nversion = "1"\n')
    checkout.repository(folder)
    return read_project(folder)


def machine(home: Path, **variables: str) -> MachineSettings:
    """The settings of a user with that configuration folder."""
    cache = home.parent / "cache"
    return MachineSettings(
        variables={"XDG_CONFIG_HOME": str(home), **variables}, cache=cache, machine=home.parent / "etc"
    )


def test_settings_of_the_user_that_would_change_a_lock_are_set_aside(home: Path, project: Project) -> None:
    """
    Those of transport stay, paths become absolute, and other programs find their own files.
    """
    (home / "uv" / "uv.toml").write_text('resolution = "lowest"\nfind-links = ["wheels"]\nnative-tls = true\n')

    found = machine(home).overrides(project, modes=True)

    folder = Path(found["XDG_CONFIG_HOME"])
    written = folder / "uv" / "uv.toml"
    assert {"find-links": [str(home / "uv" / "wheels")], "native-tls": True} == tomllib.loads(written.read_text())
    assert ((folder / "git").resolve(), 0o600) == (home / "git", written.stat().st_mode & 0o777)
    assert {home / "uv" / "uv.toml": ("resolution",)} == machine(home).resolution_keys(
        project, modes=True, indexes=False
    )


def test_where_nothing_would_change_a_lock_nothing_is_replaced(home: Path, project: Project) -> None:
    """
    Also where an index is named, unless it is to be left out.
    """
    file = home / "uv" / "uv.toml"
    file.write_text('native-tls = true\nindex-url = "https://mirror.test/simple"\n')

    kept = machine(home).overrides(project, modes=True)
    without = machine(home).overrides(project, modes=True, without=frozenset({str(file)}))

    assert {} == kept
    assert {"native-tls": True} == tomllib.loads(Path(without["XDG_CONFIG_HOME"], "uv", "uv.toml").read_text())


def test_a_file_above_the_repository_is_replaced_as_a_whole(home: Path, project: Project) -> None:
    """
    uv would stop at it; the user's settings are merged below it.
    """
    (project.root.parent / "uv.toml").write_text('prerelease = "allow"\noffline = true\n')
    (home / "uv" / "uv.toml").write_text("native-tls = true\n")

    found = machine(home).overrides(project, modes=True)

    assert {"offline": True, "native-tls": True} == tomllib.loads(Path(found["UV_CONFIG_FILE"]).read_text())


def test_a_file_that_the_caller_names_is_the_only_one(home: Path, project: Project) -> None:
    """
    UV_CONFIG_FILE says which settings count.
    """
    (home / "uv" / "uv.toml").write_text('resolution = "lowest"\n')

    assert {} == machine(home, UV_CONFIG_FILE="/x.toml").overrides(project, modes=True)


def test_a_projects_own_settings_are_not_outside(home: Path, project: Project) -> None:
    """
    They are part of what its lock was made from.
    """
    (project.root / "uv.toml").write_text('resolution = "lowest"\n')

    nearest = settings_of(project.root)

    assert SettingsFile(path=project.root / "uv.toml", keys=(), table={"resolution": "lowest"}) == nearest
    assert {} == machine(home).overrides(project, modes=True)


@pytest.mark.parametrize(
    ("text", "enabled"),
    [('keyring-provider = "subprocess"\n', True), ('keyring-provider = "disabled"\n', False), ("", False)],
)
def test_a_keyring_is_used_where_the_user_enables_it(home: Path, text: str, enabled: bool) -> None:
    """
    A checkout does not, unless its project is asked for.
    """
    (home / "uv" / "uv.toml").write_text(text)

    assert enabled == machine(home).keyring(None)
