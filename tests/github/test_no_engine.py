"""A job on a machine that has no container engine: the image is composed, pushed, and tested from its own layers."""

import os
import subprocess
from pathlib import Path

import pytest

from tests.cases.images import BASE
from tests.github.act import Consumer
from tests.registries import digest_in, registry

pytestmark = [pytest.mark.engine, pytest.mark.extended]
ENGINES = {"docker", "podman", "buildah", "skopeo", "nerdctl"}
RELEASE = """
on: push
jobs:
  release:
    runs-on: ubuntu-latest
    steps:
      - uses: actions/checkout@v7
      - run: "! command -v docker && ! command -v podman"
      - id: release
        uses: ACTION@v1
        with:
          embedded: true
          push: true
          image: {host}/team/wine
          base-image: {host}/base:1
"""


def without_engines(folder: Path, path: str) -> str:
    """A PATH of one folder that leads to every program of another PATH but engines."""
    folder.mkdir()
    for place in map(Path, path.split(os.pathsep)):
        for program in place.iterdir() if place.is_dir() else ():
            link = folder / program.name
            if program.name not in ENGINES and not link.is_symlink():
                link.symlink_to(program)
    return str(folder)


def test_an_image_is_released_by_a_job_without_an_engine(
    wine: Consumer, tmp_path: Path, registry_program: str, actions: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    """
    No setting asks for it; a notice says that a process was tested, which has the packages of the layers.
    """
    ours, _, machine = os.environ["PATH"].partition(os.pathsep)
    monkeypatch.setenv("PATH", f"{ours}{os.pathsep}{without_engines(tmp_path / 'programs', machine)}")
    docker = next(str(place) for place in map(Path, machine.split(os.pathsep)) if (place / "docker").exists())
    with registry(tmp_path, registry_program) as host:
        for argv in (("tag", BASE, f"{host}/base:1"), ("push", "--quiet", f"{host}/base:1")):
            subprocess.run((f"{docker}/docker", *argv), check=True, capture_output=True)

        run = wine.run(RELEASE.format(host=host), options=actions)
        _, digest = digest_in(host, "team/wine", "1")

    subprocess.run((f"{docker}/docker", "image", "rm", f"{host}/base:1"), check=True, capture_output=True)
    assert run.ok, run.log[-6000:]
    outputs = run.outputs["release"]
    assert ("tested", "image", digest) == (outputs["state"], outputs["served-by"], outputs["image-digest"])
    assert "composed of" in run.log
    assert any("the packages are those of the layers of the image" in found.message for found in run.of("notice"))
