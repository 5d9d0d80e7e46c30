"""With which rights is a container started, and how is it asked."""

import base64
import json
from pathlib import Path

import pytest

from mlflow_uv.command.errors import NoSpace, ToolFailed
from mlflow_uv.core.security.serve_env import ServeVariables
from mlflow_uv.tools.engines.client import Client
from mlflow_uv.tools.engines.docker import Docker
from mlflow_uv.tools.engines.engine import ServerSettings
from mlflow_uv.tools.engines.podman import Podman
from mlflow_uv.tools.mlflow.model_requests import ModelReply, ModelRequest
from mlflow_uv.tools.system.process import Command, Completed
from tests.unit.tools.conftest import FakeRunner, completed

PING = ModelRequest(method="GET", path="/ping", timeout_s=5)
CONFINED = {"--read-only", "--cap-drop=ALL", "--security-opt=no-new-privileges", "--ipc=private"}


@pytest.fixture(params=[Docker, Podman], ids=["docker", "podman"])
def kind(request: pytest.FixtureRequest) -> type[Client]:
    """Each engine that we know."""
    found: type[Client] = request.param
    return found


def client(kind: type[Client], **answers: Completed | None) -> tuple[Client, FakeRunner]:
    """An engine's client, and what it runs."""
    runner = FakeRunner({name.replace("_", " "): answer for name, answer in answers.items()})
    variables = {"PATH": "/usr/bin", "MLFLOW_TRACKING_TOKEN": "canary"}
    return kind(runner, variables=variables, on_line=print), runner


@pytest.mark.parametrize(("network", "given"), [(False, ["--network=none"]), (True, [])])
def test_a_container_that_serves_has_few_rights(kind: type[Client], given: list[str], *, network: bool) -> None:
    """
    No network unless it was asked for, no port of the machine in any case, and nothing to write to but `/tmp`.
    """
    engine, runner = client(kind)

    engine.serve("sha256:1", network=network)

    words = runner.argv
    assert given == [word for word in words if word.startswith("--net")]
    assert set(words) >= {*CONFINED, "--tmpfs=/tmp", "--detach"}
    assert not any(word.startswith(("--publish", "-p", "--volume", "--privileged")) for word in words)
    assert {"--env=ATTESTATIONS=", "--env=VERIFY="} == {word for word in words if word.startswith("--env")}
    assert "sha256:1" == words[-1]


def test_a_container_gets_the_limits_and_mounts_that_it_is_given(kind: type[Client]) -> None:
    """
    Without swap, and each path is the same inside, for reading only.
    """
    engine, runner = client(kind)

    engine.serve("sha256:1", network=False, given=ServerSettings(memory_mib=300, cpus=0.5, mounts=("/data/a b",)))

    flags = [word for word in runner.argv if word.startswith(("--mem", "--cpus", "--mount"))]
    mount = "--mount=type=bind,source=/data/a b,target=/data/a b,readonly"
    assert ["--memory=300m", "--memory-swap=300m", "--cpus=0.5", mount] == flags


def test_what_is_handed_to_a_model_is_in_no_command_line(kind: type[Client]) -> None:
    """
    The client has the value in its environment and hands it on by name; what it then prints does not hold it.
    """
    engine, runner = client(kind, **{f"{kind.name}_logs": completed("started with canary-of-the-model\n")})
    given = ServerSettings(
        settings={"REQUEST_TIMEOUT": "90"}, serve_env=ServeVariables({"MODEL_KEY": "canary-of-the-model"})
    )

    log = engine.serve("sha256:1", network=False, given=given).log()

    command = runner.asked[0]
    assert {"--env=MODEL_KEY", "--env=REQUEST_TIMEOUT=90"} <= set(command.argv)
    assert ("canary-of-the-model", True) == (command.variables["MODEL_KEY"], "canary-of-the-model" in command.secrets)
    assert not any("canary" in word for command in runner.asked for word in command.argv)
    assert ("started with ***\n", False) == (log, "canary" in repr((given, command)))


def test_a_tested_server_does_not_look_for_signatures(kind: type[Client]) -> None:
    """
    Whatever its image asks for: a version is signed once its server was tested.
    """
    engine, runner = client(kind)

    engine.serve("sha256:1", network=False, given=ServerSettings(settings={"PORT": "1"}))

    assert {"--env=VERIFY=", "--env=ATTESTATIONS=", "--env=PORT=1"} <= set(runner.argv)


def test_a_program_of_an_image_is_handed_what_it_needs_too(kind: type[Client]) -> None:
    """
    As a server; nobody else is handed anything.
    """
    engine, runner = client(kind)

    engine.run_inside("base:1", "python3", serve_env=ServeVariables({"MODEL_KEY": "canary-of-the-model"}))
    engine.run_inside("base:1", "python3")

    first, second = runner.asked
    assert ("--env=MODEL_KEY" in first.argv, "canary-of-the-model") == (True, first.variables["MODEL_KEY"])
    assert not any("canary" in word for word in first.argv)
    assert ([], None) == ([word for word in second.argv if "--env" in word], second.variables.get("MODEL_KEY"))


def test_a_program_of_an_image_has_no_network_and_no_more_rights(kind: type[Client]) -> None:
    """
    What is asked of an image of somebody else runs as confined as a model.
    """
    engine, runner = client(kind)

    engine.run_inside("base:1", "python3", "-I", "-")

    assert set(runner.argv) >= {*CONFINED, "--network=none", "--rm"}


def test_a_server_is_asked_from_inside_its_container(kind: type[Client]) -> None:
    """
    The request goes through standard input of a program in the container, as bytes that nothing changes.
    """
    content = b'{"x": "\xc3\xa9\xff"}'
    answer = json.dumps({"status": 200, "body": base64.b64encode(b"[1]").decode()})
    engine, runner = client(kind, exec=completed(answer))
    served = engine.serve("sha256:1", network=False)

    reply = served.send(ModelRequest(method="POST", path="/invocations", body=content, timeout_s=5))

    asked = runner.asked[-1]
    assert ModelReply(status=200, body="[1]") == reply
    assert (kind.name, "exec", "--interactive") == asked.argv[:3]
    assert ("/opt/venv/bin/python", "-I", "-S", "-c") == asked.argv[4:8]
    assert content == base64.b64decode(json.loads(str(asked.stdin))[0]["body"])


def test_several_requests_are_sent_by_one_program_in_the_container(kind: type[Client]) -> None:
    """
    Starting one takes longer than a request. After one without a response there are no others.
    """
    answer = json.dumps({"status": 200, "body": base64.b64encode(b"[1]").decode()})
    engine, runner = client(kind, exec=completed(f"{answer}\nnull\n"))
    served = engine.serve("sha256:1", network=False)
    before = len(runner.asked)

    replies = served.send_all([PING, PING, PING])

    assert ((ModelReply(status=200, body="[1]"), None, None), 1) == (replies, len(runner.asked) - before)
    assert 3 == len(json.loads(str(runner.asked[-1].stdin)))


@pytest.mark.parametrize(
    "answer",
    [
        completed("null"),
        completed("", "container is not running", code=126),
        completed("not JSON"),
        completed('{"status": 200}'),
        completed('{"status": "x", "body": ""}'),
        completed('{"status": 200, "body": "*"}'),
        completed("[" * 100_000),
        completed("7"),
    ],
    ids=["nobody", "ended", "words", "no body", "no status", "no base64", "deep", "number"],
)
def test_what_is_no_answer_is_none(kind: type[Client], answer: Completed) -> None:
    """
    A model may write in place of the client beside it: whatever that is, it is no answer and no crash.
    """
    engine, _ = client(kind, exec=answer)

    assert engine.serve("sha256:1", network=False).send(PING) is None


def test_a_client_that_never_ends_is_no_answer(kind: type[Client], tmp_path: Path) -> None:
    """
    A model that stops the client beside it holds nobody longer than the time of the request and some more.
    """

    class Hanging(FakeRunner):
        def run(self, command: Command) -> Completed:
            if "exec" in command.argv:
                raise ToolFailed(what=f"did not end within {command.timeout_s}")
            return super().run(command)

    runner = Hanging()
    served = kind(runner, variables={"PATH": str(tmp_path)}, on_line=print).serve("sha256:1", network=False)

    assert served.send(PING) is None


def test_an_image_is_loaded_from_a_file(kind: type[Client], tmp_path: Path) -> None:
    """
    An engine that refuses it says why; a full disk is an error of its own.
    """
    accepting, runner = client(kind)
    refusing, _ = client(kind, load=completed(stderr="invalid tar header", code=1))
    full, _ = client(kind, load=completed(stderr="write /x: no space left on device", code=1))

    accepting.load(tmp_path / "image.tar")

    assert (kind.name, "load", "--quiet", "--input", str(tmp_path / "image.tar")) == runner.argv
    with pytest.raises(ToolFailed, match="invalid tar header"):
        refusing.load(tmp_path / "image.tar")
    with pytest.raises(NoSpace):
        full.load(tmp_path / "image.tar")


def test_an_image_is_saved_to_a_file(kind: type[Client], tmp_path: Path) -> None:
    """
    In the format of `docker save`, which is not the default of every version of Podman.
    """
    saving, runner = client(kind)
    full, _ = client(kind, save=completed(stderr="write /x: no space left on device", code=1))
    gone, _ = client(kind, save=completed(stderr="No such image", code=1))

    saving.save("sha256:abc", tmp_path / "image.tar")

    with pytest.raises(NoSpace):
        full.save("sha256:abc", tmp_path / "image.tar")
    with pytest.raises(ToolFailed, match="No such image"):
        gone.save("sha256:abc", tmp_path / "image.tar")

    assert ("save", "--output", str(tmp_path / "image.tar"), "sha256:abc") == (runner.argv[1], *runner.argv[-3:])
    assert (kind.name == "podman") == ("--format=docker-archive" in runner.argv)
