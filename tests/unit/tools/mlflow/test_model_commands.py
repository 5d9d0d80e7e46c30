"""Tests what MLflow's commands for a model are called with, and what is read from their results."""

from pathlib import Path

import pytest

from mlflow_uv.command.host import Host
from mlflow_uv.core.security.serve_env import NO_VARIABLES, ServeVariables
from mlflow_uv.tools.mlflow.model_commands import ModelCommands, PyenvPython
from mlflow_uv.tools.system.process import Command, Completed
from tests.unit.tools.conftest import FakeRunner, completed

CALLER = {
    "PATH": "/usr/bin:relative", "HOME": "/home/me", "HTTPS_PROXY": "http://proxy.test", "GITHUB_TOKEN": "canary-1",
    "AWS_SECRET_ACCESS_KEY": "canary-2", "MLFLOW_TRACKING_URI": "https://mlflow.test",
    "MLFLOW_TRACKING_TOKEN": "canary-3",
}  # fmt: skip
CANARIES = {"canary-1", "canary-2", "canary-3"}
MODEL = Path("/model")
LISTED = (
    "Available versions:\n  2.7.18\n  3.12.8\n  3.12.10\n  3.12.9\n  3.12-dev\n  3.12.0a1\n  pypy3.12-7.3.19\n  3.1.4\n"
)


class Creating(FakeRunner):
    """MLflow's command, which creates an environment."""

    def run(self, command: Command) -> Completed:
        """See FakeRunner."""
        python = Path(command.variables["MLFLOW_ENV_ROOT"]) / "mlflow-0f3a" / "bin" / "python"
        python.parent.mkdir(parents=True)
        python.touch()
        return super().run(command)


def commands(folder: Path, runner: FakeRunner) -> ModelCommands:
    """MLflow's commands on a machine with credentials, 90 seconds for each."""
    host = Host.of({**CALLER, "MLFLOW_UV_HOME": str(folder / "home")}, folder=folder, python=Path("python"))
    return ModelCommands(runner=runner, host=host, on_line=print, timeout_s=90.0)


def test_an_environment_is_created_by_an_env_manager_below_its_own_folder(tmp_path: Path) -> None:
    """
    The interpreter that runs MLflow is first on PATH; the given variables and no others lead to indexes.
    """
    root, runner = tmp_path / "created" / "uv", Creating()

    python, prepared = commands(tmp_path, runner).prepare_environment(
        Path("/env/bin/python"), MODEL, manager="uv", root=root, variables={"PATH": "/uv:/usr/bin", "UV_X": "1"}
    )

    (command,) = runner.asked
    assert (root / "mlflow-0f3a" / "bin" / "python", 0) == (python, prepared.code)
    assert (
        "/env/bin/python", "-I", "-m", "mlflow", "models", "prepare-env", "--model-uri", "/model",
        "--env-manager", "uv",
    ) == command.argv  # fmt: skip
    assert {
        "PATH": "/env/bin:/uv:/usr/bin", "UV_X": "1", "MLFLOW_ENV_ROOT": str(root), "CONDA_ENVS_PATH": str(root),
        "MLFLOW_DISABLE_TELEMETRY": "true", "NO_COLOR": "1",
    } == command.variables  # fmt: skip
    assert (90.0, True, root) == (command.timeout_s, command.foreign, command.folder)


def test_a_command_that_creates_nothing_has_no_interpreter(tmp_path: Path) -> None:
    """
    Its result says why.
    """
    runner = FakeRunner({"prepare-env": completed(stderr="error: no", code=1)})

    python, result = commands(tmp_path, runner).prepare_environment(
        Path("/env/bin/python"), MODEL, manager="conda", root=tmp_path / "conda", variables={}
    )

    assert (None, 1, "error: no") == (python, result.code, result.last_line)


def test_a_prediction_runs_without_credentials_and_without_a_store(tmp_path: Path) -> None:
    """
    The model gets what the machine needs and what is handed to it; the store is a file that nobody has.
    """
    runner = FakeRunner()

    commands(tmp_path, runner).predict(
        Path("/env/bin/python"),
        MODEL,
        request=Path("/w/request-1.json"),
        response=Path("/w/response-1.json"),
        serve_env=ServeVariables({"MODEL_KEY": "canary-of-the-model"}),
    )

    (command,) = runner.asked
    assert (
        "/env/bin/python", "-I", "-m", "mlflow", "models", "predict", "--model-uri", "/model",
        "--input-path", "/w/request-1.json", "--content-type", "json", "--output-path", "/w/response-1.json",
        "--env-manager", "local",
    ) == command.argv  # fmt: skip
    expected = {
        "PATH": "/env/bin:/usr/bin", "HOME": "/home/me", "HTTPS_PROXY": "http://proxy.test",
        "MODEL_KEY": "canary-of-the-model", "MLFLOW_TRACKING_URI": "sqlite:////w/response-1.db",
    }  # fmt: skip
    assert expected == {name: command.variables.get(name) for name in expected}
    assert set() == set(command.variables.values()) & CANARIES
    assert ("canary-of-the-model" in command.secrets, True) == (True, command.foreign)


@pytest.mark.parametrize("cached", [True, False], ids=["in the cache", "beside it"])
def test_bytecode_is_written_where_it_is_kept(tmp_path: Path, *, cached: bool) -> None:
    """
    In the cache for an environment in it, else in the environment; never is it forbidden.
    """
    runner = FakeRunner()
    python = tmp_path / ("home/cache/serving" if cached else "scratch") / "bin" / "python"
    prefix = str(tmp_path / "home" / "cache" / "bytecode")

    commands(tmp_path, runner).predict(
        python, MODEL, request=Path("/w/a"), response=Path("/w/b"), serve_env=NO_VARIABLES
    )

    variables = runner.asked[0].variables
    flags = ("-X", f"pycache_prefix={prefix}") if cached else ()
    assert (str(python), "-I", *flags, "-m") == runner.argv[: 3 + len(flags)]
    assert (prefix if cached else None) == variables.get("PYTHONPYCACHEPREFIX")
    assert "PYTHONDONTWRITEBYTECODE" not in variables


@pytest.mark.parametrize(
    ("minor", "installed", "found"),
    [
        ("3.12", "3.12.10\n3.13.0\n", PyenvPython(version="3.12.10", installed=True)),
        ("3.12", "3.12.9\n3.12.1\n", PyenvPython(version="3.12.10", installed=False)),
        ("3.1", "3.12.10\n", PyenvPython(version="3.1.4", installed=False)),
        ("3.99", "3.12.10\n", PyenvPython(version="", installed=False)),
        ("3.99", "", PyenvPython(version="", installed=False)),
    ],
)
def test_the_python_of_a_virtualenv_is_the_newest_that_pyenv_knows(
    tmp_path: Path, minor: str, installed: str, found: PyenvPython
) -> None:
    """
    By number, among final releases of CPython; an older patch version that is installed does not count.
    """
    runner = FakeRunner({"install --list": completed(LISTED), "versions --bare": completed(installed)})

    newest = commands(tmp_path, runner).newest_pyenv_python("/pyenv/bin/pyenv", minor)

    assert found == newest
    assert [("/pyenv/bin/pyenv", "install", "--list"), ("/pyenv/bin/pyenv", "versions", "--bare")] == [
        command.argv for command in runner.asked
    ]
    assert set() == {value for command in runner.asked for value in command.variables.values()} & CANARIES


def test_pyenv_finds_the_pythons_of_the_caller(tmp_path: Path) -> None:
    """
    With the root that the caller names, as a program that MLflow starts, too.
    """
    runner = FakeRunner()
    host = Host.of({**CALLER, "PYENV_ROOT": "/opt/pyenv"}, folder=tmp_path, python=Path("python"))
    model_commands = ModelCommands(runner=runner, host=host, on_line=print, timeout_s=90.0)

    model_commands.newest_pyenv_python("/opt/pyenv/bin/pyenv", "3.12")
    model_commands.prepare_environment(
        Path("/env/bin/python"), MODEL, manager="virtualenv", root=tmp_path / "virtualenv", variables={}
    )

    assert ["/opt/pyenv"] * 3 == [command.variables.get("PYENV_ROOT") for command in runner.asked]
