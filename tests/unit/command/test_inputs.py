"""Inputs that several steps share check their values."""

import pytest

from mlflow_uv.command.errors import BadInput
from mlflow_uv.command.inputs import EngineInputs
from mlflow_uv.command.step import ValueLayer, settle


@pytest.mark.parametrize(
    ("name", "accepted"),
    [
        ("python:3.11-slim", True),
        ("registry.example:5000/team/python@sha256:" + "a" * 64, True),
        ("sha256:" + "0" * 64, True),
        ("Python:3.11", False),
        ("python:3.11 --privileged", False),
    ],
)
def test_a_base_image_is_an_image_reference(name: str, accepted: bool) -> None:
    """
    The name becomes an argument of an engine and a line of a Dockerfile.
    """
    layers = (ValueLayer("--{}", {"base-image": name}),)
    if accepted:
        assert name == settle(EngineInputs, layers).base_image
        return

    with pytest.raises(BadInput, match="is not an image reference"):
        settle(EngineInputs, layers)
