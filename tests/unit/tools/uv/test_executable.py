"""The uv of a project is the first one that prints a fitting version."""

from collections.abc import Mapping
from pathlib import Path

import pytest

from mlflow_uv.command.errors import BadProject, ToolMissing
from mlflow_uv.tools.project.files import Project, read_project
from mlflow_uv.tools.uv.executable import Programs, Range, required_version, required_version_place
from tests.unit.tools.conftest import FakeRunner, completed

OWN = Path("/ours/bin/uv")


def printing(versions: Mapping[str, str | None]) -> FakeRunner:
    """Programs that print a version, or cannot be started."""
    return FakeRunner(
        {f"{program} --version": None if text is None else completed(text) for program, text in versions.items()}
    )


def programs(versions: FakeRunner, path: Path, *, named: Path | None = None, own: Path | None = OWN) -> Programs:
    """The programs of a machine with this folder on PATH."""
    return Programs(versions, variables={"PATH": str(path)}, named=named, own=own)


@pytest.fixture
def on_path(tmp_path: Path) -> str:
    """A uv on PATH."""
    program = tmp_path / "uv"
    program.touch(mode=0o755)
    return str(program)


@pytest.mark.parametrize(
    ("path_version", "own_version", "required", "chosen"),
    [
        ("uv 0.9.1", "uv 0.9.5", None, "path"),
        ("uv 0.9.1 (abc 2026-01-01)", "uv 0.9.5", ">=0.9", "path"),
        ("uv 0.9.1", "uv 0.9.5", ">=0.9.3", "own"),
        ("uv 0.10.0a1", "uv 0.9.5", ">=0.9.3", "path"),
        ("pip 23", "uv 0.9.5", None, "own"),
        (None, "uv 0.9.5", None, "own"),
    ],
)
def test_the_uv_on_path_goes_before_ours_if_it_fits(
    on_path: str, path_version: str | None, own_version: str, required: str | None, chosen: str
) -> None:
    """
    A program that prints no version of uv is none.
    """
    versions = printing({on_path: path_version, str(OWN): own_version})

    found = programs(versions, Path(on_path).parent).satisfying(None if required is None else Range(required))

    assert {"path": on_path, "own": str(OWN)}[chosen] == found


def test_each_program_is_asked_for_its_version_once(on_path: str) -> None:
    """
    A process takes longer than the rest of a hook.
    """
    versions = printing({on_path: "uv 0.9.1", str(OWN): "uv 0.9.5"})
    found = programs(versions, Path(on_path).parent)

    for required in (">=0.9.3", ">=0.9.4", ">=0.9"):
        found.satisfying(Range(required))

    assert [on_path, str(OWN)] == [command.argv[0] for command in versions.asked]


@pytest.mark.parametrize(
    ("printed", "required", "what", "why"),
    [
        ({}, None, "uv is not installed", "it is not on PATH"),
        (
            {"path": "uv 0.8.0", "own": "uv 0.9.5"},
            ">=1",
            'no installed uv satisfies `required-version = ">=1"`',
            "{path} is 0.8.0, {own} is 0.9.5",
        ),
        ({"path": "pip 23"}, None, "uv is not installed", "{path} prints no version"),
    ],
    ids=["none", "none that fits", "no uv"],
)
def test_without_a_fitting_uv_each_is_listed(
    on_path: str, printed: dict[str, str], required: str | None, what: str, why: str
) -> None:
    """
    With its version.
    """
    places = {"path": on_path, "own": str(OWN)}
    versions = printing({places[name]: text for name, text in printed.items()})
    folder = Path(on_path).parent if "path" in printed else Path("/nonexistent")
    found = programs(versions, folder, own=OWN if "own" in printed else None)

    with pytest.raises(ToolMissing) as caught:
        found.satisfying(None if required is None else Range(required))

    assert (what, why.format(**places)) == (caught.value.what, caught.value.why)


@pytest.mark.parametrize(
    ("printed", "required", "what"),
    [
        ("uv 0.9.1", None, None),
        ("uv 0.9.1", ">=1", "`/my/uv` is uv 0.9.1"),
        ("pip 23", None, "`/my/uv` is not uv"),
    ],
)
def test_a_named_program_is_the_only_candidate(
    on_path: str, printed: str, required: str | None, what: str | None
) -> None:
    """
    One on PATH does not replace it.
    """
    versions = printing({"/my/uv": printed, on_path: "uv 1.0.0"})
    found = programs(versions, Path(on_path).parent, named=Path("/my/uv"))

    assert "/my/uv" == found.likely
    if what is None:
        assert "/my/uv" == found.satisfying(None)
    else:
        with pytest.raises(ToolMissing) as caught:
            found.satisfying(None if required is None else Range(required))
        assert what == caught.value.what


@pytest.mark.parametrize(
    ("version", "own_version", "newer"),
    [
        ("uv 0.9.9", "uv 0.10.0", True),
        ("uv 0.10.0", "uv 0.10.0", False),
        ("uv 0.10.0", "uv 0.9.9", False),
        ("x", "uv 1.0", False),
    ],
)
def test_ours_is_newer_by_numbers(on_path: str, version: str, own_version: str, newer: bool) -> None:
    """
    Not by letters.
    """
    found = programs(printing({on_path: version, str(OWN): own_version}), Path(on_path).parent)

    assert (str(OWN) if newer else None) == found.newer(on_path)


def test_an_invalid_range_is_the_projects_mistake() -> None:
    """
    It cannot be compared.
    """
    with pytest.raises(BadProject, match="`required-version` is not a version range"):
        Range("about 1").admits("0.9.1")


@pytest.mark.parametrize(
    ("manifest", "uv_toml", "expected", "place"),
    [
        ("[project]\nname = 'wine'\n", None, None, ("pyproject.toml", 1)),
        ("[project]\n[tool.uv]\nrequired-version = '>=0.9'\n", None, Range(">=0.9"), ("pyproject.toml", 3)),
        ("[project]\n[tool.uv]\nrequired-version = '0.9.1'\n", None, Range("==0.9.1"), ("pyproject.toml", 3)),
        ("[tool.uv]\nrequired-version = '>=1'\n", "\nrequired-version = '>=2'\n", Range(">=2"), ("uv.toml", 2)),
    ],
    ids=["none", "range", "version", "uv.toml"],
)
def test_the_required_version_is_read_where_uv_reads_it(
    tmp_path: Path, manifest: str, uv_toml: str | None, expected: Range | None, place: tuple[str, int]
) -> None:
    """
    A bare version is exactly that one; a uv.toml takes precedence.
    """
    (tmp_path / ".git").mkdir()
    (tmp_path / "pyproject.toml").write_text(manifest)
    if uv_toml is not None:
        (tmp_path / "uv.toml").write_text(uv_toml)
    project: Project = read_project(tmp_path)

    path, line = required_version_place(project)

    assert (expected, place) == (required_version(project), (path.name, line))
