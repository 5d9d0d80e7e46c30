"""Sends a request to the standalone program in `signing/`, in an interpreter that has its packages."""

import json
from collections.abc import Mapping
from dataclasses import field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from ...command.errors import ToolFailed
from ...core.security.documents import parse_json
from ...payloads.messages.lazy_dataclass import lazy_dataclass
from ..system.process import Command, Runner

SIGNING = Path(__file__).parents[2] / "signing"
_TIMEOUT_S = 600.0


class RefusedRequest(Exception):
    """The program does not do what it is asked to do; the message says why."""


@lazy_dataclass
class SigningInterpreter:
    """An interpreter with the packages of a request, and the variables that it gets."""

    python: Path
    runner: Runner
    variables: Mapping[str, str] = field(repr=False)

    def ask(self, request: Mapping[str, object], *, secrets: tuple[str, ...]) -> Mapping[str, Any]:
        """
        Return the answer to a request, which is on standard input alone; `secrets` are masked in what is printed.

        Raises RefusedRequest, ToolFailed.
        """
        with TemporaryDirectory(prefix="mlflow-uv-signing-") as scratch:
            response = Path(scratch) / "response.json"
            command = Command(
                argv=(str(self.python), "-I", "-B", str(SIGNING), str(response)),
                folder=Path(scratch),
                variables=self.variables,
                stdin=json.dumps(request),
                timeout_s=_TIMEOUT_S,
                secrets=secrets,
            )
            done = self.runner.run(command)
            if done.code != 0 or not response.is_file():
                raise ToolFailed(what="the program that signs and verifies failed", why=done.last_line)
            answer = parse_json(response.read_bytes())
        if "refused" in answer:
            raise RefusedRequest(str(answer["refused"]))
        value: Mapping[str, Any] = answer["value"]
        return value
