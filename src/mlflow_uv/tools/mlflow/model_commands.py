"""Runs MLflow's own commands for a model folder: `mlflow models prepare-env` and `mlflow models predict`."""

import re
from collections.abc import Callable, Mapping
from pathlib import Path

from ...command.host import Host
from ...core.security.child_environment import for_model
from ...core.security.serve_env import ServeVariables
from ...payloads.messages.lazy_dataclass import lazy_dataclass
from ..system.process import Command, Completed, Runner
from .bytecode import bytecode_of

# Of an environment that MLflow creates, below MLFLOW_ENV_ROOT (mlflow/utils/virtualenv.py).
_INTERPRETER = "mlflow-*/bin/python"
_QUIET = {"MLFLOW_DISABLE_TELEMETRY": "true", "NO_COLOR": "1"}


@lazy_dataclass
class PyenvPython:
    """The newest patch version of a minor version that pyenv knows (empty if none), and whether it is installed."""

    version: str
    installed: bool


@lazy_dataclass
class ModelCommands:
    """MLflow's commands about a model, run by an interpreter that has MLflow, for at most `timeout_s` seconds each."""

    runner: Runner
    host: Host
    on_line: Callable[[str], None]
    timeout_s: float

    def prepare_environment(
        self, python: Path, model: Path, *, manager: str, root: Path, variables: Mapping[str, str]
    ) -> tuple[Path | None, Completed]:
        """
        Create the environment of a model below `root`, with an env manager of MLflow: uv, virtualenv or conda.

        Return its interpreter, None if there is none afterwards, and the result of the command. No code of the model
        runs. Raises ToolFailed after the time limit.
        """
        root.mkdir(parents=True)
        places = {**self._pyenv, "MLFLOW_ENV_ROOT": str(root), "CONDA_ENVS_PATH": str(root)}
        arguments = ("prepare-env", "--model-uri", str(model), "--env-manager", manager)
        completed = self._run(python, arguments, {**variables, **places}, folder=root)
        return next(iter(sorted(root.glob(_INTERPRETER))), None), completed

    def newest_pyenv_python(self, pyenv: str, minor: str) -> PyenvPython:
        """
        The Python that MLflow takes for a virtualenv: the newest patch version in `pyenv install --list`.

        MLflow installs it by `pyenv install --skip-existing` (mlflow/utils/virtualenv.py).
        """

        def printed(*arguments: str) -> str:
            variables = {**for_model(self.host.variables).variables, **self._pyenv}
            command = Command(argv=(pyenv, *arguments), folder=Path("/"), variables=variables, timeout_s=60)
            return self.runner.run(command).stdout

        known = [line.strip() for line in printed("install", "--list").splitlines()]
        patches = [int(line.rpartition(".")[2]) for line in known if re.fullmatch(rf"{re.escape(minor)}\.\d+", line)]
        version = f"{minor}.{max(patches)}" if patches else ""
        return PyenvPython(version=version, installed=version in printed("versions", "--bare").split())

    def predict(
        self, python: Path, model: Path, *, request: Path, response: Path, serve_env: ServeVariables
    ) -> Completed:
        """
        Write the predictions for a JSON request to a file, as `mlflow models predict` in the environment of `python`.

        It runs the model's code, with the variables in `serve_env` and without credentials or a store. Raises
        ToolFailed after the time limit.
        """
        store = {"MLFLOW_TRACKING_URI": f"sqlite:///{response.with_suffix('.db')}"}
        variables = {**for_model(self.host.variables).variables, **store, **serve_env.variables}
        arguments = (
            "predict", "--model-uri", str(model), "--input-path", str(request), "--content-type", "json",
            "--output-path", str(response), "--env-manager", "local",
        )  # fmt: skip
        return self._run(python, arguments, variables, folder=response.parent, secrets=serve_env.secrets)

    @property
    def _pyenv(self) -> Mapping[str, str]:
        """Where pyenv has its interpreters, if not in the home folder."""
        return {name: value for name, value in self.host.variables.items() if name == "PYENV_ROOT"}

    def _run(
        self,
        python: Path,
        arguments: tuple[str, ...],
        variables: Mapping[str, str],
        *,
        folder: Path,
        secrets: tuple[str, ...] = (),
    ) -> Completed:
        # MLflow starts `python`, which must be the same.
        path = f"{python.parent}:{variables.get('PATH', '')}"
        bytecode = bytecode_of(python, self.host)
        written = {name: value for name, value in variables.items() if name != "PYTHONDONTWRITEBYTECODE"}
        return self.runner.run(
            Command(
                argv=(str(python), "-I", *bytecode.flags, "-m", "mlflow", "models", *arguments),
                folder=folder,
                variables={**written, **bytecode.variables, **_QUIET, "PATH": path},
                timeout_s=self.timeout_s,
                on_line=self.on_line,
                foreign=True,
                own_temporary=True,
                secrets=secrets,
            )
        )
