"""What of the answer of a container is written to disk, and what is not an answer."""

import base64
import json
from pathlib import Path
from typing import Any, ClassVar

import pytest

from mlflow_uv.command.errors import ToolFailed
from mlflow_uv.core.security.serve_env import NO_VARIABLES
from mlflow_uv.payloads.messages.evaluation import EvaluateModel
from mlflow_uv.tools.engines.docker import Docker
from mlflow_uv.tools.engines.sandbox import SandboxRequest, model_container, run_payload
from mlflow_uv.tools.system.process import Command, Completed, Conversation
from tests.unit.tools.conftest import FakeRunner, completed

PLOT = base64.b64encode(b"plot").decode()


class Recording(FakeRunner):
    """Keeps what was sent on standard input, whose file is gone afterwards."""

    sent = b""

    def run(self, command: Command) -> Completed:
        """See FakeRunner."""
        if isinstance(command.stdin, Path):
            self.sent = command.stdin.read_bytes()
        return super().run(command)


def asked(folder: Path, output: str) -> tuple[Recording, Path]:
    """The runner and the folder of artifacts after a container wrote this."""
    (folder / "data.csv").write_text("x\n1\n")
    runner = Recording({"docker run": completed(output)})
    engine = Docker(runner, variables={}, on_line=print)
    request = EvaluateModel(model="/opt/model", data="data.csv", artifacts="artifacts")
    question = SandboxRequest(request=request, files=(folder / "data.csv",))
    artifacts = folder / "room" / "artifacts"
    run_payload(engine, "sha256:1", question, answer=folder / "answer.json", artifacts=artifacts)
    return runner, artifacts


def test_everything_it_needs_is_sent_and_nothing_is_mounted(tmp_path: Path) -> None:
    """
    Payloads, request and data go through standard input, so that the engine may be on another machine.
    """
    runner, artifacts = asked(tmp_path, json.dumps({"answer": "{}", "artifacts": {"a/plot.png": PLOT}}))

    words = runner.argv
    assert {"--network=none", "--cap-drop=ALL", "--read-only", "--tmpfs=/tmp"} <= set(words)
    assert not any(word.startswith(("--volume", "--mount", "--env")) for word in words)
    programs = (b"payloads/evaluation/evaluator.py", b"payloads/messages/evaluation.py")
    assert all(name in runner.sent for name in (*programs, b"request.json", b"data.csv", b"/opt/model"))
    assert ("{}", b"plot") == ((tmp_path / "answer.json").read_text(), (artifacts / "a" / "plot.png").read_bytes())


@pytest.mark.parametrize(
    "name", ["../out", "/etc/out", "a/../../out", "..", ".", "", ".git/config", "a\\b", "a\nb", "é", "-" * 300]
)
def test_an_artifact_stays_in_its_folder(tmp_path: Path, name: str) -> None:
    """
    A model that names its plots by a way out of the folder, or by what a shell or a terminal would obey, loses them.
    """
    asked(tmp_path, json.dumps({"answer": "{}", "artifacts": {name: PLOT}}))

    assert ["answer.json", "data.csv"] == sorted(path.name for path in tmp_path.rglob("*"))


@pytest.mark.parametrize(
    "output",
    [
        "",
        "words",
        "[" * 100_000,
        "7",
        json.dumps({"answer": "{}"}),
        json.dumps({"answer": "{}", "artifacts": []}),
        json.dumps({"answer": "{}", "artifacts": {"a": "*"}}),
        json.dumps({"answer": "{}", "artifacts": {"a": 7}}),
        json.dumps({"answer": None, "artifacts": {}}),
        json.dumps({"answer": {}, "artifacts": {}}),
    ],
)
def test_what_is_no_answer_is_an_error_in_words(tmp_path: Path, output: Any) -> None:
    """
    Whatever a model writes in place of an answer, nothing is believed and nothing crashes.
    """
    with pytest.raises(ToolFailed):
        asked(tmp_path, output)


class Talking(FakeRunner):
    """A runner whose container confirms the first line, or says nothing."""

    lines: ClassVar[list[str]] = []
    answer: str | None = "{}\n"

    def converse(self, command: Command) -> Conversation:
        """See FakeRunner."""
        self.asked.append(command)
        return self

    def ask(self, line: str) -> str | None:
        """See Conversation."""
        self.lines.append(line)
        return self.answer

    def code(self) -> int | None:
        """See Conversation."""
        return None

    def log(self) -> str:
        """See Conversation."""
        return "no such image\nRun 'docker run --help' for more information\n"

    def stop(self) -> None:
        """See Conversation."""


def test_a_container_that_converses_is_confined_and_removed() -> None:
    """
    Payloads go through standard input, as for a single request, and the container is gone afterwards.
    """
    runner = Talking()

    with model_container(Docker(runner, variables={}, on_line=print), "sha256:1", NO_VARIABLES):
        words = runner.argv

    assert {"--network=none", "--cap-drop=ALL", "--read-only", "--tmpfs=/tmp", "--rm"} <= set(words)
    assert not any(word.startswith(("--volume", "--mount", "--env")) for word in words)
    assert b"payloads/messages/scoring.py" in base64.b64decode(runner.lines[-1])
    assert ("docker", "rm", "--force", "--volumes", words[words.index("--name") + 1]) == runner.argv


def test_a_container_that_does_not_start_is_an_error() -> None:
    """
    With the engine's reason.
    """
    runner = Talking()
    runner.answer = None

    with (
        pytest.raises(ToolFailed) as caught,
        model_container(Docker(runner, variables={}, on_line=print), "x", NO_VARIABLES),
    ):
        pass

    assert ("the container for the model does not start", "no such image") == (caught.value.what, caught.value.why)
