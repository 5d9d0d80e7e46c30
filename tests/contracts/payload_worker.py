"""A payload process that answers several requests, because importing MLflow takes longer than most of them."""

import json
import os
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tests.contracts.mlflow_interpreter import QUIET, MlflowInterpreter
from tests.waiting import CEILING_S


class Worker:
    """A payload that converses, as in a release."""

    def __init__(self, process: "subprocess.Popen[str]", folder: Path) -> None:
        self._process, self._folder = process, folder

    def respond(self, verb: str, request: dict[str, Any]) -> dict[str, Any]:
        """What it wrote, value or error."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        response = self._folder / "response.json"
        self._process.stdin.write(json.dumps({"verb": verb, "request": request, "response": str(response)}) + "\n")
        self._process.stdin.flush()
        assert self._process.stdout.readline() == "{}\n"
        return dict(json.loads(response.read_text(encoding="utf-8")))

    def ask(self, verb: str, **request: Any) -> dict[str, Any]:
        """The value it answers with."""
        response = self.respond(verb, request)
        assert "value" in response, response
        return dict(response["value"])

    def ask_each(self, *requests: tuple[str, dict[str, Any]]) -> list[dict[str, Any]]:
        """The values it answers these verbs and requests with, in turn."""
        return [self.ask(verb, **request) for verb, request in requests]

    def refuse(self, verb: str, **request: Any) -> tuple[str, str]:
        """Kind and message of the error it answers with."""
        response = self.respond(verb, request)
        assert "error" in response, response
        return response["error"]["kind"], response["error"]["message"]


@contextmanager
def working(asked: MlflowInterpreter, folder: Path) -> Iterator[Worker]:
    """It runs as long as the block."""
    with subprocess.Popen(
        [asked.python, "-I", asked.payloads],
        cwd=folder,
        env={**os.environ, **QUIET, **asked.variables},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    ) as process:
        yield Worker(process, folder)
        process.communicate(timeout=CEILING_S)


def ask_each(asked: MlflowInterpreter, *requests: tuple[str, dict[str, Any]]) -> list[dict[str, Any]]:
    """The values that one process answers these verbs and requests with, in turn."""
    with tempfile.TemporaryDirectory() as folder, working(asked, Path(folder)) as worker:
        return worker.ask_each(*requests)
