"""What ends before an image is composed."""

from dataclasses import replace
from pathlib import Path

import pytest

from mlflow_uv.command.inputs import Serving
from mlflow_uv.core.image.composition import Compression
from mlflow_uv.ops.image.builders import ComposeRequest, ModelNotComposable
from mlflow_uv.ops.image.composing import compose_and_keep
from tests.cases.composed import ARCHITECTURES, HERE, tiny_release

REQUEST = ComposeRequest(
    name="127.0.0.1:9/wine",
    base="127.0.0.1:9/base:1",
    base_layout=None,
    platforms=(),
    serving=Serving.LOCKED,
    layers_from=None,
    compression=Compression.GZIP,
    push=False,
    oci_layout=None,
)


def test_an_image_that_nothing_here_can_start_must_be_kept(tmp_path: Path) -> None:
    """
    In a registry or a folder.
    """
    (other,) = {*ARCHITECTURES.values()} - {HERE}
    request = replace(REQUEST, platforms=(f"linux/{other}",))

    with tiny_release(tmp_path) as tiny, pytest.raises(ModelNotComposable, match="must be pushed, or written"):
        compose_and_keep(request, tiny.release, None, tiny.tools)
