"""Tests how the servers of a model are started."""

from pathlib import Path
from typing import cast

import pytest

from mlflow_uv.command.host import Host
from mlflow_uv.core.security.serve_env import ServeVariables
from mlflow_uv.tools.engines.engine import ServerSettings
from mlflow_uv.tools.mlflow.model_server import Servers
from mlflow_uv.tools.system.process import Command, Running
from tests.unit.tools.conftest import FakeRunner


class Starting(FakeRunner):
    """Starts nothing, and keeps the command."""

    def start(self, command: Command) -> Running:
        """See FakeRunner."""
        self.asked.append(command)
        return cast("Running", self)


@pytest.mark.parametrize("cached", [True, False], ids=["in the cache", "beside it"])
def test_the_server_of_mlflow_gets_the_model_its_variables_and_no_credentials(tmp_path: Path, *, cached: bool) -> None:
    """
    On loopback, with one worker, and the programs of its environment first on PATH.
    """
    variables = {"PATH": "/usr/bin", "GITHUB_TOKEN": "canary-1", "MLFLOW_TRACKING_TOKEN": "canary-2"}
    host = Host.of({**variables, "MLFLOW_UV_HOME": str(tmp_path)}, folder=tmp_path, python=Path("python"))
    python = tmp_path / ("cache/serving" if cached else "scratch") / "bin" / "python"
    settings = ServerSettings(serve_env=ServeVariables({"MODEL_KEY": "canary-of-the-model"}))
    runner = Starting()

    Servers(runner, host=host).serve_by_mlflow(python, Path("/w/model"), settings)

    (command,) = runner.asked
    argv = list(command.argv)
    port = argv.pop(argv.index("--port") + 1)
    prefix = f"pycache_prefix={tmp_path / 'cache' / 'bytecode'}"
    assert [
        str(python), "-I", *(["-X", prefix] if cached else []), "-m", "mlflow", "models", "serve", "--model-uri",
        "/w/model", "--env-manager", "local", "--host", "127.0.0.1", "--port", "--workers", "1",
    ] == argv  # fmt: skip
    assert 1024 <= int(port) <= 65535
    assert {"MODEL_KEY": "canary-of-the-model", "PATH": f"{python.parent}:/usr/bin"} == {
        name: command.variables[name] for name in ("MODEL_KEY", "PATH")
    }
    assert set() == {"canary-1", "canary-2"} & set(command.variables.values())
    assert ("PYTHONPYCACHEPREFIX" in command.variables, command.foreign, "canary-of-the-model" in command.secrets) == (
        cached, True, True,
    )  # fmt: skip


@pytest.mark.parametrize("cached", [True, False], ids=["in the cache", "beside it"])
def test_our_server_keeps_its_bytecode_where_its_next_start_reads_it(tmp_path: Path, *, cached: bool) -> None:
    """
    Without it, every start compiles MLflow and the model's packages, which takes ten seconds for scikit-learn.
    """
    host = Host.of({"MLFLOW_UV_HOME": str(tmp_path)}, folder=tmp_path, python=Path("python"))
    python = tmp_path / ("cache/serving" if cached else "scratch") / "bin" / "python"
    runner = Starting()

    Servers(runner, host=host).serve(python, Path("/w/model"), ServerSettings(serve_env=ServeVariables({})))

    (command,) = runner.asked
    flags = ["-X", f"pycache_prefix={tmp_path / 'cache' / 'bytecode'}"] if cached else []
    assert [str(python), "-I", *flags] == list(command.argv[:-1])
    assert ("PYTHONPYCACHEPREFIX" in command.variables, "/w/model") == (cached, command.variables["MLFLOW_UV_MODEL"])
