"""Watches a running container: its requests are sent from inside, because it may have no network."""

import base64
import json
from collections.abc import Callable
from pathlib import Path

from ...command.errors import ToolFailed
from ...core.image.dockerfile import PORT, VENV
from ...core.security.documents import parse_json
from ..mlflow.model_requests import LIMIT, ModelReply, ModelRequest
from ..system.process import Completed

OURS = "mlflow-uv.smoke-test"  # label of every container we start
CLIENT = Path(__file__).parents[2] / "installing" / "request.py"
SLACK_S = 30.0  # for the engine to start a program in a container on a busy machine


class Container:
    """
    A container we started; see engine.Served.

    `command` is one command of the engine's program, `hide` takes what was handed to the model out of its log.
    """

    def __init__(self, command: Callable[..., Completed], name: str, *, hide: Callable[[str], str]) -> None:
        self._command = command
        self._hide = hide
        self._name = name
        self._final: str | None = None
        self._client = CLIENT.read_text(encoding="utf-8")

    def ask(self, request: ModelRequest) -> ModelReply | None:
        """
        See Served. A client inside the container sends the request, to its loopback.

        So nothing has to lead into the container, and an engine may be on another machine.
        """
        body = None if request.body is None else base64.b64encode(request.body).decode()
        words = {"port": PORT, "method": request.method, "path": request.path, "body": body}
        words |= {"timeout_s": request.timeout_s, "limit": LIMIT}
        argv = ("exec", "--interactive", self._name, f"{VENV}/bin/python", "-I", "-S", "-c", self._client)
        try:
            done = self._command(*argv, stdin=json.dumps(words), verbatim=True, timeout_s=request.timeout_s + SLACK_S)
        except ToolFailed:
            return None
        return _reply(done.stdout) if done.code == 0 else None

    def code(self) -> int | None:
        """See Served."""
        done = self._command("inspect", "--format", "{{.State.Running}} {{.State.ExitCode}}", self._name)
        running, _, code = done.stdout.strip().partition(" ")
        return None if running == "true" else int(code or 1)

    def log(self) -> str:
        """See Served."""
        if self._final is not None:
            return self._final
        done = self._command("logs", self._name)
        return self._hide(done.stdout + done.stderr)

    def stop(self) -> None:
        """See Served."""
        if self._final is None:
            self._final = self.log()
            self._command("rm", "--force", "--volumes", self._name)


def _reply(text: str) -> ModelReply | None:
    """What the client wrote; a model that runs beside it may have written it instead."""
    try:
        answer = parse_json(text)
        if answer is None:
            return None
        content = base64.b64decode(answer["body"], validate=True)
        return ModelReply(status=int(answer["status"]), body=content.decode(errors="replace"))
    except (ValueError, TypeError, KeyError, RecursionError):
        return None
