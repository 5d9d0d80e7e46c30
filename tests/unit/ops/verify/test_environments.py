"""Tests which environments of a model are created, and why one cannot be."""

import json
from collections.abc import Mapping
from contextlib import nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from mlflow_uv.command.errors import ToolFailed
from mlflow_uv.core.model import model_files
from mlflow_uv.ops.lineage.registry_client import RegistryClient
from mlflow_uv.ops.verify.environments import EnvironmentSource, ModelEnvironment, ModelEnvironments
from mlflow_uv.tools.mlflow.model_commands import ModelCommands, PyenvPython
from mlflow_uv.tools.system.process import Completed
from tests.environment_folders import folders_in

LOCKED, UV, VIRTUALENV, CONDA, SPARK = EnvironmentSource
DONE = Completed(code=0, stdout="", stderr="")


@dataclass
class Fakes:
    """A machine with some programs, whose installer and MLflow do what a test says."""

    folder: Path
    completed: Completed = DONE
    creates: bool = True
    path: str = ""
    pyenv: PyenvPython = field(default_factory=lambda: PyenvPython(version="3.12.9", installed=True))
    installed: str = "1.17.0"
    install_fails: bool = False
    late: bool = False
    calls: list[Any] = field(default_factory=list)

    def program(self, name: str) -> None:
        """Put a program on PATH."""
        path = self.folder / "bin" / name
        path.parent.mkdir(exist_ok=True)
        path.write_text("#!/bin/sh\n")
        path.chmod(0o755)

    def environments(self) -> ModelEnvironments:
        """The environments of a model that needs six."""
        model = self.folder / "model"
        (model / model_files.FOLDER).mkdir(parents=True)
        (model / model_files.HASHED).write_text("six==1.17.0 \\\n    --hash=sha256:00\n")
        (model / model_files.PYTHON).write_text("3.12.1\n")
        tools = SimpleNamespace(
            environments=SimpleNamespace(serving=lambda _key: folders_in(self.folder)("locked")),
            uv=SimpleNamespace(install=self._install, as_installer=self._as_installer),
            servers=SimpleNamespace(inventory=self._inventory),
            console=SimpleNamespace(foreign=print, group=nullcontext),
            host=SimpleNamespace(variables={"PATH": self.path or str(self.folder / "bin")}),
            mlflow=SimpleNamespace(describe_environment=lambda _python: SimpleNamespace(python="3.12.9")),
        )
        client = SimpleNamespace(python=Path("python"))
        return ModelEnvironments(
            registry=cast("RegistryClient", SimpleNamespace(tools=tools, project=None, client=client)),
            model=model,
            scratch=self.folder / "scratch",
            commands=cast("ModelCommands", self),
        )

    def prepare_environment(
        self, python: Path, _model: Path, *, manager: str, root: Path, variables: Mapping[str, str]
    ) -> tuple[Path | None, Completed]:
        """See ModelCommands."""
        self.calls.append((manager, python, root, dict(variables)))
        if self.late:
            raise ToolFailed(what="`python` did not end within 9 s", why="it was stopped")
        return (root / "python" if self.creates else None), self.completed

    def newest_pyenv_python(self, pyenv: str, minor: str) -> PyenvPython:
        """See ModelCommands."""
        self.calls.append((pyenv, minor))
        return self.pyenv

    def _install(self, _requirements: Path, folder: Path, **_: Any) -> Path:
        self.calls.append("install")
        if self.install_fails:
            raise ToolFailed(what="`uv pip install` failed", why="no wheel of six", fix="mlflow-uv check-targets")
        (folder / "bin").mkdir(parents=True)
        (folder / "bin" / "python").touch()
        return folder / "bin" / "python"

    def _as_installer(self, folder: Path, _indexes: Mapping[str, str]) -> dict[str, str]:
        return {"PATH": str(folder)}

    def _inventory(self, _python: Path) -> str:
        contents = {"python": "3.12.9", "marker_environment": {}, "elsewhere": [], "model": []}
        return json.dumps({**contents, "installed": [("six", self.installed)]})


@pytest.fixture
def fakes(tmp_path: Path) -> Fakes:
    """A machine without conda and pyenv, where everything works."""
    return Fakes(folder=tmp_path)


def test_an_environment_is_created_once_and_by_the_mlflow_of_the_model(fakes: Fakes) -> None:
    """
    The env manager runs in the locked environment, with our uv; a second call creates nothing.
    """
    environments = fakes.environments()

    found = [environments.environment(source) for source in (UV, UV, LOCKED)]

    place = fakes.folder / "scratch" / "uv"
    locked = fakes.folder / "locked" / "bin" / "python"
    assert [place / "environments" / "python"] * 2 + [locked] == [environment.python for environment in found]
    assert ["install", ("uv", locked, place / "environments", {"PATH": str(place / "bin")})] == fakes.calls


@pytest.mark.parametrize(
    ("source", "why", "fix"),
    [
        (CONDA, "conda is not installed", "install Miniforge"),
        (SPARK, "Java is not installed, which Spark runs on", "apt-get install default-jre-headless"),
        (VIRTUALENV, "pyenv is not installed, with which MLflow finds the Python of a virtualenv", "install pyenv"),
    ],
)
def test_a_program_that_is_missing_makes_an_environment_unavailable(
    fakes: Fakes, source: EnvironmentSource, why: str, fix: str
) -> None:
    """
    Nothing is known about the model then, and MLflow is not called.
    """
    found = fakes.environments().environment(source)

    assert ModelEnvironment(why=why, fix=fix, unavailable=True) == found
    assert ["install"] == fakes.calls


@pytest.mark.parametrize("path", [".", "bin", "/nowhere:"])
def test_a_program_of_the_current_folder_is_not_started(
    fakes: Fakes, monkeypatch: pytest.MonkeyPatch, path: str
) -> None:
    """
    An empty or relative entry of PATH leads into a checkout that is not trusted.
    """
    fakes.program("pyenv")
    fakes.path = path
    monkeypatch.chdir(fakes.folder if path == "bin" else fakes.folder / "bin")

    found = fakes.environments().environment(VIRTUALENV)

    assert (True, "install pyenv", ["install"]) == (found.unavailable, found.fix, fakes.calls)


@pytest.mark.parametrize(
    ("newest", "named"), [("3.12.13", "3.12.13"), ("", "3.12")], ids=["not installed", "not known"]
)
def test_a_python_that_mlflow_would_compile_makes_virtualenv_unavailable(fakes: Fakes, newest: str, named: str) -> None:
    """
    The fix names the patch version that MLflow takes, or the minor version if pyenv knows none.
    """
    fakes.program("pyenv")
    fakes.pyenv = PyenvPython(version=newest, installed=False)

    found = fakes.environments().environment(VIRTUALENV)

    why = f"pyenv has no Python {named}, and MLflow would compile it"
    assert ModelEnvironment(why=why, fix=f"pyenv install {named}", unavailable=True) == found
    assert ["install", (str(fakes.folder / "bin" / "pyenv"), "3.12")] == fakes.calls


@pytest.mark.parametrize(("source", "program"), [(CONDA, "conda"), (VIRTUALENV, "pyenv")])
def test_with_its_program_an_env_manager_is_called(fakes: Fakes, source: EnvironmentSource, program: str) -> None:
    """
    By its name, in a folder of its own.
    """
    fakes.program(program)

    found = fakes.environments().environment(source)

    assert ModelEnvironment(python=fakes.folder / "scratch" / source.value / "environments" / "python") == found
    assert source.value == fakes.calls[-1][0]


@pytest.mark.parametrize(
    ("stdout", "stderr", "reason"),
    [
        ("", "INFO mlflow: x\nerror: Failed to fetch six\nException: uv ended", "error: Failed to fetch six"),
        ("", "Using Python 3.12\n  × No solution found\n  ╰─▶ Because six\nException: x", "× No solution found"),
        ("ERROR: No matching distribution\n", "Traceback\nException: x", "ERROR: No matching distribution"),
        ("", "CondaError: no\nException: x", "CondaError: no"),
        ("", "ResolvePackageNotFound:\n  - python=3.99\nException: x", "ResolvePackageNotFound:"),
        ("", "Traceback (most recent call last)\nShellCommandException: x\n", "ShellCommandException: x"),
        ("", "", "it printed nothing"),
    ],
    ids=["uv", "uv's resolver", "pip", "conda", "conda's resolver", "MLflow", "nothing"],
)
def test_the_reason_of_a_failed_installation_is_the_line_of_the_installer(
    fakes: Fakes, stdout: str, stderr: str, reason: str
) -> None:
    """
    MLflow's traceback says only that a command failed.
    """
    fakes.completed = Completed(code=1, stdout=stdout, stderr=stderr)

    found = fakes.environments().environment(UV)

    assert ModelEnvironment(why=f"`mlflow models prepare-env --env-manager uv`: {reason}") == found


def test_a_command_that_succeeds_without_an_interpreter_failed(fakes: Fakes) -> None:
    """
    There is nothing to serve the model with, and this machine lacks nothing.
    """
    fakes.creates = False

    found = fakes.environments().environment(UV)

    assert (None, False) == (found.python, found.unavailable)
    assert "`mlflow models prepare-env --env-manager uv`: it printed nothing" == found.why


def test_a_command_that_takes_too_long_failed(fakes: Fakes) -> None:
    """
    With the reason of the runner, and for this environment only.
    """
    fakes.late = True
    environments = fakes.environments()

    found = environments.environment(UV)

    assert ModelEnvironment(why="`python` did not end within 9 s: it was stopped") == found
    assert environments.environment(LOCKED).python is not None


@pytest.mark.parametrize("source", EnvironmentSource)
def test_without_the_locked_environment_there_is_none(fakes: Fakes, source: EnvironmentSource) -> None:
    """
    MLflow is taken from it; the others have its reason and fix, and it is tried once.
    """
    fakes.install_fails = True
    environments = fakes.environments()

    found = [environments.environment(each) for each in (source, LOCKED, UV, CONDA)]

    why = "`uv pip install` failed: no wheel of six"
    assert [ModelEnvironment(why=why, fix="mlflow-uv check-targets")] * 4 == found
    assert ["install"] == fakes.calls


def test_an_environment_with_other_packages_than_the_lock_is_none(fakes: Fakes) -> None:
    """
    Predictions of it would say nothing about the model.
    """
    fakes.installed = "1.16.0"

    found = fakes.environments().environment(LOCKED)

    assert (None, False, True) == (found.python, found.unavailable, "six" in found.why and "1.16.0" in found.why)
