"""Versions are replaced on this machine without a lost request, and returned from where they fail."""

import json
import signal
import socket
import subprocess
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from tests.waiting import happens

from .deployments import Clients, Deployment, Versions, new_name, program, released_versions
from .images import remove_image
from .sample_project import SampleProject, error

FINDINGS, BAD_INPUT, TOOL_FAILED, NOT_SERVING, BUSY = 1, 2, 6, 15, 21
NAMES = ("first", "second", "wrong", "ends", "silent")
ENOUGH = 2000

pytestmark = pytest.mark.engine


@pytest.fixture(scope="module")
def versions(released_sample: SampleProject, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Versions]:
    """Every version, released once."""
    with released_versions(released_sample, NAMES, tmp_path_factory.mktemp("versions") / "untouched") as found:
        yield found


@pytest.fixture
def deployment(versions: Versions) -> Iterator[Deployment]:
    """A deployment that runs the first version; it is removed afterwards."""
    versions.sample.restore()
    made = Deployment(consumer=versions.sample.consumer, name=new_name())
    made.declare()
    try:
        first = made.run(versions.numbers["first"])
        assert 0 == first.code, first.stderr
        yield made
    finally:
        made.remove()


@pytest.mark.extended
def test_no_request_fails_while_versions_are_replaced(deployment: Deployment, versions: Versions) -> None:
    """
    Clients with and without kept connections ask all the time, thousands of requests over several replacements.
    """
    with Clients(deployment) as clients:
        results = [deployment.run(versions.numbers[name]) for name in ("second", "first", "second")]
        assert happens(lambda: clients.answered >= ENOUGH)

    assert [0] * 3 == [result.code for result in results], [result.stderr for result in results]
    assert [] == clients.failures, (clients.answered, clients.failures[:5])
    assert 2 == len(deployment.containers())


@pytest.mark.extended
@pytest.mark.parametrize(
    ("name", "code", "message"),
    [
        ("wrong", FINDINGS, "does not answer as in training: returned to version 2"),
        ("silent", NOT_SERVING, "was not healthy within"),
        ("ends", NOT_SERVING, "green-1` ended"),
    ],
)
def test_a_version_that_fails_only_where_it_is_deployed_gets_no_traffic(
    deployment: Deployment, versions: Versions, name: str, code: int, message: str
) -> None:
    """
    Its smoke test passed; clients are answered by the version before all the time, and it is what runs afterwards.
    """
    containers = deployment.containers()
    with Clients(deployment, 2) as clients:
        result = deployment.run(versions.numbers[name], "--deadline", "15")

    again = deployment.run(versions.numbers["first"], "--dry-run")
    assert code == result.code, result.stderr
    assert message in result.stderr
    assert ([], containers) == (clients.failures, deployment.containers())
    assert (0, False) == (again.code, again.outputs["deployment-changed"]), again.stderr
    assert "returned" in versions.sample.store.tags(versions.numbers[name])[f"deployment.{deployment.name}"]


@pytest.mark.extended
@pytest.mark.parametrize("by", [signal.SIGTERM, signal.SIGINT, signal.SIGKILL])
def test_a_run_that_ends_in_the_middle_is_undone_or_finished_by_the_next(
    deployment: Deployment, versions: Versions, by: signal.Signals
) -> None:
    """
    A cancelled one returns by itself; after one that was killed, the next run removes what it left, and deploys.
    """
    sample, before = versions.sample, deployment.containers()
    process = sample.start("deploy", *deployment.argv(versions.numbers["second"]), variables=dict(deployment.variables))
    assert happens(
        lambda: process.poll() is not None or (deployment.containers() != before and not deployment.creates())
    )

    process.send_signal(by)
    ended = sample.ended(process)
    left, answer = deployment.containers(), deployment.ask(3.0)
    following = deployment.run(versions.numbers["second"])

    assert {signal.SIGTERM: 143, signal.SIGINT: 130, signal.SIGKILL: -9}[by] == ended.code, ended.stderr
    assert (by == signal.SIGKILL, 6.0) == (left != before, answer)
    assert 0 == following.code, following.stderr
    assert ("was interrupted" in following.stderr) == (by == signal.SIGKILL)
    assert 2 == len(deployment.containers())


@pytest.mark.extended
@pytest.mark.parametrize("first_at", ["the new version is created", "the traffic goes to the new version"])
@pytest.mark.parametrize("last", ["second", "first"])
def test_after_a_killed_run_and_a_killed_return_the_next_run_ends_well(
    deployment: Deployment, versions: Versions, tmp_path: Path, first_at: str, last: str
) -> None:
    """
    The second run finds what the first left, deploys a version that is wrong, and is killed while it returns.
    """

    def killed(name: str, at: str) -> int:
        log = tmp_path / f"{name}.log"
        with log.open("w") as stderr:
            process = subprocess.Popen(
                versions.sample.consumer.argv("deploy", *deployment.argv(versions.numbers[name])),
                cwd=versions.sample.folder,
                env={**versions.sample.consumer.variables, "TMPDIR": str(tmp_path), **deployment.variables},
                stdout=subprocess.DEVNULL,
                stderr=stderr,
            )
            assert happens(lambda: process.poll() is not None or at in log.read_text())
            process.kill()
            assert -signal.SIGKILL == process.wait(), log.read_text()
        return len(deployment.containers())

    left = [killed("second", first_at), killed("wrong", "returning to what ran before")]
    answer = deployment.ask(3.0)
    following = deployment.run(versions.numbers[last])
    again = deployment.run(versions.numbers[last], "--dry-run")

    assert ([3, True], 6.0) == ([left[0], left[1] in (2, 3)], answer)
    assert 0 == following.code, following.stderr
    assert "was interrupted" in following.stderr
    assert (False, 2, 8.0) == (again.outputs["deployment-changed"], len(deployment.containers()), deployment.ask(4.0))
    key, store = f"deployment.{deployment.name}", versions.sample.store
    tags = {name: store.tags(number).get(key, "{}") for name, number in versions.numbers.items()}
    states = {name: json.loads(tag).get("state") for name, tag in tags.items()}
    assert ["deployed"] == [state for name, state in states.items() if name == last]
    assert "deployed" not in [state for name, state in states.items() if name != last]


@pytest.mark.extended
def test_a_port_that_somebody_else_has_and_an_engine_that_does_not_answer_change_nothing(versions: Versions) -> None:
    """
    A first deployment leaves no container then.
    """
    versions.sample.restore()
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        made = Deployment(consumer=versions.sample.consumer, name=new_name(), port=taken.getsockname()[1])
        made.declare()
        refused = made.run(versions.numbers["first"])
        left = made.containers()
    gone = replace(made, variables={"DOCKER_HOST": f"tcp://127.0.0.1:{made.port}"}).run(versions.numbers["first"])

    assert (TOOL_FAILED, []) == (refused.code, left), refused.stderr
    assert f"{made.port}" in error(refused)[3] + error(refused)[2]
    assert gone.code not in (0, FINDINGS), gone.stderr
    assert [] == made.containers()


@pytest.mark.extended
def test_two_runs_do_not_change_a_deployment_at_once(deployment: Deployment, versions: Versions) -> None:
    """
    The second is refused while the first works, and changes nothing.
    """
    sample, before = versions.sample, deployment.containers()
    first = sample.start("deploy", *deployment.argv(versions.numbers["second"]), variables=dict(deployment.variables))
    assert happens(lambda: first.poll() is not None or deployment.containers() != before)

    second = deployment.run(versions.numbers["first"])
    ended = sample.ended(first)

    assert (BUSY, 0) == (second.code, ended.code), second.stderr + ended.stderr
    assert "changes the deployment" in error(second)[2]
    assert '"state":"deployed"' in sample.store.tags(versions.numbers["second"])[f"deployment.{deployment.name}"]
    assert '"state":"replaced"' in sample.store.tags(versions.numbers["first"])[f"deployment.{deployment.name}"]


@pytest.mark.extended
def test_another_tracking_server_neither_replaces_nor_removes_a_deployment(
    deployment: Deployment, versions: Versions, tmp_path: Path
) -> None:
    """
    It has a model of the same name, with the same version number; if it is asked to, it takes the deployment over.
    """
    sample, tag = versions.sample, f"mlflow-uv-test-{deployment.name}:1"
    (tmp_path / "cache").symlink_to(sample.consumer.home / "cache")
    other = replace(deployment, variables={"MLFLOW_UV_HOME": str(tmp_path)})
    containers = deployment.containers()
    sample.train_with(program("first"))  # the last one that was released is never healthy where it is deployed
    try:
        released = sample.consumer.run("release", "--engine", "docker", "--image", tag, variables=other.variables)
        assert (0, "1") == (released.code, released.outputs["version"]), released.stderr
        refused = [other.run("1", *flags) for flags in (("--dry-run",), (), ("--remove", "deployment"))]
        left = (deployment.containers(), deployment.ask(4.0))
        taken = other.run("1", "--take-over")
        back = deployment.run(versions.numbers["second"])
        removed = other.run("1", "--remove", "deployment")
    finally:
        other.run("1", "--remove", "deployment", "--take-over")
        remove_image(tag)

    assert [BAD_INPUT] * 3 == [result.code for result in refused], [result.stderr for result in refused]
    assert all("wine of another registry" in result.stderr for result in refused)
    assert (containers, 8.0) == left
    assert (0, True) == (taken.code, taken.outputs["deployment-changed"]), taken.stderr
    assert (BAD_INPUT, 0) == (back.code, removed.code), back.stderr + removed.stderr


@pytest.mark.extended
def test_an_audit_finds_what_somebody_else_did_to_a_deployment(deployment: Deployment, versions: Versions) -> None:
    """
    It holds; then somebody stops the container, which the next run starts again.
    """
    link, number = f"deployment {deployment.name}", versions.numbers["first"]
    engine = "podman" if deployment.target == "podman" else "docker"
    (container,) = [name for name in deployment.containers() if not name.endswith(("proxy", "proxy-1"))]

    def audited() -> tuple[bool, bool]:
        outputs = versions.sample.consumer.run(
            "audit", f"models:/wine/{number}", variables=deployment.variables
        ).outputs
        return link in outputs["holds"], link in outputs["broken"]

    holding = audited()
    subprocess.run((engine, "stop", container), check=True, capture_output=True, env=deployment.environment)
    broken = audited()
    mended = deployment.run(number)

    assert ((True, False), (False, True)) == (holding, broken)
    assert 0 == mended.code, mended.stderr
    assert (True, False) == audited()


@pytest.mark.extended
def test_a_preview_is_a_deployment_of_its_own(deployment: Deployment, versions: Versions) -> None:
    """
    It gets a free port; its removal leaves the deployment alone.
    """
    preview = deployment.run(versions.numbers["second"], "--preview", "pr-17")
    removed = deployment.run(versions.numbers["second"], "--preview", "pr-17", "--remove", "preview")

    assert (0, 0) == (preview.code, removed.code), preview.stderr + removed.stderr
    assert (f"{deployment.name}-pr-17", True) == tuple(
        preview.outputs[part] for part in ("deployment", "deployment-changed")
    )
    assert f":{deployment.port}" not in preview.outputs["endpoint"]
    assert (2, 8.0) == (len(deployment.containers()), deployment.ask(4.0))
