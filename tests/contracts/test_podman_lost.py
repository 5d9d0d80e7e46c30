"""Contract: what Podman says of a container that was killed together with its monitor, and what runs it again."""

import os
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from mlflow_uv.tools.engines.deployed import ContainerSpec, PodmanContainers
from mlflow_uv.tools.engines.podman import Podman
from mlflow_uv.tools.system.process import SystemRunner
from tests.cases.images import BASE
from tests.cases.podman_storage import podman_storage_in
from tests.waiting import happens

pytestmark = [pytest.mark.engine, pytest.mark.extended]


@pytest.fixture
def variables(podman_program: str, tmp_path: Path) -> Iterator[dict[str, str]]:
    """The variables of a Podman with storage of its own."""
    with podman_storage_in(tmp_path, podman_program) as found:
        yield {**os.environ, **found}


@pytest.fixture
def deployment(variables: dict[str, str]) -> Iterator[PodmanContainers]:
    """A deployment of that Podman; nothing of it is left."""
    containers = PodmanContainers(Podman(SystemRunner(), variables=variables, on_line=print), "lost")
    yield containers
    for container in containers.all():
        containers.stop(container, grace_s=0)
    containers.remove()


def kill(name: str, podman_program: str, variables: dict[str, str]) -> None:
    """Kill a container, its monitor first: that would start it again."""
    argv = (podman_program, "inspect", "--format", "{{.State.ConmonPid}} {{.State.Pid}}", name)
    done = subprocess.run(argv, check=True, capture_output=True, text=True, env=variables)
    for number in done.stdout.split():
        os.kill(int(number), signal.SIGKILL)


def test_a_container_that_was_killed_with_its_monitor_is_created_again_and_not_started(
    deployment: PodmanContainers, podman_program: str, variables: dict[str, str]
) -> None:
    """
    Podman says that it runs, and `podman start` does nothing, or refuses to; another container of its name runs.
    """
    spec = ContainerSpec(
        part="proxy",
        image=f"localhost/{BASE}",
        facts={},
        volume="/kept",
        command=("python", "-m", "http.server"),
    )
    name = deployment.create(spec)
    deployment.start(name)
    (before,) = deployment.all()
    deployment.write(name, "/kept/file", "kept")
    kill(name, podman_program, variables)

    assert happens(lambda: not deployment.all()[0].running)
    (lost,) = deployment.all()
    deployment.start(name)  # Podman says that it did
    (started,) = deployment.all()
    deployment.stop(lost, grace_s=0)
    deployment.start(deployment.create(spec))
    (again,) = deployment.all()

    assert [(True, True), (False, False), (False, False), (True, True)] == [
        (container.running, container.startable) for container in (before, lost, started, again)
    ]
    assert (137, "kept") == (lost.exit_code, deployment.read(name, "/kept/file"))
