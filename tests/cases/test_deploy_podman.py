"""A version is deployed with a real Podman, in storage of its own, behind a real HAProxy."""

import http.client
import json
import os
import signal
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import pytest

from mlflow_uv.core.deploy.manifests import CONTAINER, PodSpec, workload
from mlflow_uv.core.deploy.settings import KubernetesSettings
from mlflow_uv.ops.deploy.pods import KEYS
from tests.waiting import happens

from .deployments import PROXY_IMAGE, Clients, Deployment, Versions, new_name, released_versions
from .podman_storage import podman_storage_in
from .sample_project import SampleProject
from .test_deploy_faults import (  # noqa: F401  # the same tests, with the fixtures of this module
    ENOUGH,
    test_a_run_that_ends_in_the_middle_is_undone_or_finished_by_the_next,
    test_an_audit_finds_what_somebody_else_did_to_a_deployment,
    test_two_runs_do_not_change_a_deployment_at_once,
)

FINDINGS, NOT_SERVING = 1, 15
NAMES = ("first", "second", "wrong", "silent")

pytestmark = [pytest.mark.engine, pytest.mark.extended]


@pytest.fixture(scope="module")
def versions(released_sample: SampleProject, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Versions]:
    """Every version, released once, with Docker."""
    with released_versions(released_sample, NAMES, tmp_path_factory.mktemp("versions") / "untouched") as found:
        yield found


@pytest.fixture(scope="module")
def podman(
    versions: Versions, podman_program: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[dict[str, str]]:
    """The variables of a Podman that has the images of the versions and that of the proxy."""
    folder = tmp_path_factory.mktemp("podman")
    with podman_storage_in(folder, podman_program) as variables:
        for image in (PROXY_IMAGE, *versions.tags.values()):
            with subprocess.Popen(("docker", "save", image), stdout=subprocess.PIPE) as saving:
                load = (podman_program, "load", "--quiet")
                subprocess.run(
                    load, stdin=saving.stdout, check=True, capture_output=True, env={**os.environ, **variables}
                )
        yield variables


@pytest.fixture
def deployment(versions: Versions, podman: dict[str, str]) -> Iterator[Deployment]:
    """A deployment that runs the first version; it is removed afterwards."""
    versions.sample.restore()
    made = Deployment(consumer=versions.sample.consumer, name=new_name(), target="podman", variables=podman)
    made.declare()
    try:
        first = made.run(versions.numbers["first"])
        assert 0 == first.code, first.stderr
        yield made
    finally:
        made.remove()


def test_no_request_fails_while_versions_are_replaced(deployment: Deployment, versions: Versions) -> None:
    """
    Thousands of requests; a version that is wrong, or silent, where it is deployed gets none of them.
    """
    with Clients(deployment, 4) as clients:
        second = deployment.run(versions.numbers["second"])
        wrong = deployment.run(versions.numbers["wrong"])
        silent = deployment.run(versions.numbers["silent"], "--deadline", "15")
        assert happens(lambda: clients.answered >= ENOUGH)
    again = deployment.run(versions.numbers["second"], "--dry-run")

    assert (0, FINDINGS, NOT_SERVING, 0) == (second.code, wrong.code, silent.code, again.code), silent.stderr
    assert ([], False) == (clients.failures, again.outputs["deployment-changed"]), clients.answered
    assert 2 == len(deployment.containers())


def test_a_deployment_answers_again_after_the_command_of_podman_restart(
    deployment: Deployment, versions: Versions, podman_program: str
) -> None:
    """
    The service runs `podman start --all --filter restart-policy=always` when the machine starts (Podman 4).
    """

    def podman(*argv: str) -> None:
        subprocess.run((podman_program, *argv), check=True, capture_output=True, env=deployment.environment)

    podman("stop", "--all", "--time", "5")
    stopped = not answers(deployment)
    podman("start", "--all", "--filter", "restart-policy=always")
    answered = happens(partial(answers, deployment))
    again = deployment.run(versions.numbers["first"], "--dry-run")

    assert (True, True, 0) == (stopped, answered, again.code), again.stderr
    assert (False, 4.0) == (again.outputs["deployment-changed"], deployment.ask(2.0))


def test_a_deployment_whose_containers_were_killed_with_their_monitors_is_deployed_again(
    deployment: Deployment, versions: Versions, podman_program: str
) -> None:
    """
    Podman says that they run, and starts none of them any more; the plan says so, and the same version runs again.
    """
    for name in deployment.containers():
        numbers = "{{.State.ConmonPid}} {{.State.Pid}}"
        argv = (podman_program, "inspect", "--format", numbers, name)
        done = subprocess.run(argv, check=True, capture_output=True, text=True, env=deployment.environment)
        for number in done.stdout.split():  # the monitor first: it would start the container again
            os.kill(int(number), signal.SIGKILL)
    killed = happens(lambda: not answers(deployment))
    planned = deployment.run(versions.numbers["first"], "--dry-run")
    again = deployment.run(versions.numbers["first"])
    after = deployment.run(versions.numbers["first"], "--dry-run")

    assert (True, 0, True) == (killed, planned.code, planned.outputs["deployment-changed"]), planned.stderr
    assert (0, False) == (again.code, after.outputs["deployment-changed"]), again.stderr
    assert (4.0, 2) == (deployment.ask(2.0), len(deployment.containers()))


@contextmanager
def played(manifest: Path, program: str, variables: Mapping[str, str]) -> Iterator[None]:
    """Let Podman run the pod of a manifest while the block runs."""
    environment = {**os.environ, **variables}
    subprocess.run((program, "kube", "play", manifest), check=True, capture_output=True, env=environment)
    try:
        yield
    finally:
        subprocess.run((program, "kube", "down", manifest), check=True, capture_output=True, env=environment)


def answers(served: Deployment) -> bool:
    """Whether the server of a pod answers by now."""
    try:
        served.ask(1.0)
    except (OSError, http.client.HTTPException):
        return False
    return True


def test_the_manifest_for_a_cluster_is_run_by_podman(
    versions: Versions, podman: dict[str, str], podman_program: str, tmp_path: Path
) -> None:
    """
    As the user of the image, on a read-only file system and without capabilities; a wrong version answers wrong there.
    """
    settings = KubernetesSettings(target="kubernetes", replicas=1)
    seen = {}
    for name in ("first", "wrong"):
        served = Deployment(consumer=versions.sample.consumer, name=new_name(), target="podman", variables=podman)
        pod = PodSpec(
            deployment=served.name,
            slot="blue",
            image=f"localhost/{versions.tags[name]}",
            facts={"version": versions.numbers[name]},
            settings=settings,
            start_s=120,
            request_s=60,
        )
        deployment = json.loads(json.dumps(workload(pod, settings, KEYS)[0]))
        (container,) = deployment["spec"]["template"]["spec"]["containers"]
        container["ports"][0] |= {"hostIP": "127.0.0.1", "hostPort": served.port}  # in place of the Service
        manifest = tmp_path / f"{name}.yaml"
        manifest.write_text(json.dumps(deployment))
        with played(manifest, podman_program, podman):
            assert happens(partial(answers, served))
            shown = "{{.HostConfig.ReadonlyRootfs}} {{.Config.User}} {{len .EffectiveCaps}}"
            argv = (podman_program, "inspect", "--format", shown, f"{pod.name}-pod-0-{CONTAINER}")
            done = subprocess.run(argv, capture_output=True, text=True, check=True, env=served.environment)
            seen[name] = (done.stdout.split(), served.ask(4.0))

    limits = ["true", "65532:65532", "0"]
    assert {"first": (limits, 8.0), "wrong": (limits, 12.0)} == seen
