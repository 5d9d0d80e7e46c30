"""Watches a running container: its requests are sent from inside, because it may have no network."""

import base64
import json
from collections.abc import Callable, Sequence
from pathlib import Path

from ...command.errors import ToolFailed
from ...core.image.dockerfile import PORT, VENV
from ...core.security.documents import parse_json
from ..mlflow.model_requests import LIMIT, LOAD, LoadPlan, ModelReply, ModelRequest
from ..system.process import Completed

OURS = "mlflow-uv.smoke-test"  # label of every container we start for a test
# Labels of the containers, the network and the volume of a deployment: its name; of a container also its part and what
# it is to run, as JSON.
DEPLOYMENT, PART, FACTS = "mlflow-uv.deployment", "mlflow-uv.deployment-part", "mlflow-uv.deployment-facts"
RUN, CREATING = "mlflow-uv.deployment-run", "mlflow-uv.deployment-creating"
CLIENT = Path(__file__).parents[2] / "installing" / "request.py"
BATCH_TIMEOUTS = 4  # times the timeout of a request that several of them may take together
SLACK_S = 30.0  # time for the engine to start a program in a container on a busy host


class Container:
    """
    A running container; see engine.ServingContainer.

    `command` runs a command of the engine's client, `hide` masks the values of the model's variables in its log, and
    `stopped` is called once it is removed.
    """

    def __init__(
        self,
        command: Callable[..., Completed],
        name: str,
        *,
        hide: Callable[[str], str],
        stopped: Callable[[], None],
    ) -> None:
        self._command = command
        self._stopped = stopped
        self._hide = hide
        self._name = name
        self._final: str | None = None
        self._client = CLIENT.read_text(encoding="utf-8")

    def send(self, request: ModelRequest) -> ModelReply | None:
        """
        See ServingContainer. A client inside the container sends the request to its loopback.

        So the container needs no published port, and the engine may run on another host.
        """
        return self.send_all((request,))[0]

    def send_all(self, requests: Sequence[ModelRequest]) -> tuple[ModelReply | None, ...]:
        """See ServingContainer. One client sends all of them: the engine takes longer to start it than a request."""
        message = json.dumps([_message(request) for request in requests])
        timeout_s = (
            max(request.timeout_s + request.repeat_s for request in requests) * min(len(requests), BATCH_TIMEOUTS)
            + SLACK_S
        )
        argv = ("exec", "--interactive", self._name, f"{VENV}/bin/python", "-I", "-S", "-c", self._client)
        try:
            done = self._command(*argv, stdin=message, verbatim=True, timeout_s=timeout_s)
        except ToolFailed:
            return (None,) * len(requests)
        lines = done.stdout.splitlines() if done.code == 0 else []
        replies = [_reply(line) for line in lines[: len(requests)]]
        return (*replies, *(None,) * (len(requests) - len(replies)))

    def measure(self, plan: LoadPlan) -> str:
        """See StartedServer. The program runs inside, so that it reaches the server and sees its processes."""
        argv = ("exec", "--interactive", self._name, f"{VENV}/bin/python", "-I", "-S", "-c", LOAD.read_text("utf-8"))
        message = plan.message(port=int(PORT), root=1)
        try:
            done = self._command(*argv, stdin=message, verbatim=True, timeout_s=plan.longest_s + SLACK_S)
        except ToolFailed:
            return ""
        return done.stdout if done.code == 0 else ""

    def exceeded_memory(self) -> bool:
        """See StartedServer."""
        done = self._command("inspect", "--format", "{{.State.OOMKilled}}", self._name)
        return done.stdout.strip() == "true"

    def code(self) -> int | None:
        """See ServingContainer."""
        done = self._command("inspect", "--format", "{{.State.Running}} {{.State.ExitCode}}", self._name)
        running, _, code = done.stdout.strip().partition(" ")
        return None if running == "true" else int(code or 1)

    def log(self) -> str:
        """See ServingContainer."""
        if self._final is not None:
            return self._final
        done = self._command("logs", self._name)
        return self._hide(done.stdout + done.stderr)

    def stop(self) -> None:
        """See ServingContainer."""
        if self._final is None:
            self._final = self.log()
            self._command("rm", "--force", "--volumes", self._name)
            self._stopped()


def _message(request: ModelRequest) -> dict[str, object]:
    body = None if request.body is None else base64.b64encode(request.body).decode()
    message = {"port": PORT, "method": request.method, "path": request.path, "body": body}
    message["content_type"] = request.content_type
    return {**message, "timeout_s": request.timeout_s, "repeat_s": request.repeat_s, "limit": LIMIT}


def _reply(text: str) -> ModelReply | None:
    """The response that the client printed, None if it is malformed; the model may have written to the output."""
    try:
        answer = parse_json(text)
        if answer is None:
            return None
        content = base64.b64decode(answer["body"], validate=True)
        return ModelReply(status=int(answer["status"]), body=content.decode(errors="replace"))
    except (ValueError, TypeError, KeyError, RecursionError):
        return None
