"""Tests an image whose configuration says whom its server trusts, with real containers."""

import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from tests.signers import Signers

from .containers import ServedImage
from .deployments import Deployment, new_name, require_proxy
from .sample_project import SampleProject
from .signed_versions import VERSION, kept, replace_record, signed, stored_record, trust

pytestmark = [pytest.mark.extended, pytest.mark.engine]

ROW = {"x": 2.5}
MOUNTED = "/mnt/model"


def readable(folder: Path) -> Path:
    """A folder that the user of a container may read."""
    for path in (folder, *folder.rglob("*")):
        path.chmod(0o755 if path.is_dir() else 0o644)
    return folder


@pytest.mark.parametrize("builder", ["compose", "engine"])
def test_an_image_starts_with_a_model_that_its_trusted_key_signed_alone(
    sample: SampleProject, signers: Signers, image: str, tmp_path: Path, builder: str
) -> None:
    """
    Built first, then tested, then signed: it needs the attestations, of its own model or of a mounted one.

    Without them, with those of another signer, and with a model of which a file was exchanged, it ends before the model
    is loaded. A record that names another policy breaks the link of a composed image, whose digest depends on it.
    """
    trusted = trust(signers, "first")
    nobody = sample.run("build-image", "--engine", "docker", "--image", image, "--verify-at-start")
    built = sample.run(
        "build-image", "--engine", "docker", "--image", image, "--builder", builder, "--verify-at-start",
        variables=trusted,
    )  # fmt: skip
    tested = sample.run("smoke-test")
    signed(sample, signers)
    attestations = kept(sample, "signature/attestations.jsonl")
    first = attestations.read_text()
    signed(sample, signers, "second")
    second = "".join(line for line in attestations.read_text().splitlines(keepends=True) if line not in first)
    audited = sample.run("audit", VERSION, variables=trusted)
    shared = tmp_path / "shared"
    shared.mkdir()
    for name, text in (("first", first), ("second", second)):
        (shared / f"{name}.jsonl").write_text(text)
    model = readable(shutil.copytree(sample.consumer.model, shared / "model"))
    swapped = readable(shutil.copytree(model, shared / "swapped"))
    (weights,) = swapped.glob("python_model.pkl")
    weights.write_bytes(weights.read_bytes() + b"\0")
    readable(shared)
    served = ServedImage(image, shared)
    given = {name: ("--volume", f"{shared}/{name}.jsonl:/attestations.jsonl:ro") for name in ("first", "second")}

    with served.start(*given["first"]) as container:
        own = container.ready().predictions(ROW)
    with served.start(*given["first"], model=model, at=MOUNTED, MLFLOW_UV_MODEL=MOUNTED) as container:
        mounted = container.ready().predictions(ROW)
    with served.start(ATTESTATIONS=first.splitlines()[0]) as container:
        inline = container.ready().predictions(ROW)
    record = stored_record(sample)
    assert record.image is not None
    replace_record(sample, replace(record, image=replace(record.image, verify="")))
    forged = sample.run("audit", VERSION)
    ended = {}
    for case, words, place in (
        ("unsigned", (), ""),
        ("another signer", given["second"], ""),
        ("swapped", given["first"], f"{shared}/swapped"),
    ):
        with served.start(*words, MLFLOW_UV_MODEL=place) as container:
            ended[case] = (container.end(), container.log()[-1])

    assert (2, True) == (
        nobody.code,
        "neither MLFLOW_UV_TRUST nor [tool.mlflow-uv.trust] names whom it trusts" in nobody.stderr,
    )
    assert [0, 0, 0] == [one.code for one in (built, tested, audited)], built.stderr + tested.stderr + audited.stderr
    assert "image" in audited.outputs["holds"], audited.stderr
    assert (["image"] if builder == "compose" else []) == forged.outputs["broken"], forged.stderr
    assert [[5.0]] * 3 == [own, mounted, inline]
    messages = {
        "unsigned": "/attestations.jsonl' cannot be read",
        "another signer": "Nobody whom VERIFY names signed a model",
        "swapped": "python_model.pkl",
    }
    assert dict.fromkeys(messages, 3) == {case: code for case, (code, _) in ended.items()}, ended
    assert [] == [case for case, (_, line) in ended.items() if messages[case] not in line], ended


def test_a_deployment_gives_the_server_what_it_verifies(sample: SampleProject, signers: Signers, image: str) -> None:
    """
    The attestations of the version; one that nobody signed is not deployed, because its server would not start.
    """
    require_proxy()
    deployment = Deployment(consumer=sample.consumer, name=new_name())
    deployment.declare()
    built = sample.run(
        "build-image", "--engine", "docker", "--image", image, "--verify-at-start", variables=trust(signers, "first")
    )
    tested = sample.run("smoke-test")
    unsigned = deployment.run("1")
    signed(sample, signers)

    try:
        deployed = deployment.run("1")
        answer = deployment.ask(2.5)
    finally:
        deployment.remove()

    assert [0, 0, 2, 0] == [one.code for one in (built, tested, unsigned, deployed)], deployed.stderr
    assert "needs attestations of the model, and the store has none" in unsigned.stderr
    assert 5.0 == answer
