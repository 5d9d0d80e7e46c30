"""What uv is prevented from following in a checkout."""

from collections.abc import Mapping
from pathlib import Path

import pytest

from mlflow_uv.command.errors import BadInput
from mlflow_uv.tools.project.files import read_project
from mlflow_uv.tools.uv.guard import NamesProgram, UvGuard
from mlflow_uv.tools.uv.lock_check import NOWHERE

CORP = "https://corp.example.test"
HELD = {"UV_INDEX_CORP_USERNAME": "robot", "UV_INDEX_CORP_PASSWORD": "secret"}
KEPT = {**HELD, "PATH": "/bin"}


def guarded(folder: Path, text: str, variables: Mapping[str, str]) -> dict[str, str]:
    """The variables that uv gets for a project with these settings."""
    (folder / "pyproject.toml").write_text(f'[project]\nname = "wine"\n{text}')
    kept = {name: value for name, value in variables.items() if not name.startswith("MLFLOW_")}
    return UvGuard(variables=variables).guarded(read_project(folder), kept)


def index(url: str, name: str = "corp") -> str:
    """A table that declares an index."""
    return f'[[tool.uv.index]]\nname = "{name}"\nurl = "{url}"\n'


@pytest.mark.parametrize(
    "text",
    ["3.12", "3", "312", ">=3.11,<3.14", "cpython", "cpython@3.12", "cpython-3.12.1-linux-x86_64-gnu", "pypy@3.10",
     "3.13t", "3.14.0rc1", "cp312", "any", "my-env-3.12", "# a comment", ""],
)  # fmt: skip
def test_a_version_is_no_path(tmp_path: Path, text: str) -> None:
    """
    Neither is the name of an environment, as pyenv's users write it, where nothing here is called so.
    """
    (tmp_path / ".python-version").write_text(f"{text}\n")

    UvGuard(variables={}).require_version(tmp_path)


@pytest.mark.parametrize("text", ["./python", "bin/python", "/usr/bin/python3", "..", "tools", "~/python", ".\\python"])
@pytest.mark.parametrize("place", ["project", "repository"])
def test_a_path_is_no_version(tmp_path: Path, text: str, place: str) -> None:
    """
    In the project or above it in the repository; the message has the line.
    """
    project = tmp_path / "repository/project"
    (project / "tools").mkdir(parents=True)
    (tmp_path / "repository/.git").mkdir()
    (project.parent / "tools").mkdir()
    ({"project": project, "repository": project.parent}[place] / ".python-version").write_text(f"\n{text}\n")

    with pytest.raises(NamesProgram) as caught:
        UvGuard(variables={}).require_version(project)

    assert (2, True) == (caught.value.line, f"it says `{text}`" in str(caught.value))


def test_a_pin_above_the_repository_is_the_machines(tmp_path: Path) -> None:
    """
    Nobody puts it there by a commit.
    """
    (tmp_path / ".python-version").write_text("/opt/python/bin/python3\n")
    (tmp_path / "repository/.git").mkdir(parents=True)

    UvGuard(variables={}).require_version(tmp_path / "repository")


@pytest.mark.parametrize(("tracked", "led"), [(True, {"UV_PROJECT_ENVIRONMENT": NOWHERE}), (False, {})])
def test_uv_is_led_away_from_an_environment_that_came_with_the_checkout(
    tmp_path: Path, tracked: bool, led: dict[str, str]
) -> None:
    """
    One that was made here stays what uv looks at.
    """
    (tmp_path / ".venv").mkdir()
    (tmp_path / "pyproject.toml").write_text('[project]\nname = "wine"\n')

    assert led == UvGuard(variables={}, tracked=lambda _path: tracked).environment_override(read_project(tmp_path))


@pytest.mark.parametrize(
    ("text", "variables", "left"),
    [
        (index(f"{CORP}/simple"), {}, True),
        (index("https://evil.test"), {}, True),
        (index(f"{CORP}/simple"), {"MLFLOW_UV_TRUSTED_INDEXES": CORP}, True),
        (index(f"{CORP}:443/other"), {"MLFLOW_UV_TRUSTED_INDEXES": f"https://a.test,{CORP}/simple"}, True),
        (index("http://corp.example.test/simple"), {"MLFLOW_UV_TRUSTED_INDEXES": CORP}, False),
        (index("https://evil.test"), {"MLFLOW_UV_TRUSTED_INDEXES": CORP}, False),
        (index(CORP) + index("https://evil.test"), {"MLFLOW_UV_TRUSTED_INDEXES": CORP}, False),
        (index("https://evil.test", "CORP"), {"MLFLOW_UV_TRUSTED_INDEXES": CORP}, False),
        ("", {"MLFLOW_UV_TRUSTED_INDEXES": CORP}, False),
        ("", {"MLFLOW_UV_TRUSTED_INDEXES": CORP, "UV_INDEX": f"corp={CORP}/simple"}, True),
        (index("https://evil.test"), {"MLFLOW_UV_TRUSTED_INDEXES": CORP, "UV_INDEX": f"corp={CORP}/simple"}, False),
    ],
)
def test_the_credentials_of_an_index_are_handed_on_by_its_address(
    tmp_path: Path, text: str, variables: dict[str, str], left: bool
) -> None:
    """
    Where the job lists addresses: of every index of that name in the checkout, or of the one that the job names.
    """
    found = guarded(tmp_path, text, {**KEPT, **variables})

    assert (left, "/bin") == (HELD.items() <= found.items(), found["PATH"])


def test_a_list_of_no_addresses_is_refused(tmp_path: Path) -> None:
    """
    It would withhold everything, or nothing, without a word.
    """
    with pytest.raises(BadInput, match="it is not the address of an index"):
        guarded(tmp_path, "", {**KEPT, "MLFLOW_UV_TRUSTED_INDEXES": "corp"})


@pytest.mark.parametrize(("url", "left"), [(f"{CORP}/simple", True), ("https://evil.test/simple", False)])
def test_the_indexes_of_a_model_are_held_to_the_same_list(url: str, left: bool) -> None:
    """
    A model's own files say where its packages are: whoever made it wrote them.
    """
    guard = UvGuard(variables={**KEPT, "MLFLOW_UV_TRUSTED_INDEXES": CORP})

    found = guard.with_indexes(
        KEPT, {"UV_INDEX": f"corp={url} https://other.test", "UV_DEFAULT_INDEX": "https://third.test"}
    )

    assert (left, True) == (HELD.items() <= found.items(), found["UV_INDEX"].startswith("corp="))


def test_what_the_job_says_itself_goes_before_the_checkout(tmp_path: Path) -> None:
    """
    Nothing is overruled, and nothing is said of it.
    """
    (tmp_path / "uv.toml").write_text('cache-dir = "x"\npython-downloads-json-url = "http://x"\n')
    variables = {"UV_CACHE_DIR": "/cache", "UV_PYTHON_DOWNLOADS_JSON_URL": "https://mine.test"}

    found = guarded(tmp_path, "", variables)

    assert variables == found
    assert () == UvGuard(variables=variables).ignored_settings(read_project(tmp_path))
