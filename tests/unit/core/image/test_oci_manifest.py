"""What is read from a registry's manifests, and what is refused."""

import json
from typing import Any

import pytest

from mlflow_uv.core.image.oci_manifest import ImageManifest, read_labels, read_manifest

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
