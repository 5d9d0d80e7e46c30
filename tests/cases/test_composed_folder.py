"""A folder with the layers of a composed image, which an engine builds without this program and without a network."""

import json
import subprocess
import tarfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from mlflow_uv.command.errors import BadInput
from mlflow_uv.command.inputs import Serving
from mlflow_uv.core.image.composition import Compression, digest_of
from mlflow_uv.core.image.dockerfile import MODEL, SERVING, VENV
from mlflow_uv.ops.image.builders import ComposeRequest
from mlflow_uv.ops.image.composing import compose_context
from tests.registries import registry

from .composed import push_base, tiny_release
from .images import inspect_image, layer_entries, remove_image, run_in, saved_layers
from .sample_project import SampleProject
from .test_composed_step import COMPOSE

SETTINGS = ("Entrypoint", "Env", "ExposedPorts", "Healthcheck", "Labels", "StopSignal", "User", "WorkingDir")


def request(base: str, *platforms: str) -> ComposeRequest:
    return ComposeRequest(
        name=None,
        base=base,
        base_layout=None,
        platforms=platforms,
        serving=Serving.LOCKED,
        layers_from=None,
        compression=Compression.ZSTD,
        push=False,
        oci_layout=None,
    )


def entries(layers: Sequence[Path]) -> list[dict[str, Any]]:
    """What is in layers; Docker writes the type into the mode, too, and BuildKit adds an empty layer for WORKDIR."""
    found = ({name: (*e[:2], e[2] & 0o7777, *e[3:]) for name, e in layer_entries(layer).items()} for layer in layers)
    return [layer for layer in found if layer]


def differing(composed: Sequence[Path], built: Sequence[Path]) -> list[str]:
    """What layers have otherwise or in addition, but for the folders of the base above what is added."""
    return [
        name
        for mine, theirs in zip(entries(composed), entries(built), strict=True)
        for name in mine.keys() | theirs.keys()
        if mine.get(name) != theirs.get(name) and (name in mine or theirs[name][0] != tarfile.DIRTYPE)
    ]


def test_a_folder_has_the_layers_of_the_image_and_adds_them_to_the_base_by_its_digest(
    tmp_path: Path, registry_program: str
) -> None:
    """
    In the order of the image, compressed by gzip, and no other file; of several platforms there would be several.
    """
    with registry(tmp_path, registry_program) as host:
        (tmp_path / "one").mkdir()
        with tiny_release(tmp_path / "one") as tiny:
            push_base(f"{host}/base:1", tmp_path / "base", tiny.tools)
            image, base = tiny.compose(f"{host}/base:1")
            listing = tiny.with_listed_requirements()
            folder = tmp_path / "context"
            made = compose_context(request(f"{host}/base:1"), folder, listing.release, None, tiny.tools)
            with pytest.raises(BadInput, match="a build context of layers is for one platform"):
                compose_context(request("b", "linux/amd64", "linux/arm64"), None, listing.release, None, tiny.tools)

    lines = made.dockerfile.splitlines()
    added = [line.split()[1] for line in lines if line.startswith("ADD ")]
    assert f"FROM {host}/base:1@{base.described.digest}" == lines[0]
    own = [blob.digest for blob in image.image.blobs[-image.own_layers :]]
    assert own == [digest_of((folder / name).read_bytes()) for name in added]
    files = {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}
    assert {"Dockerfile", "README.md", *added} == files


@pytest.mark.engine
def test_an_engine_adds_the_layers_as_they_are(tmp_path: Path, registry_program: str) -> None:
    """
    Nothing is started in the build: each layer has the entries of its archive, and the image has the same settings.
    """
    with registry(tmp_path, registry_program) as host, tiny_release(tmp_path / "one") as tiny:
        push_base(f"{host}/base:1", tmp_path / "base", tiny.tools, {"tmp/": None})
        folder, name = tmp_path / "context", f"{host}/by-hand:1"
        compose_context(request(f"{host}/base:1"), folder, tiny.release, None, tiny.tools)
        image, _ = tiny.with_listed_requirements().compose(f"{host}/base:1")
        subprocess.run(("docker", "build", "--quiet", "--network=none", "--tag", name, folder), check=True)
        held, layers = inspect_image(name)["Config"], saved_layers(name, tmp_path / "saved")
        remove_image(name)

    own = [image.archives[blob.digest] for blob in image.image.blobs[-image.own_layers :]]
    assert [] == differing(own, layers[2:])
    settings = json.loads(image.image.config)["config"]
    assert {name: settings[name] for name in SETTINGS} == {name: held[name] for name in SETTINGS}


@pytest.mark.extended
@pytest.mark.engine
def test_an_engine_builds_the_composed_image_from_a_folder(sample: SampleProject, image: str, tmp_path: Path) -> None:
    """
    Without a network: each file with its mode, owner and date, and every setting, is that of the composed image.
    """
    folder, by_hand = tmp_path / "context", f"{image}-hand"

    made = sample.run(*COMPOSE, "--engine", "docker", "--context", str(folder))
    printed = sample.consumer.run(*COMPOSE, "--engine", "docker", "--print-dockerfile", "--format", "text")
    composed = sample.run(*COMPOSE, "--engine", "docker", "--image", image)
    subprocess.run(("docker", "build", "--quiet", "--network=none", "--tag", by_hand, folder), check=True)
    mine, theirs = inspect_image(image)["Config"], inspect_image(by_hand)["Config"]
    held = json.loads(run_in(by_hand, f"{VENV}/bin/python", "-I", f"{SERVING}/inventory.py", MODEL))
    layers = [saved_layers(name, tmp_path / f"saved{at}") for at, name in enumerate((image, by_hand))]
    remove_image(by_hand)

    assert (0, "", 0) == (made.code, made.outputs["image"], composed.code), made.stderr + composed.stderr
    assert (folder / "Dockerfile").read_text() == printed.stdout
    assert {name: mine[name] for name in SETTINGS} == {name: theirs[name] for name in SETTINGS}
    assert [] == differing(*layers)
    assert MODEL == held["serves"]
