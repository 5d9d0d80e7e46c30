"""The step that builds images, as a person runs it."""

import json
import re
import secrets
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from mlflow_uv.core.image.dockerfile import MODEL, SERVING, VENV
from mlflow_uv.core.image.layers import LARGE, PACKAGES
from mlflow_uv.core.model.model_files import HASHED
from mlflow_uv.ops.image.environment import mismatches, needs_in
from mlflow_uv.tools.uv.network import build_secrets
from tests.registries import digest_in, registry

from .images import BASE, LayerEntry, built, inspect_image, layer_entries, remove_image, run_in, saved_layers
from .sample_project import SampleProject, error

BAD_INPUT, UNFIT = 2, 18
ANOTHER = "RUN rm python3 && printf '#!/bin/sh\\necho 3.12.1' > python3 && chmod +x python3\n"
# Which packages have bytecode: the server and the model start with it, and MLflow's own server is never started.
COMPILED = """\
import json, os
from importlib.util import find_spec
names = ("mlflow", "pandas", "uvicorn", "sqlalchemy")
print(json.dumps({name: os.path.exists(find_spec(name).cached) for name in names}))
"""
NOWHERE = {"DOCKER_HOST": "unix:///nonexistent.sock", "CONTAINER_HOST": "unix:///nonexistent.sock"}


@pytest.fixture
def base(tmp_path: Path) -> Iterator[Callable[[str], str]]:
    """Make a base image of a Dockerfile."""
    names: list[str] = []

    def make(text: str) -> str:
        (tmp_path / "Dockerfile").write_text(text)
        names.append(f"mlflow-uv-test-{secrets.token_hex(4)}:base")
        subprocess.run(("docker", "build", "--quiet", "--tag", names[-1], tmp_path), check=True, capture_output=True)
        return names[-1]

    yield make
    for name in names:
        remove_image(name)


def differing(mine: list[dict[str, LayerEntry]], theirs: list[dict[str, LayerEntry]]) -> list[str]:
    """Names of the files, of two images of as many layers, whose bytes, mode, owner or date differ."""
    return [
        name
        for one, other in zip(mine, theirs, strict=True)
        for name in one.keys() | other.keys()
        if one.get(name) != other.get(name)
    ]


@pytest.mark.extended
@pytest.mark.engine
def test_a_slim_image_answers_as_training_did(sample: SampleProject, image: str) -> None:
    """
    Without MLflow's own server it holds less, says so, lists what it holds, and passes the same test.
    """
    built = sample.run("build-image", "--engine", "docker", "--serving", "slim", "--image", image)
    tested = sample.run("smoke-test")

    result = json.loads(run_in(image, f"{VENV}/bin/python", "-I", f"{SERVING}/inventory.py", MODEL))
    bill = json.loads(Path(built.outputs["image-sbom"]).read_text())
    record = json.loads(sample.consumer.record.read_text())["image"]
    assert (0, "tested") == (tested.code, tested.outputs["state"]), tested.stderr
    assert ("slim", "docker", "slim") == (
        record["serving"], record["engine"], inspect_image(image)["Config"]["Labels"]["mlflow-uv.serving"],
    )  # fmt: skip
    assert [tuple(one) for one in result["installed"]] == sorted(
        (one["name"], one["version"]) for one in bill["components"]
    )
    assert {"mlflow", "sqlalchemy"}.isdisjoint(name for name, _ in result["installed"])
    lacking = mismatches(needs_in(sample.consumer.model), json.dumps(result))
    assert "mlflow is not installed" in lacking, "one set does not pass for the other"


@pytest.mark.engine
@pytest.mark.extended
def test_an_image_is_pushed_where_its_name_says(sample: SampleProject, tmp_path: Path, registry_program: str) -> None:
    """
    The digest that is put out and recorded is the registry's own; what has it there is the image that was tested.
    """
    with registry(tmp_path, registry_program) as host:
        name = f"{host}/cellar/wine:7"
        result = sample.run("build-image", "--engine", "docker", "--push", "--image", name)
        _, expected = digest_in(host, "cellar/wine", "7")
        remove_image(name)
        tested = sample.run("smoke-test")
        pulled = subprocess.run(("docker", "pull", "--quiet", f"{host}/cellar/wine@{expected}"), check=False)
        same = inspect_image(f"{host}/cellar/wine@{expected}")["Id"]
        remove_image(f"{host}/cellar/wine@{expected}")

    record = json.loads(sample.consumer.record.read_text())["image"]
    assert (expected, expected, result.outputs["image-id"]) == (result.outputs["image-digest"], record["digest"], same)
    assert (0, 0) == (pulled.returncode, tested.code), "what is not here any more is fetched by its digest"


@pytest.mark.core_variants(1)
@pytest.mark.engine
@pytest.mark.parametrize(
    ("dockerfile", "sentence"),
    [
        (
            f"FROM {BASE}\nWORKDIR /usr/local/bin\n{ANOTHER}",
            "has Python 3.12.1: the model needs 3.11",
        ),
        pytest.param("FROM scratch\nLABEL a=b\nENV c=d\n", "has no Python", marks=pytest.mark.extended),
        pytest.param(
            f"FROM {BASE}\nRUN rm /usr/local/bin/python*\nENV PATH=/usr/local/bin\n",
            "has no Python",
            marks=pytest.mark.extended,
        ),
        (f"FROM {BASE}\nRUN mkdir /opt/venv && touch /opt/venv/x\n", "has something in /opt/venv"),
    ],
    ids=["another minor", "nothing at all", "no Python", "an environment already"],
)
def test_a_base_image_with_another_python_is_refused_before_the_build(
    sample: SampleProject, base: Callable[[str], str], image: str, dockerfile: str, sentence: str
) -> None:
    """
    Nothing is built on it, and the message says which Python the model needs.
    """
    name = base(dockerfile)
    # A program that is not Python is not taken for it where the files of a base are read.
    builder = "engine" if ANOTHER in dockerfile else "auto"

    result = sample.run(
        "build-image", "--builder", builder, "--engine", "docker", "--base-image", name, "--image", image
    )

    code, kind, told, fix = error(result)
    assert (UNFIT, "BaseImageUnfit") == (code, kind)
    assert sentence in told
    assert "3.11" in fix
    assert 0 != subprocess.run(("docker", "image", "inspect", image), capture_output=True, check=False).returncode


@pytest.mark.extended
@pytest.mark.engine
def test_a_folder_builds_by_hand_what_the_step_builds(sample: SampleProject, image: str, tmp_path: Path) -> None:
    """
    `docker build FOLDER`, with what reaches packages from here, makes layers of the same files with the same labels.
    """
    folder = tmp_path / "context"
    network = [f"id={name},src={path}" for name, path in build_secrets(tmp_path, sample.consumer.variables, {}).items()]
    words = [word for secret in network for word in ("--secret", secret)]

    made = sample.run("build-image", "--context", str(folder))
    lists = [(folder / part / "requirements.txt").read_text() for part in (LARGE, PACKAGES)]
    done = sample.run("build-image", "--builder", "engine", "--engine", "docker", "--image", image)
    subprocess.run(("docker", "build", "--quiet", *words, "--tag", f"{image}-hand", folder), check=True)
    mine, theirs = inspect_image(image), inspect_image(f"{image}-hand")
    compiled = json.loads(run_in(f"{image}-hand", f"{VENV}/bin/python", "-I", "-c", COMPILED))
    layers = [
        [layer_entries(layer) for layer in saved_layers(name, tmp_path / f"saved{number}")]
        for number, name in enumerate((image, f"{image}-hand"))
    ]
    remove_image(f"{image}-hand")

    assert (0, "", 0) == (made.code, made.outputs["image"], done.code)
    # Not their digests: an engine whose cache has a layer under another parent packs the same files in another order.
    assert [len(mine["RootFS"]["Layers"]), []] == [len(layers[0]), differing(*layers)]
    assert sorted((sample.consumer.model / HASHED).read_text().splitlines()) == sorted("".join(lists).splitlines())
    digest = "org.opencontainers.image.base.digest"  # which nobody looked at
    assert mine["Config"]["Labels"] == {**theirs["Config"]["Labels"], digest: inspect_image(BASE)["Id"]}
    assert {"mlflow": True, "pandas": True, "uvicorn": True, "sqlalchemy": False} == compiled


@pytest.mark.engine
def test_an_image_says_what_it_is_made_of(sample: SampleProject, image: str) -> None:
    """
    How many bytes each layer has, also to whoever asks the step; when its commit was made, and from which model.
    """
    result = sample.run("build-image", "--builder", "engine", "--engine", "docker", "--image", image)

    found, record = inspect_image(image), json.loads(sample.consumer.record.read_text())
    sizes = {name: float(size) for name, size in re.findall(r"^ +(\w+) +([\d.]+) MB$", result.stderr, re.MULTILINE)}
    made = found["Config"]["Labels"]["org.opencontainers.image.created"]
    assert ["base", "large", "packages", "server", "model", "all"] == list(sizes)
    assert sizes["large"] > 9 * sizes["packages"]
    assert result.outputs["image-size"] == found["Size"] == pytest.approx(sizes["all"] * 1e6, abs=1e5)
    assert 2 * sizes["all"] == pytest.approx(sum(sizes.values()), abs=0.5)
    assert inspect_image(BASE)["Size"] == pytest.approx(sizes["base"] * 1e6, abs=1e5)
    assert sample.consumer.git("show", "-s", "--format=%cI").strip() == made
    assert record["model"]["sha256"] == found["Config"]["Labels"]["mlflow-uv.model-sha256"]


@pytest.mark.engine
@pytest.mark.extended
def test_a_whole_model_built_again_without_a_cache_is_the_same(sample: SampleProject, tmp_path: Path) -> None:
    """
    A hundred packages and their bytecode: every file of every layer above the base has the same bytes, mode and date.
    """
    secrets = build_secrets(tmp_path, sample.consumer.variables, {})
    words = [word for name, path in secrets.items() for word in ("--secret", f"id={name},src={path}")]
    layers = []
    for name in ("one", "other"):
        folder = tmp_path / name
        assert 0 == sample.run("build-image", "--context", str(folder)).code
        with built(folder, "--no-cache", *words) as made:
            layers.append([layer_entries(layer) for layer in saved_layers(made, tmp_path / f"{name}-saved")])

    assert [] == differing(*layers)
    assert 10_000 < sum(map(len, layers[0]))


def test_the_dockerfile_is_printed_and_nothing_is_built(sample: SampleProject) -> None:
    """
    For people with a pipeline of their own; no engine is needed, and the record stays as it is.
    """
    before = sample.consumer.record.read_bytes()

    result = sample.consumer.run("build-image", "--print-dockerfile", "--format", "text", variables=NOWHERE)

    assert (0, f"FROM {BASE}\n", before) == (
        result.code, result.stdout.splitlines(keepends=True)[0], sample.consumer.record.read_bytes()
    )  # fmt: skip


@pytest.mark.core_variants(3)
@pytest.mark.parametrize(
    ("flags", "sentence"),
    [
        (("--push",), "there is no registry to push"),
        (("--push", "--image", "wine:1"), "there is no registry to push"),
        (("--image", "registry.example/team/-wine:1"), "an image reference"),
        (("--platforms", "linux/amd64,linux/amd64"), "lists a platform twice"),
        (("--platforms", "linux/amd64,linux/arm64"), "a multi-platform image must be pushed"),
        (("--platforms", "linux/mips"), "`linux/mips` is not a supported platform"),
        (("--context", "."), "is not empty"),
    ],
)
def test_what_cannot_be_meant_is_said(sample: SampleProject, flags: tuple[str, ...], sentence: str) -> None:
    """
    Before anything is built.
    """
    result = sample.run("build-image", *flags)

    code, _, told, _ = error(result)
    assert (BAD_INPUT, True) == (code, sentence in told)


@pytest.mark.extended
def test_a_model_without_its_lock_is_not_served_slim(sample: SampleProject) -> None:
    """
    What MLflow inferred is not a closure, of which a part could be taken.
    """
    made = sample.run("release", "--requirements", "infer", "--retrain", "--steps", "log-model register")

    result = sample.run("build-image", "--serving", "slim", "--engine", "none")

    assert (0, BAD_INPUT) == (made.code, result.code)
    assert "needs a model that was logged with its lock" in error(result)[2]


@pytest.mark.engine
@pytest.mark.extended
def test_a_model_without_its_lock_is_built_from_its_own_list(sample: SampleProject, image: str) -> None:
    """
    What MLflow listed is installed with all that it needs, answers as training did, and is said to be without hashes.
    """
    flags = ("--requirements", "infer", "--retrain", "--steps", "log-model register")
    made = sample.run("release", *flags, variables={"MLFLOW_UV_AUTO_DETECT": "false"})
    built = sample.run("build-image", "--engine", "docker", "--image", image)
    tested = sample.run("smoke-test")

    result = json.loads(run_in(image, f"{VENV}/bin/python", "-I", f"{SERVING}/inventory.py", MODEL))
    installed = {name for name, _ in result["installed"]}
    listed = {line.partition("==")[0] for line in (sample.consumer.model / "requirements.txt").read_text().split()}
    assert (0, 0, "tested") == (made.code, tested.code, tested.outputs["state"]), built.stderr + tested.stderr
    assert (["image-not-composed", "image-unhashed"], False) == (
        built.rules,
        (sample.consumer.model / "mlflow-uv/requirements.txt").exists(),
    )
    assert listed | {"sqlalchemy"} <= installed
    assert "sqlalchemy" not in listed


@pytest.mark.extended
def test_a_process_can_be_slim_too(sample: SampleProject) -> None:
    """
    Without an engine the same set is installed, compared and tested.
    """
    built = sample.run("build-image", "--serving", "slim", "--engine", "none")
    tested = sample.run("smoke-test")

    record = json.loads(sample.consumer.record.read_text())["image"]
    installed = {path.name for path in Path(record["tag"]).glob("lib/python*/site-packages/*")}
    assert (0, 0, "slim") == (built.code, tested.code, record["serving"])
    assert ("mlflow_skinny-3.17.2.dist-info" in installed, "sqlalchemy" in installed) == (True, False)
