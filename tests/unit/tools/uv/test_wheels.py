"""Local packages of a lock become wheels, each source once."""

from pathlib import Path
from typing import Any, cast

import pytest

from mlflow_uv.command.errors import ToolFailed
from mlflow_uv.core.export.requirements import LocalRequirement
from mlflow_uv.tools.project.files import Project
from mlflow_uv.tools.uv.uv import Uv
from mlflow_uv.tools.uv.wheels import build_wheels, same_content, source_of
from tests import projects
from tests.console import KeptConsole


class Backend:
    """Builds a wheel of a folder, and leaves a folder behind in it, as setuptools does."""

    def __init__(self) -> None:
        self.sources: list[str] = []

    def build_wheel(self, _project: Project, source: Path, out: Path) -> None:
        """See Uv."""
        self.sources.append(source.name)
        (source / "build").mkdir()
        projects.wheel(out, source.name, "1.0")


def built(project: Project, *local: LocalRequirement) -> tuple[Any, Backend]:
    """The wheels of these requirements."""
    backend = Backend()
    wheels = build_wheels(project, local, project.root / "out", uv=cast("Uv", backend), console=KeptConsole())
    return wheels, backend


def local(path: str, marker: str = "") -> LocalRequirement:
    """A requirement of the checkout."""
    return LocalRequirement(path=path, marker=marker)


def test_a_source_is_built_once_for_all_its_requirements(project: Project) -> None:
    """
    And is as it was afterwards.
    """
    for name in ("grape", "plum"):
        (project.root / name).mkdir()

    wheels, backend = built(project, local("./grape"), local("plum"), local("./grape", "sys_platform == 'win32'"))

    files = [f"{name}-1.0-py3-none-any.whl" for name in ("grape", "plum", "grape")]
    assert (["grape", "plum"], files) == (backend.sources, [one.wheel.file for one in wheels])
    assert [("grape", "1.0"), False] == [
        (wheels[0].wheel.name, wheels[0].wheel.version),
        (project.root / "grape/build").exists(),
    ]


def test_a_wheel_of_the_checkout_is_copied(project: Project) -> None:
    """
    Nothing is built.
    """
    wheel = projects.wheel(project.root / "wheels", "grape", "2.0")

    (one,), backend = built(project, local("wheels/grape-2.0-py3-none-any.whl"))

    assert ([], wheel.read_bytes()) == (backend.sources, (project.root / "out" / one.wheel.file).read_bytes())


def test_a_wheel_that_is_not_there_is_named(project: Project) -> None:
    """
    With the reason of the system.
    """
    with pytest.raises(ToolFailed, match=r"grape-2\.0-py3-none-any\.whl` cannot be read"):
        built(project, local("wheels/grape-2.0-py3-none-any.whl"))


@pytest.mark.parametrize(
    ("path", "expected"),
    [("./a b", "/w/a b"), ("../x", "/w/../x"), ("file:///opt/a%20b", "/opt/a b"), ("/opt/x", "/opt/x")],
)
def test_a_path_is_that_of_the_lock_or_an_address(path: str, expected: str) -> None:
    """
    uv writes the ones and the others.
    """
    project = Project(folder=Path("/w/member"), root=Path("/w"), manifest={})

    assert Path(expected) == source_of(project, local(path))


def test_wheels_are_compared_by_what_they_install(tmp_path: Path) -> None:
    """
    Bytes may differ by a date; a file that is no wheel, or is not there, is never the same.
    """
    first = projects.wheel(tmp_path / "a", "grape", "1.0", grape="x = 1")
    same = projects.wheel(tmp_path / "b", "grape", "1.0", grape="x = 1")
    other = projects.wheel(tmp_path / "c", "grape", "1.0", grape="x = 2")
    (tmp_path / "broken.whl").write_text("no zip")

    others = (same, other, tmp_path / "broken.whl", tmp_path / "gone.whl")

    assert [True, False, False, False] == [same_content(one, first) for one in others]
