"""Configuration and manifest of an image from those of its base."""

import json
import re
from dataclasses import replace

import pytest

from mlflow_uv.core.image.composition import (
    CREATED,
    GZIP_TYPE,
    INDEX_TYPE,
    MANIFEST_TYPE,
    BaseLayers,
    Blob,
    LayerBlob,
    composed,
    digest_of,
    indexed,
)
from mlflow_uv.core.image.dockerfile import Recipe, render_dockerfile

ROOT = Blob(media_type=GZIP_TYPE, digest=digest_of(b"root"), size=4)
BASE = BaseLayers(
    config={
        "architecture": "arm64",
        "variant": "v8",
        "os": "linux",
        "config": {
            "Env": ["PATH=/usr/local/bin:/bin", "PORT=99", "LANG=C.UTF-8", "HOME=/root"],
            "Cmd": ["python3"],
            "User": "nobody",
            "Labels": {"of": "the base"},
            "Healthcheck": {"Test": ["NONE"]},
        },
        "rootfs": {"type": "layers", "diff_ids": ["sha256:root"]},
        "history": [{"created_by": "debootstrap"}, {"created_by": "ENV", "empty_layer": True}],
    },
    layers=(ROOT,),
)
LAYERS = tuple(
    LayerBlob(
        name=name,
        blob=Blob(media_type=GZIP_TYPE, digest=digest_of(name.encode()), size=len(name)),
        diff_id=f"sha256:{name}",
    )
    for name in ("numpy", "model")
)
LABELS = {CREATED: "2026-11-20T10:00:00+00:00", "mlflow-uv.lock-sha256": "a" * 64}


def test_base_and_layers_are_in_one_image() -> None:
    """
    The layers of the base stay the lowest; nothing is lost of its configuration but what would steer the server.
    """
    image = composed(BASE, LAYERS, LABELS)

    config, manifest = json.loads(image.config), json.loads(image.manifest)
    assert [ROOT.digest, *(layer.blob.digest for layer in LAYERS)] == [d["digest"] for d in manifest["layers"]]
    assert image.id == manifest["config"]["digest"] == digest_of(image.config)
    assert ["sha256:root", "sha256:numpy", "sha256:model"] == config["rootfs"]["diff_ids"]
    assert ("arm64", "v8", "linux") == (config["architecture"], config["variant"], config["os"])
    assert 3 == len([entry for entry in config["history"] if not entry.get("empty_layer")])
    assert {"of": "the base", **LABELS} == config["config"]["Labels"]
    assert LABELS[CREATED] == config["created"]
    assert {"PORT": "", "LANG": "C.UTF-8", "HOME": "/tmp", "PATH": "/opt/venv/bin:/usr/local/bin:/bin"}.items() <= dict(
        entry.split("=", 1) for entry in config["config"]["Env"]
    ).items()


def test_the_configuration_says_what_the_dockerfile_says() -> None:
    """
    Both ways to an image start the same server, as the same user, with the same health check.
    """
    text = render_dockerfile(Recipe(base="b", parts={"packages": "1"}, hashed=True, resolved=True))

    config = json.loads(composed(BASE, LAYERS, {}).config)["config"]

    instructions = dict(re.findall(r"^ *([A-Z]+) (.*)$", text, re.MULTILINE))  # the last line of each kind
    assert json.dumps(config["Entrypoint"]) == instructions["ENTRYPOINT"]
    assert json.dumps(config["Healthcheck"]["Test"][1:]) == instructions["CMD"]
    assert config["User"] == instructions["USER"]
    assert config["WorkingDir"] == instructions["WORKDIR"]
    assert config["StopSignal"] == instructions["STOPSIGNAL"]
    assert list(config["ExposedPorts"]) == [f"{instructions['EXPOSE']}/tcp"]
    assert set(instructions["ENV"].split()[1:]) <= set(config["Env"])
    assert None is config.get("Cmd")


def test_equal_inputs_give_an_equal_digest_and_any_other_input_another() -> None:
    """
    The digest is what is compared in place of the content.
    """
    digest = composed(BASE, LAYERS, LABELS).digest
    shuffled = BaseLayers(config=dict(reversed([*BASE.config.items()])), layers=BASE.layers)

    other = {
        composed(BASE, LAYERS[::-1], LABELS).digest,
        composed(BASE, LAYERS[:1], LABELS).digest,
        composed(BASE, LAYERS, {**LABELS, "mlflow-uv.lock-sha256": "b" * 64}).digest,
        composed(BaseLayers(config={**BASE.config, "architecture": "amd64"}, layers=(ROOT,)), LAYERS, LABELS).digest,
        composed(BASE, LAYERS, LABELS, verify="-----BEGIN").digest,
        composed(BASE, LAYERS, LABELS, verify="-----BEGIN PUBLIC").digest,
    }

    assert digest == composed(shuffled, list(LAYERS), dict(reversed(LABELS.items()))).digest
    assert 6 == len(other - {digest})


def test_an_image_that_verifies_its_model_says_so_in_its_configuration() -> None:
    """
    Whatever its base sets, and as a Dockerfile does; without a policy it has neither variable.
    """
    base = BaseLayers(config={**BASE.config, "config": {"Env": ["VERIFY=of the base"]}}, layers=(ROOT,))

    found = [
        dict(entry.split("=", 1) for entry in json.loads(image.config)["config"]["Env"])
        for image in (composed(base, LAYERS, {}, verify="a key"), *(composed(one, LAYERS, {}) for one in (base, BASE)))
    ]

    assert [("a key", "/attestations.jsonl"), ("", None), (None, None)] == [
        (variables.get("VERIFY"), variables.get("ATTESTATIONS")) for variables in found
    ]
    assert {'ENV VERIFY="a key"', 'ENV ATTESTATIONS="/attestations.jsonl"'} <= {
        *render_dockerfile(Recipe(base="b", layers=("l",), verify="a key")).splitlines()
    }


@pytest.mark.parametrize(
    "config",
    [
        {},
        {"os": "windows", "rootfs": {"diff_ids": ["sha256:root"]}},
        {"os": "linux", "rootfs": {"diff_ids": []}},
        {"os": "linux", "rootfs": {"diff_ids": ["sha256:root", "sha256:more"]}},
    ],
)
def test_what_describes_other_layers_is_no_base(config) -> None:
    """
    An engine would refuse the image, or start other files than those that were examined.
    """
    with pytest.raises(ValueError, match="configuration"):
        composed(BaseLayers(config=config, layers=(ROOT,)), LAYERS, {})


def test_an_index_lists_images_by_architecture() -> None:
    """
    Whatever their order is; each with its size and platform, a variant included.
    """
    arm = composed(BASE, LAYERS, LABELS)
    other = composed(replace(BASE, config={**BASE.config, "architecture": "amd64", "variant": ""}), LAYERS, LABELS)

    index = indexed([arm, other])

    assert indexed([other, arm]) == index
    assert ("amd64", "arm64") == tuple(image.architecture for image in index.images)
    listed = json.loads(index.document)["manifests"]
    assert [(other.digest, len(other.manifest)), (arm.digest, len(arm.manifest))] == [
        (entry["digest"], entry["size"]) for entry in listed
    ]
    assert [{"architecture": "amd64", "os": "linux"}, {"architecture": "arm64", "os": "linux", "variant": "v8"}] == [
        entry["platform"] for entry in listed
    ]
    assert (index.digest, arm.digest) == (digest_of(index.document), digest_of(arm.document))
    assert (INDEX_TYPE, MANIFEST_TYPE) == (index.media_type, arm.media_type)
