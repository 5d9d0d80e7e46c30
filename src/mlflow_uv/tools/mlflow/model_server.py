"""Serves a model without a container engine: runs the same server as a process of the model's environment."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from ...command.errors import ToolFailed
from ...command.host import Host
from ...core.security.child_environment import for_server
from ..engines.engine import ServerSettings
from ..system.process import Command, Runner, Running
from .bytecode import bytecode_of
from .model_requests import LOAD, LoadPlan, ModelReply, ModelRequest, send

SERVING = Path(__file__).parents[2] / "serving"
SLACK_S = 30.0  # time to start a program on a busy host


class ServerProcess:
    """A model server in a process; see engine.ServingContainer."""

    def __init__(self, running: Running, port: int, measure: Callable[[str, float], str]) -> None:
        self._running = running
        self._port = port
        self._measure = measure

    def send(self, request: ModelRequest) -> ModelReply | None:
        """See ServingContainer."""
        return send(request, port=self._port)

    def send_all(self, requests: Sequence[ModelRequest]) -> tuple[ModelReply | None, ...]:
        """See ServingContainer."""
        replies: list[ModelReply | None] = []
        for request in requests:
            replies.append(self.send(request))
            if replies[-1] is None:
                break
        return (*replies, *(None,) * (len(requests) - len(replies)))

    def measure(self, plan: LoadPlan) -> str:
        """See StartedServer."""
        return self._measure(plan.message(port=self._port, root=self._running.pid), plan.longest_s + SLACK_S)

    def exceeded_memory(self) -> bool:
        """See StartedServer; a process has no limit."""
        return False

    def code(self) -> int | None:
        """See ServingContainer."""
        return self._running.code()

    def log(self) -> str:
        """See ServingContainer."""
        return self._running.log()

    def stop(self) -> None:
        """See ServingContainer."""
        self._running.stop()


class Servers:
    """Starts model servers as processes."""

    def __init__(self, runner: Runner, *, host: Host) -> None:
        self._runner = runner
        self._host = host
        self._variables = for_server(host.variables).variables

    def serve(self, python: Path, model: Path, given: ServerSettings) -> ServerProcess:
        """Start the server on a free port of loopback. Raises ToolMissing."""
        port = _free_port()
        settings = {"MLFLOW_UV_MODEL": str(model), "HOST": "127.0.0.1", "PORT": str(port), "WORKERS": "1"}
        bytecode = bytecode_of(python, self._host)
        argv = (str(python), "-I", *bytecode.flags, str(SERVING))
        variables = {**self._variables, **given.serve_env.variables, **given.settings, **settings}
        variables |= bytecode.variables
        return self._started(argv, model.parent, variables, given, port)

    def serve_by_mlflow(self, python: Path, model: Path, given: ServerSettings) -> ServerProcess:
        """Start MLflow's own server (`mlflow models serve`) on a free port of loopback. Raises ToolMissing."""
        port = _free_port()
        bytecode = bytecode_of(python, self._host)
        argv = (
            str(python), "-I", *bytecode.flags, "-m", "mlflow", "models", "serve", "--model-uri", str(model),
            "--env-manager", "local", "--host", "127.0.0.1", "--port", str(port), "--workers", "1",
        )  # fmt: skip
        # It starts uvicorn by name.
        path = f"{python.parent}:{self._variables.get('PATH', '')}"
        variables = {**self._variables, **given.serve_env.variables, "PATH": path, "MLFLOW_DISABLE_TELEMETRY": "true"}
        variables |= bytecode.variables
        return self._started(argv, model.parent, variables, given, port)

    def _started(
        self, argv: tuple[str, ...], folder: Path, variables: Mapping[str, str], given: ServerSettings, port: int
    ) -> ServerProcess:
        command = Command(
            argv=argv,
            folder=folder,
            variables=variables,
            foreign=True,
            own_temporary=True,
            secrets=given.serve_env.secrets,
        )
        return ServerProcess(self._runner.start(command), port, self._measured)

    def _measured(self, message: str, timeout_s: float) -> str:
        argv = (str(self._host.python), "-I", "-S", str(LOAD))
        command = Command(argv=argv, folder=LOAD.parent, variables=self._variables, stdin=message)
        try:
            done = self._runner.run(replace(command, verbatim=True, timeout_s=timeout_s))
        except ToolFailed:
            return ""
        return done.stdout if done.code == 0 else ""

    def inventory(self, python: Path) -> str:
        """The inventory of an environment, as serving/inventory.py prints it."""
        argv = (str(python), "-I", "-B", str(SERVING / "inventory.py"))
        return self._runner.run(
            Command(argv=argv, folder=python.parent, variables=self._variables, verbatim=True, foreign=True)
        ).stdout


def _free_port() -> int:
    import socket  # noqa: PLC0415  # most steps start no server

    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
