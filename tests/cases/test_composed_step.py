"""The step composes an image: with an engine that tests it, and without one, pushed to a registry."""

import json
import shutil
import signal
import subprocess
import tarfile
from pathlib import Path

import pytest

from mlflow_uv.core.image.dockerfile import MODEL, SERVING, VENV
from tests.registries import digest_in, registry

from .composed import push_bases, tiny_release
from .images import BASE, inspect_image, remove_image, run_in
from .sample_project import SampleProject, error
from .test_cancel import is_running

pytestmark = [pytest.mark.engine, pytest.mark.extended]
NOWHERE = {"DOCKER_HOST": "unix:///nonexistent.sock", "CONTAINER_HOST": "unix:///nonexistent.sock"}
COMPOSE = ("build-image", "--builder", "compose")


def test_a_composed_image_answers_as_training_did(sample: SampleProject, image: str) -> None:
    """
    It has the labels, the packages, the SBOM and the record of a built one.
    """
    made = sample.run(*COMPOSE, "--engine", "docker", "--image", image)
    tested = sample.run("smoke-test")

    assert (0, "tested") == (tested.code, tested.outputs["state"]), made.stderr + tested.stderr
    held = json.loads(run_in(image, f"{VENV}/bin/python", "-I", f"{SERVING}/inventory.py", MODEL))
    bill = json.loads(Path(made.outputs["image-sbom"]).read_text())
    components = sorted((component["name"], component["version"]) for component in bill["components"])
    assert components == [tuple(package) for package in held["installed"]]
    record, labels = json.loads(sample.consumer.record.read_text()), inspect_image(image)["Config"]["Labels"]
    assert ("docker", "image", made.outputs["image-id"]) == tuple(
        record["image"][key] for key in ("engine", "kind", "id")
    )
    assert {record[link]["sha256"]: f"mlflow-uv.{link}-sha256" for link in ("lock", "model", "requirements")} == {
        labels[name]: name for name in labels if name.endswith("-sha256")
    }
    assert (BASE, "locked") == (labels["org.opencontainers.image.base.name"], labels["mlflow-uv.serving"])


def test_an_image_is_composed_without_an_engine_and_tested_where_there_is_one(
    sample: SampleProject, tmp_path: Path, registry_program: str
) -> None:
    """
    Pushed by its digest, which the layout has too; the engine that tests it pulls it by that.
    """
    with registry(tmp_path, registry_program) as host:
        base, name = f"{host}/base:1", f"{host}/cellar/wine:7"
        subprocess.run(("docker", "tag", BASE, base), check=True)
        subprocess.run(("docker", "push", "--quiet", base), check=True, capture_output=True)
        flags = ("--engine", "none", "--push", "--image", name, "--base-image", base)
        made = sample.run(*COMPOSE, *flags, "--oci-layout", str(tmp_path / "layout"), variables=NOWHERE)
        assert 0 == made.code, made.stderr
        in_process = sample.run("smoke-test", variables=NOWHERE)
        tested = sample.run("smoke-test")
        pushed = digest_in(host, "cellar/wine", "7")[1]
        subprocess.run(("skopeo", "inspect", f"oci:{tmp_path / 'layout'}"), check=True, capture_output=True)
        remove_image(f"{host}/cellar/wine@{pushed}")
        remove_image(base)
        unreachable = sample.run(*COMPOSE, *flags[:-1], f"{host}/base:2", variables=NOWHERE)

    (entry,) = json.loads((tmp_path / "layout" / "index.json").read_text())["manifests"]
    assert (0, "tested") == (in_process.code, in_process.outputs["state"]), in_process.stderr
    assert "the layers of the image, unpacked on this machine" in in_process.stderr + in_process.stdout
    assert [pushed, pushed] == [made.outputs["image-digest"], entry["digest"]]
    assert (0, "tested") == (tested.code, tested.outputs["state"]), tested.stderr
    code, kind, what, _ = error(unreachable)
    assert (12, "BaseImageMissing") == (code, kind)
    assert "cannot be read from its registry" in what


def test_images_for_two_platforms_are_pushed_and_the_one_of_this_machine_is_tested(
    sample: SampleProject, tmp_path: Path, registry_program: str
) -> None:
    """
    Each has the compiled packages of its own platform, from the wheels of one lock; the others are not started.
    """
    with registry(tmp_path, registry_program) as host:
        (tmp_path / "tiny").mkdir()
        with tiny_release(tmp_path / "tiny") as tiny:
            push_bases(f"{host}/base:1", tmp_path / "bases", tiny.tools)
        flags = ("--engine", "none", "--push", "--image", f"{host}/wine:7", "--base-image", f"{host}/base:1")
        layout = tmp_path / "layout"
        platforms = ("--platforms", "linux/arm64,linux/amd64", "--oci-layout", str(layout))
        made = sample.run(*COMPOSE, *flags, *platforms, variables=NOWHERE)
        tested = sample.run("smoke-test", variables=NOWHERE)
        found = digest_in(host, "wine", "7")[1]

    assert (0, found) == (made.code, made.outputs["image-digest"]), made.stderr
    assert (0, "tested") == (tested.code, tested.outputs["state"]), tested.stderr
    assert ("platforms-not-tested" in tested.rules, "platforms-not-tested" in made.rules) == (True, False)
    machines = {"arm64": 183, "amd64": 62}  # of ELF
    index = json.loads((layout / "blobs" / found.replace(":", "/")).read_text())
    assert {name: {machine} for name, machine in machines.items()} == {
        entry["platform"]["architecture"]: machines_of(layout, entry["digest"]) for entry in index["manifests"]
    }


def machines_of(layout: Path, digest: str) -> set[int]:
    """The machines for which the shared libraries of an image in a layout are."""
    manifest = json.loads((layout / "blobs" / digest.replace(":", "/")).read_text())
    found = set()
    for layer in manifest["layers"]:
        with tarfile.open(layout / "blobs" / layer["digest"].replace(":", "/")) as tar:
            for entry in tar:
                if (
                    ".so" in entry.name
                    and (file := tar.extractfile(entry))
                    and (head := file.read(20))[:4] == b"\x7fELF"
                ):
                    found.add(int.from_bytes(head[18:20], "little"))
    return found


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT], ids=["SIGTERM", "SIGINT"])
def test_composing_that_is_cancelled_leaves_nothing(sample: SampleProject, image: str, number: signal.Signals) -> None:
    """
    No process, no folder, no half-written layer, no image; the next attempt takes what is whole.
    """
    shutil.rmtree(sample.consumer.home / "cache" / "layers", ignore_errors=True)
    flags = (*COMPOSE, "--engine", "docker", "--image", image)

    result = sample.cancel(*flags, when=lambda: any(sample.temporary.glob("mlflow-uv-layers-*/bytecode/*")), by=number)
    running = is_running(f"{sample.temporary}/mlflow-uv-layers-")  # the interpreter that compiles
    left = [path.name for path in (sample.consumer.home / "cache").rglob(".new-*")]
    found = subprocess.run(("docker", "image", "inspect", image), capture_output=True, check=False)
    again = sample.run(*flags)

    assert (128 + number, False, [], 1) == (result.code, running, left, found.returncode)
    assert 0 == again.code, again.stderr
