"""An interpreter that has MLflow, shared by the contract tests of payloads and serving."""

import json
import os
import subprocess
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.sharing import SharedFolder
from tests.waiting import CEILING_S

QUIET = {"MLFLOW_DISABLE_TELEMETRY": "true"}


@dataclass(frozen=True, kw_only=True, slots=True)
class MlflowInterpreter:
    """An interpreter that has MLflow, and the variables that say which stores it talks to."""

    python: Path
    payloads: Path
    variables: Mapping[str, str] = field(default_factory=dict)

    def ask(self, verb: str, **request: Any) -> dict[str, Any]:
        """The value that a payload answers with."""
        response = self.respond(verb, request)
        assert "value" in response, response
        return dict(response["value"])

    def refuse(self, verb: str, **request: Any) -> dict[str, Any]:
        """The error that a payload answers with."""
        response = self.respond(verb, request)
        assert "error" in response, response
        return dict(response["error"])

    def respond(self, verb: str, request: Mapping[str, Any]) -> dict[str, Any]:
        """What a payload wrote, whichever it is."""
        with self.start(verb) as process:
            process.communicate(json.dumps(request), timeout=CEILING_S)
        return dict(json.loads(response_file(process).read_text(encoding="utf-8")))

    def start(self, verb: str) -> subprocess.Popen[str]:
        """A payload on its way; its request is still to be written to its standard input."""
        name = f"{verb}-{uuid.uuid4().hex}.json"
        scratch = Path(os.environ["MLFLOW_UV_HOME"], "responses")
        scratch.mkdir(parents=True, exist_ok=True)
        return subprocess.Popen(
            [self.python, "-I", self.payloads, verb, scratch / name],
            cwd=scratch,
            env={**os.environ, **QUIET, **self.variables},
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            text=True,
        )

    def on(self, **variables: str) -> "MlflowInterpreter":
        """The same interpreter with other stores."""
        return MlflowInterpreter(python=self.python, payloads=self.payloads, variables=variables)

    def run(self, *arguments: str | Path, cwd: Path, **variables: str) -> subprocess.CompletedProcess[str]:
        """Run the interpreter on something else than a payload."""
        return subprocess.run(
            [self.python, *arguments],
            cwd=cwd,
            env={**os.environ, **QUIET, **self.variables, **variables},
            capture_output=True,
            text=True,
            timeout=CEILING_S,
            check=False,
        )


def response_file(process: subprocess.Popen[str]) -> Path:
    """Where a payload writes its answer: the last word of its command line."""
    assert isinstance(process.args, list)
    return Path(process.args[-1])


def synced(project: Path, environment: Path, *options: str) -> Path:
    """The Python of an environment made from a project's lock."""
    subprocess.run(
        ["uv", "sync", "--frozen", "--quiet", "--project", project, *options],
        cwd=environment.parent,
        env={**os.environ, "UV_PROJECT_ENVIRONMENT": str(environment)},
        check=True,
        timeout=CEILING_S,
    )
    return environment / "bin" / "python"


def wine_python(root: Path, shared: SharedFolder) -> Path:
    """The Python of an environment with the MLflow of the lock of examples/wine, the same in all processes."""
    environment = shared.make_once("wine", lambda folder: synced(root / "examples" / "wine", folder))
    return environment / "bin" / "python"


def client_python(root: Path, shared: SharedFolder) -> Path:
    """The Python of an environment with the registry client of our own lock, the same in all processes."""
    environment = shared.make_once("registry-client", lambda folder: synced(root, folder, "--only-group", "registry"))
    return environment / "bin" / "python"
