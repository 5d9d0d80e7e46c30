"""Podman takes a composed image, and starts it; skopeo and Podman read its layout."""

import json
import shutil
import subprocess
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from .podman_storage import podman_storage_in
from .sample_project import SampleProject
from .test_composed_step import COMPOSE

pytestmark = [pytest.mark.engine, pytest.mark.extended]


@pytest.fixture(scope="module")
def podman_settings(tmp_path_factory: pytest.TempPathFactory, podman_program: str) -> Iterator[dict[str, str]]:
    """Variables of a Podman that has Docker's base image, in a place of its own."""
    with podman_storage_in(tmp_path_factory.mktemp("podman"), podman_program) as variables:
        yield variables


def asked(podman_settings: Mapping[str, str], *words: object) -> str:
    """What a program answers that has Podman's storage."""
    path = {"PATH": str(Path(shutil.which("podman") or "/usr/bin/podman").parent) + ":/usr/bin:/bin:/usr/sbin:/sbin"}
    argv = tuple(map(str, words))
    done = subprocess.run(argv, capture_output=True, text=True, check=False, env={**podman_settings, **path})
    assert done.returncode == 0, f"{argv}: {done.stderr}"
    return done.stdout


def test_podman_starts_a_composed_image(sample: SampleProject, tmp_path: Path, podman_settings: dict[str, str]) -> None:
    """
    It has the computed id, and answers as training did; skopeo reads its layout, and Podman gets the same image of it.
    """
    layout = tmp_path / "layout"
    flags = ("--engine", "podman", "--image", "localhost/composed-wine:1", "--oci-layout", str(layout))

    made = sample.run(*COMPOSE, *flags, variables=podman_settings)
    assert made.code == 0, made.stderr
    tested = sample.run("smoke-test", variables=podman_settings)

    assert (0, "tested") == (tested.code, tested.outputs["state"]), tested.stderr
    record = json.loads(sample.consumer.record.read_text())["image"]
    held = json.loads(asked(podman_settings, "podman", "image", "inspect", "localhost/composed-wine:1"))[0]
    (entry,) = json.loads((layout / "index.json").read_text())["manifests"]
    manifest = json.loads((layout / "blobs" / entry["digest"].replace(":", "/")).read_text())
    computed = manifest["config"]["digest"].removeprefix("sha256:")
    assert ("podman", computed, computed) == (record["engine"], record["id"].removeprefix("sha256:"), held["Id"])
    inspected = json.loads(asked(podman_settings, "skopeo", "inspect", f"oci:{layout}:1"))
    assert (entry["digest"], [layer["digest"] for layer in manifest["layers"]]) == (
        inspected["Digest"],
        inspected["Layers"],
    )
    asked(podman_settings, "podman", "image", "rm", "--force", "localhost/composed-wine:1")
    asked(podman_settings, "podman", "pull", "--quiet", f"oci:{layout}:1")
    assert f"sha256:{computed}" in asked(podman_settings, "podman", "images", "--no-trunc", "--format", "{{.ID}}")
