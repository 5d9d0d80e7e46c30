"""Entries of deployments in tags, which anybody who may write tags can write."""

import json
from dataclasses import asdict

import pytest

from mlflow_uv.payloads.messages.deployments import entries_in, entry_in
from mlflow_uv.payloads.messages.tags import DEPLOYMENT_PREFIX
from tests.messages import DEPLOYMENT

TEXT = json.dumps(asdict(DEPLOYMENT))


def test_an_entry_is_read_from_the_tag_of_its_deployment() -> None:
    """
    Other tags, and entries of other deployments, are left alone.
    """
    tags = {f"{DEPLOYMENT_PREFIX}prod": TEXT, f"{DEPLOYMENT_PREFIX}b": TEXT, "mlflow-uv.state": "tested"}

    assert DEPLOYMENT == entry_in(tags, "prod")
    assert entry_in(tags, "other") is None
    assert (DEPLOYMENT, DEPLOYMENT) == entries_in(tags)


@pytest.mark.parametrize(
    "text", ["", "{}", "[]", "null", "[" * 100_000, TEXT.replace('"version": "1"', '"version": 1')]
)
def test_an_invalid_entry_is_none(text: str) -> None:
    """
    It stops nobody.
    """
    assert entry_in({f"{DEPLOYMENT_PREFIX}prod": text}, "prod") is None
    assert () == entries_in({f"{DEPLOYMENT_PREFIX}prod": text})
