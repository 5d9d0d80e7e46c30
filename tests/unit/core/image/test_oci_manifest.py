"""What is read from a registry's manifests, and what is refused."""

import json
from typing import Any

import pytest

from mlflow_uv.core.image.composition import GZIP_TYPE, LARGEST_LIST, Blob
from mlflow_uv.core.image.oci_manifest import (
    ImageManifest,
    member_for,
    read_image,
    read_labels,
    read_layer_keys,
    read_layers,
    read_manifest,
)

DIGESTS = tuple(f"sha256:{sign * 64}" for sign in "abc")


def test_the_attestations_of_an_index_are_no_images() -> None:
    """
    BuildKit lists provenance beside the images, for a platform that is unknown.
    """
    platforms = (
        {"os": "linux", "architecture": "amd64"},
        {"os": "linux"},
        {"os": "unknown", "architecture": "unknown"},
    )
    listed = [{"digest": digest, "platform": platform} for digest, platform in zip(DIGESTS, platforms, strict=True)]

    found = read_manifest(json.dumps({"manifests": listed}).encode())

    assert ImageManifest(images=DIGESTS[:2]) == found


@pytest.mark.parametrize(
    "content",
    [
        [],
        {},
        {"config": {}},
        {"config": {"digest": "sha256:../../secret"}},
        {"config": {"digest": "sha512:0"}},
        {"manifests": []},
        {"manifests": "many"},
        {"manifests": [{"digest": DIGESTS[0]}] * 17},
    ],
)
def test_what_names_no_image_is_refused(content: Any) -> None:
    """
    A digest becomes a part of an address: nothing else may stand in its place.
    """
    with pytest.raises(ValueError, match="it "):
        read_manifest(json.dumps(content).encode())


@pytest.mark.parametrize("body", [b"", b"\xff", b"[" * 100_000])
def test_what_is_no_json_is_refused(body: bytes) -> None:
    """
    Nor does one that is nested without end.
    """
    with pytest.raises(ValueError, match="it is not JSON"):
        read_manifest(body)


@pytest.mark.parametrize(
    ("config", "labels"),
    [
        ({"config": {"Labels": {"a": "1"}}}, {"a": "1"}),
        ({"config": {"Labels": None}}, {}),
        ({"config": None}, {}),
        ({}, {}),
    ],
)
def test_an_image_need_not_have_labels(config: Any, labels: dict[str, str]) -> None:
    """
    Docker writes null where there are none.
    """
    assert labels == read_labels(json.dumps(config).encode())


def test_the_image_of_an_architecture_is_found_in_an_index() -> None:
    """
    Of several variants the first; another system's image and what has no platform never.
    """
    entries = [
        {"digest": f"sha256:{number * 64}", "platform": {"os": system, "architecture": machine}}
        for number, system, machine in (("1", "windows", "amd64"), ("2", "linux", "arm64"), ("3", "linux", "amd64"))
    ]
    body = json.dumps({"manifests": [{"digest": f"sha256:{'0' * 64}"}, *entries, *entries]}).encode()

    assert [f"sha256:{'3' * 64}", f"sha256:{'2' * 64}", None] == [
        member_for(body, machine) for machine in ("amd64", "arm64", "s390x")
    ]


def test_the_layers_of_docker_have_the_types_of_the_specification() -> None:
    """
    The bytes of the layers are the same under both names.
    """
    kind = "application/vnd.docker.image.rootfs.diff.tar.gzip"
    body = json.dumps({"layers": [{"mediaType": kind, "digest": f"sha256:{'a' * 64}", "size": 7}]}).encode()

    assert (Blob(media_type=GZIP_TYPE, digest=f"sha256:{'a' * 64}", size=7),) == read_layers(body)


@pytest.mark.parametrize(
    ("layers", "why"),
    [
        (None, "lists no layers"),
        ([{"mediaType": "application/vnd.docker.image.rootfs.foreign.diff.tar.gzip"}], "names no configuration"),
        ([{"mediaType": "text/\x1b", "digest": f"sha256:{'a' * 64}", "size": 7}], "a layer of the type"),
        ([{"mediaType": GZIP_TYPE, "digest": f"sha256:{'a' * 64}", "size": "7"}], "without a size"),
    ],
    ids=["none", "no digest", "another type", "no size"],
)
def test_other_layers_are_refused(layers: object, why: str) -> None:
    """
    Windows' layers, for example, are not distributed.
    """
    with pytest.raises(ValueError, match=why):
        read_layers(json.dumps({"layers": layers}).encode())


def test_layers_have_keys_or_none() -> None:
    """
    Anything else than a digest is none: it comes from a registry.
    """
    keys = ({"mlflow-uv.layer-key": "a" * 64}, {"mlflow-uv.layer-key": "../secret"})
    notes: tuple[object, ...] = (*keys, {}, "notes", None)
    layers = [{"digest": DIGESTS[0], "annotations": note} for note in notes]

    assert ("a" * 64, "", "", "", "") == read_layer_keys(json.dumps({"layers": layers}).encode())
    assert () == read_layer_keys(b"{}")


@pytest.mark.parametrize(
    ("annotation", "size"),
    [
        (f"sha256:{'a' * 64} 5", 5),
        (f"sha256:{'a' * 64} {LARGEST_LIST}", LARGEST_LIST),
        (f"sha256:{'a' * 64} {LARGEST_LIST + 1}", None),
        (f"sha256:{'a' * 64} 0", None),
        (f"{'a' * 64} 5", None),
        ("", None),
    ],
)
def test_a_layer_has_a_list_of_limited_size_at_its_end_or_none(annotation: str, size: int | None) -> None:
    """
    It is read into memory, and the annotation comes from a registry; a list is no larger than its blob.
    """
    blob = {"mediaType": GZIP_TYPE, "digest": DIGESTS[0], "annotations": {"mlflow-uv.layer-list": annotation}}
    body = json.dumps({"layers": [{**blob, "size": 1 << 30}, {**blob, "size": 4}]}).encode()

    large, small = read_image(body, b"{}").lists

    assert (size, None) == (large and large.size, small)
