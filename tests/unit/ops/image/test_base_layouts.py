"""A base image in a layout is that of the wanted architecture, or none."""

import json
from pathlib import Path

import pytest

from mlflow_uv.command.errors import BaseImageMissing
from mlflow_uv.core.image.composition import digest_of
from mlflow_uv.ops.image.base_layouts import base_in_layout

INDEX = "application/vnd.oci.image.index.v1+json"
MANIFEST = "application/vnd.oci.image.manifest.v1+json"


def test_a_layout_without_the_architecture_is_named(tmp_path: Path) -> None:
    """
    An image of another one is never taken in its place.
    """
    member = {"mediaType": MANIFEST, "digest": digest_of(b""), "size": 0,
              "platform": {"os": "linux", "architecture": "arm64"}}  # fmt: skip
    image = json.dumps({"schemaVersion": 2, "mediaType": INDEX, "manifests": [member]}).encode()
    entry = {"mediaType": INDEX, "digest": digest_of(image), "size": len(image)}
    (tmp_path / "blobs" / "sha256").mkdir(parents=True)
    (tmp_path / "blobs" / "sha256" / digest_of(image).removeprefix("sha256:")).write_bytes(image)
    (tmp_path / "index.json").write_text(json.dumps({"schemaVersion": 2, "manifests": [entry]}))

    with pytest.raises(BaseImageMissing) as raised:
        base_in_layout("python:3.11-slim", tmp_path, "amd64")

    assert (f"the base image `python:3.11-slim` is not in `{tmp_path}`", "it has none for amd64") == (
        raised.value.what,
        raised.value.why,
    )
