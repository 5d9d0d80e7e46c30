"""An engine whose own settings lead to a base, in a mirror that the program does not know."""

import json
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.engines import engine_of_another_machine
from tests.registries import registry

from .images import BASE, remove_image
from .podman_storage import podman_storage_in
from .sample_project import SampleProject

pytestmark = [pytest.mark.engine, pytest.mark.extended]
TEAM = "mlflow-uv-test/base"
SETTINGS = """
[[registry]]
prefix = "base.invalid"
location = "base.invalid"

[[registry.mirror]]
location = "{host}"
insecure = true
"""


@pytest.fixture
def host(tmp_path: Path, registry_program: str) -> Iterator[str]:
    """A registry that has the base, as a team keeps it."""
    with registry(tmp_path, registry_program) as host:
        name = f"{host}/{TEAM}:1"
        subprocess.run(("docker", "tag", BASE, name), check=True)
        subprocess.run(("docker", "push", "--quiet", name), check=True, capture_output=True)
        remove_image(name)
        yield host


@pytest.fixture
def podman_settings(tmp_path: Path, podman_program: str, host: str) -> Iterator[dict[str, str]]:
    """Variables of a Podman with a storage and settings of its own."""
    (tmp_path / "podman").mkdir()
    with podman_storage_in(tmp_path / "podman", podman_program) as variables:
        Path(variables["CONTAINERS_REGISTRIES_CONF"]).write_text(SETTINGS.format(host=host))
        yield variables


def test_podman_gets_a_base_from_its_mirror(sample: SampleProject, podman_settings: dict[str, str]) -> None:
    """
    The program does not know the mirror: the image is composed on the copy that Podman pulled, and a notice says so.
    """
    flags = ("--engine", "podman", "--image", "localhost/mirrored:1", "--base-image", f"base.invalid/{TEAM}:1")

    made = sample.run("build-image", "--builder", "compose", *flags, variables=podman_settings)
    tested = sample.run("smoke-test", variables=podman_settings)

    assert (0, True) == (made.code, "base-from-engine" in made.rules), made.stderr
    assert (0, "tested") == (tested.code, tested.outputs["state"]), tested.stderr
    record = json.loads(sample.consumer.record.read_text())["image"]
    assert ("engine", f"base.invalid/{TEAM}:1") == (record["composition"]["layers_of_base"], record["base"])


def test_docker_gets_a_base_from_the_mirror_of_its_daemon(sample: SampleProject, host: str) -> None:
    """
    As `registry-mirrors` in daemon.json: for names of Docker Hub, which has no such image.
    """
    flags = ("--engine", "docker", "--image", "mirrored:1", "--base-image", f"{TEAM}:1")

    with engine_of_another_machine(f"--registry-mirror=http://{host}") as address:
        variables = {"DOCKER_HOST": address}
        made = sample.run("build-image", "--builder", "compose", *flags, variables=variables)
        tested = sample.run("smoke-test", variables=variables)

    assert (0, True) == (made.code, "base-from-engine" in made.rules), made.stderr
    assert (0, "tested") == (tested.code, tested.outputs["state"]), tested.stderr
