"""An image that a job has pushed, for the jobs that come after it on other machines."""

import json
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.registries import digest_in, registry

from .images import BASE, remove_image
from .sample_project import SampleProject

# Another machine: its engine does not answer.
ELSEWHERE = {"DOCKER_HOST": "unix:///nonexistent.sock", "CONTAINER_HOST": "unix:///nonexistent.sock"}

pytestmark = pytest.mark.engine


@pytest.fixture(scope="module")
def host(tmp_path_factory: pytest.TempPathFactory, registry_program: str) -> Iterator[str]:
    """A registry."""
    with registry(tmp_path_factory.mktemp("registry"), registry_program) as name:
        yield name


@pytest.mark.extended
def test_what_is_pushed_is_promoted_on_another_machine(sample: SampleProject, image: str, host: str) -> None:
    """
    One that was built and not pushed is refused there, with what mends it; after that, the registry is enough.
    """
    alone = [sample.run("build-image", "--engine", "docker", "--image", image), sample.run("smoke-test")]

    refused = sample.run("promote", variables=ELSEWHERE)
    # The fix that it prints.
    pushed = sample.run("release", "--engine", "docker", "--push", "--image", f"{host}/Cellar/Wine")
    name = pushed.outputs["image"]
    remove_image(pushed.outputs["image-id"])
    promoted = sample.run("promote", variables=ELSEWHERE)

    assert [0, 0, 0] == [result.code for result in (*alone, pushed)], pushed.stderr
    assert (1, ["gate-allow-unverified"]) == (refused.code, refused.rules), refused.stderr
    fix = refused.answer["findings"][0]["fix"]
    assert "mlflow-uv release --push --image REGISTRY/NAME" in fix
    assert f"{host}/cellar/wine:{pushed.outputs['version']}" == name
    assert (0, True) == (promoted.code, promoted.outputs["promoted"]), promoted.stderr


@pytest.mark.extended
def test_what_another_machine_pushed_is_pulled_and_tested(sample: SampleProject, host: str) -> None:
    """
    The job that tests need not be the one that built; what it starts is what has the recorded digest.
    """
    built = sample.run("build-image", "--engine", "docker", "--push", "--image", f"{host}/cellar/tested")
    remove_image(built.outputs["image-id"])

    tested = sample.run("smoke-test")

    record = json.loads(sample.consumer.record.read_text())
    remove_image(built.outputs["image-id"])
    assert (0, "tested", "image") == (tested.code, tested.outputs["state"], record["answers"]["served_by"]), (
        tested.stderr
    )
    assert digest_in(host, "cellar/tested", "1")[1] == record["image"]["digest"] == built.outputs["image-digest"]


@pytest.mark.extended
def test_a_promotion_warns_of_a_name_that_another_version_took(sample: SampleProject, host: str) -> None:
    """
    The version is identified by its digest: the alias moves, and the warning has the address that starts it.
    """
    name = f"{host}/cellar/shared:prod"
    built = sample.run("build-image", "--engine", "docker", "--push", "--image", name)
    tested = sample.run("smoke-test")
    remove_image(built.outputs["image-id"])
    labels = {"mlflow-uv.model-sha256": "f" * 64, "org.opencontainers.image.title": "wine"}
    labels["org.opencontainers.image.version"] = "99"
    recipe = f"FROM {BASE}\n" + "".join(f"LABEL {key}={value}\n" for key, value in labels.items())
    subprocess.run(("docker", "build", "--tag", name, "-"), input=recipe.encode(), check=True, capture_output=True)
    for words in (("push", "--quiet", name), ("rmi", name)):
        subprocess.run(("docker", *words), check=True, capture_output=True)

    promoted = sample.run("promote", variables=ELSEWHERE)

    assert [0, 0] == [built.code, tested.code], tested.stderr
    assert (0, True, ["image-name-reused"]) == (promoted.code, promoted.outputs["promoted"], promoted.rules)
    (warning,) = promoted.answer["findings"]
    assert warning["why"].endswith("now points to the image of wine version 99")
    assert f"start it as {host}/cellar/shared@{built.outputs['image-digest']}" == warning["fix"]


@pytest.mark.extended
def test_another_image_under_the_name_breaks_the_chain(sample: SampleProject, host: str) -> None:
    """
    Who starts it by its name gets what nobody released: neither an audit nor a promotion passes over that.
    """
    name = f"{host}/cellar/swapped"
    built = sample.run("build-image", "--engine", "docker", "--push", "--image", name)
    tested = sample.run("smoke-test")
    remove_image(built.outputs["image-id"])
    for words in (("tag", BASE, built.outputs["image"]), ("push", "--quiet", built.outputs["image"])):
        subprocess.run(("docker", *words), check=True, capture_output=True)
    subprocess.run(("docker", "rmi", built.outputs["image"]), check=True, capture_output=True)

    refused = sample.run("promote", variables=ELSEWHERE)
    audited = sample.run("audit", "models:/wine@candidate")

    assert (0, 1, ["gate-chain"]) == (tested.code, refused.code, refused.rules), refused.stderr
    assert (1, ["image"]) == (audited.code, audited.outputs["broken"])
    assert "`image` of wine version 1 does not hold: the record says " in audited.stderr
    assert {"candidate": "1"} == sample.store.aliases


@pytest.mark.extended
def test_a_registry_that_does_not_answer_is_said(sample: SampleProject, tmp_path: Path, registry_program: str) -> None:
    """
    Where the engine has the image, it will do; elsewhere nobody can tell, and an audit says whom it could not ask.
    """
    with registry(tmp_path, registry_program) as host:
        built = sample.run("build-image", "--engine", "docker", "--push", "--image", f"{host}/cellar/wine")
        tested = sample.run("smoke-test")

    here = sample.run("audit", "models:/wine@candidate")
    there = sample.run("audit", "models:/wine@candidate", variables=ELSEWHERE)
    remove_image(built.outputs["image-id"])

    assert [0, 0, 0, 0] == [result.code for result in (built, tested, here, there)], there.stderr
    assert ([], ["image"]) == (here.outputs["unverified"], there.outputs["unverified"])
    assert "127.0.0.1 does not answer" in there.stderr
    assert f"reach {host} from here; do this where docker has it" == there.answer["findings"][0]["fix"]
