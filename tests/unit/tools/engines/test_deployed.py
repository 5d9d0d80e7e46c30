"""The containers of a deployment: how they are created, and what an engine says of them."""

import json
from contextlib import suppress
from datetime import datetime, timedelta, timezone

import pytest

from mlflow_uv.command.errors import DeploymentBusy, ToolFailed
from mlflow_uv.core.security.serve_env import ServeVariables
from mlflow_uv.tools.engines.deployed import (
    ComposeContainers,
    ContainerSpec,
    DeployedContainer,
    PodmanContainers,
    compose_file,
)
from mlflow_uv.tools.engines.docker import Docker
from mlflow_uv.tools.engines.podman import Podman
from tests.unit.tools.conftest import FakeRunner, completed

ID = f"sha256:{'1' * 64}"
SPEC = ContainerSpec(
    part="blue",
    image=ID,
    facts={"version": "1", "note": "$HOME ${X}"},
    settings={"REQUEST_TIMEOUT": "60"},
    serve_env=ServeVariables({"API_KEY": "corked-bottle"}),
    memory_mib=512,
    cpus=0.5,
    publish="127.0.0.1:8080:8080",
    volume="/config",
    user="65532:65532",
    command=("haproxy", "-f", "/config/a"),
)
DETAILS = {
    "Id": "c1",
    "Name": "/mlflow-uv-prod-blue",
    "Image": "1" * 64,
    "Config": {
        "Labels": {
            "mlflow-uv.deployment-part": "blue",
            "mlflow-uv.deployment-facts": '{"version": "1"}',
            "mlflow-uv.deployment-run": "a1",
        },
        "Env": ["PATH=/usr/bin", "API_KEY=a=b"],
    },
    "State": {"Running": True, "ExitCode": 0},
    "NetworkSettings": {"Ports": {"8080/tcp": [{"HostIp": "127.0.0.1", "HostPort": "9000"}], "9/tcp": None}},
    "RestartCount": 2,
    "HostConfig": {"Memory": 900 * 2**20, "NanoCpus": 250_000_000},
}
LISTED = completed("abc\n")


def docker(runner: FakeRunner) -> ComposeContainers:
    """Compose over a runner."""
    return ComposeContainers(Docker(runner, variables={"PATH": "/usr/bin", "COMPOSE_FILE": "x"}, on_line=print), "prod")


def podman(runner: FakeRunner) -> PodmanContainers:
    """Podman over a runner."""
    return PodmanContainers(Podman(runner, variables={"PATH": "/usr/bin"}, on_line=print), "prod")


@pytest.mark.parametrize("kind", [docker, podman])
def test_a_container_is_described_in_the_same_way_by_both_engines(kind) -> None:
    """
    Podman writes ids without their algorithm and names without a slash.
    """
    runner = FakeRunner({" ps ": LISTED, " inspect ": completed(json.dumps([DETAILS]))})

    assert (
        DeployedContainer(
            id="c1",
            run="a1",
            name="mlflow-uv-prod-blue",
            part="blue",
            image=ID,
            running=True,
            exit_code=0,
            facts={"version": "1"},
            published="127.0.0.1:9000",
            restarts=2,
            memory_mib=900,
            cpus=0.25,
            variables=ServeVariables({"PATH": "/usr/bin", "API_KEY": "a=b"}),
        ),
    ) == kind(runner).all()


def test_podman_says_of_a_container_that_it_runs_though_its_process_is_gone() -> None:
    """
    It lost the monitor together with the container; another error of `top` says nothing about that.
    """
    answers = {" ps ": LISTED, " inspect ": completed(json.dumps([DETAILS]))}
    gone = completed(stderr="Error: open /proc/7/ns/mnt: no such file or directory", code=125)
    refused = completed(stderr="Error: top is not supported here", code=125)

    (lost,) = podman(FakeRunner({**answers, " top ": gone})).all()
    (running,) = podman(FakeRunner({**answers, " top ": refused})).all()
    (composed,) = docker(FakeRunner({**answers, " top ": gone})).all()

    assert (False, 137, False) == (lost.running, lost.exit_code, lost.startable)
    assert [(True, True)] * 2 == [(each.running, each.startable) for each in (running, composed)]


@pytest.mark.parametrize("facts", ["[]", "{", "null", "7"])
def test_a_label_that_somebody_else_wrote_has_no_facts(facts: str) -> None:
    """
    The container is still listed, so that it is removed.
    """
    labels = {**DETAILS["Config"]["Labels"], "mlflow-uv.deployment-facts": facts}  # type: ignore[index]
    details = {**DETAILS, "Config": {"Labels": labels}}
    runner = FakeRunner({" ps ": LISTED, " inspect ": completed(json.dumps([details]))})

    (found,) = docker(runner).all()

    assert ("blue", {}) == (found.part, found.facts)


def test_secrets_reach_a_container_by_name_alone() -> None:
    """
    Neither the command line nor the Compose file has a value; the client's environment has it.
    """
    for kind in (docker, podman):
        runner = FakeRunner({" ps ": LISTED, " inspect ": completed(json.dumps([DETAILS]))})
        kind(runner).create(SPEC)
        creating = next(asked for asked in runner.asked if "API_KEY" in asked.variables)
        shown = [f"{' '.join(asked.argv)} {asked.stdin}" for asked in runner.asked]

        assert "corked-bottle" == creating.variables["API_KEY"]
        assert not [text for text in shown if "corked-bottle" in text]
        assert not [asked for asked in runner.asked if "COMPOSE_FILE" in asked.variables]


def test_a_compose_file_confines_the_container_and_expands_nothing() -> None:
    """
    A dollar sign stands for itself, whoever wrote it.
    """
    text = compose_file(SPEC, "mlflow-uv-prod", {"mlflow-uv.deployment": "prod", "x": "$HOME ${X}"})
    document = json.loads(text)
    service = document["services"]["blue"]

    assert "$$HOME $${X}" == service["labels"]["x"]
    assert (True, ["ALL"], ["no-new-privileges:true"]) == tuple(
        service[part] for part in ("read_only", "cap_drop", "security_opt")
    )
    assert (["127.0.0.1:8080:8080"], ["deployment:/config"], "512m", 0.5) == tuple(
        service[part] for part in ("ports", "volumes", "mem_limit", "cpus")
    )
    assert {"prod"} == {document[part][name]["labels"]["mlflow-uv.deployment"] for part, name in
                        (("networks", "default"), ("volumes", "deployment"))}  # fmt: skip


def test_podman_confines_the_container_as_compose_does() -> None:
    """
    The image is the last flag, and the words of the command follow it. `podman-restart` looks for its restart policy.
    """
    runner = FakeRunner()

    assert "mlflow-uv-prod-blue" == podman(runner).create(SPEC)

    argv = runner.argv
    assert {"--read-only", "--cap-drop=ALL", "--security-opt=no-new-privileges", "--env=API_KEY", "--memory=512m",
            "--publish=127.0.0.1:8080:8080", "--volume=mlflow-uv-prod:/config",
            "--entrypoint=haproxy", "--restart=always"} <= {*argv}  # fmt: skip
    assert (ID, "-f", "/config/a") == argv[-3:]


@pytest.mark.parametrize(
    ("stderr", "what", "fix"),
    [
        ("docker: unknown command: docker compose\n\nRun 'docker --help'", "this Docker has no Compose", "plugin"),
        ("port is already allocated", "cannot create `blue`", ""),
    ],
)
def test_a_docker_that_cannot_do_it_is_named(stderr: str, what: str, fix: str) -> None:
    """
    The plugin is a package of its own.
    """
    runner = FakeRunner({"compose": completed(stderr=stderr, code=1)})

    with pytest.raises(ToolFailed, match=what) as caught:
        docker(runner).create(SPEC)

    assert fix in caught.value.fix


@pytest.mark.parametrize(
    ("listing", "numbers"),
    [
        ("UID  PID  PPID  C\n99  27773  27749  1\n99  28123  27773  0\n", {"27773", "28123"}),
        ("USER  PID  PPID  %CPU\n65532  1  0  0.0\n65532  8  1  0.0\n", {"1", "8"}),
        ("", set()),
    ],
)
def test_processes_are_found_in_the_listing_of_either_engine(listing: str, numbers: set[str]) -> None:
    """
    The column is where its title says.
    """
    assert numbers == docker(FakeRunner({" top ": completed(listing)})).processes("x")


def test_a_removal_leaves_neither_network_nor_volume() -> None:
    """
    Only those with the label of the deployment are removed.
    """
    runner = FakeRunner({" ps ": completed(""), " ls ": completed("n1\n")})

    podman(runner).remove()

    removals = [asked.argv[1:] for asked in runner.asked if "rm" in asked.argv]
    assert [("network", "rm", "n1"), ("volume", "rm", "n1")] == removals


def test_a_network_and_a_volume_without_containers_are_remnants() -> None:
    """
    They are listed by the label of the deployment.
    """
    runner = FakeRunner({" ls ": completed("n1\n")})

    assert ("network n1", "volume n1") == docker(runner).remnants()
    assert all("label=mlflow-uv.deployment=prod" in asked.argv for asked in runner.asked)


@pytest.mark.parametrize("hours", [0, 5, -5])
@pytest.mark.parametrize(("age_s", "removed"), [(5, []), (900, ["l1"])])
def test_a_lock_of_another_run_counts_until_it_is_old(age_s: int, removed: list[str], hours: int) -> None:
    """
    That of a run that was killed is removed by its id; here, another run is faster to take it.

    Docker writes the time in UTC, and Podman in the zone of the machine.
    """
    zone = timezone(timedelta(hours=hours))
    shown = (datetime.now(zone) - timedelta(seconds=age_s)).strftime("%Y-%m-%dT%H:%M:%S.123456789%z")
    created = f"{shown[:-2]}:{shown[-2:]}" if hours else f"{shown[:-5]}Z"
    runner = FakeRunner(
        {
            "-creating --network": completed(
                stderr='Error: the name "mlflow-uv-prod-creating" is already in use', code=1
            ),
            " inspect --type container -- mlflow-uv-prod-creating": completed(
                json.dumps([{"Id": "l1", "Created": created}])
            ),
        }
    )

    with pytest.raises(DeploymentBusy, match="mlflow-uv-prod-creating"):
        podman(runner).create(SPEC)

    assert removed == [asked.argv[-1] for asked in runner.asked if "rm" in asked.argv]


def test_a_lock_is_removed_after_a_container_was_created_or_was_not() -> None:
    """
    By its id, since another run may have taken the name.
    """
    for code in (0, 1):
        runner = FakeRunner({"-creating --network": completed("l1\n"), "--network-alias": completed(code=code)})
        with suppress(ToolFailed):
            podman(runner).create(SPEC)

        assert ["l1"] == [asked.argv[-1] for asked in runner.asked if "rm" in asked.argv]
