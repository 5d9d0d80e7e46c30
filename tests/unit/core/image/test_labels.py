"""What an image says of itself."""

from dataclasses import replace

import pytest

from mlflow_uv.core.image.labels import BuildProvenance, image_labels, other_version_in
from mlflow_uv.core.lock.selection import Selection
from mlflow_uv.core.release.commit import Commit
from mlflow_uv.core.release.record import LockLink, ModelLink, Record, RequirementsLink, VersionLink

RECORD = Record(
    release_key="k",
    commit=Commit(sha="c0ffee", project="."),
    lock=LockLink(sha256="l0", uv="1"),
    selection=Selection(),
    requirements=RequirementsLink(sha256="4e", source="lock"),
    model=ModelLink(
        model_id="m-1", run_id="r", name="double", sha256="30de1", store="s", python="3.12.1", mlflow="3.17.2"
    ),
    version=VersionLink(name="wine", version="7", model_id="m-1"),
)
MADE = BuildProvenance(
    base="python:3.12-slim",
    base_digest="sha256:ba5e",
    serving="slim",
    created="2026-01-02T03:04:05+01:00",
    source="https://forge.example/me/wine.git",
)


def test_an_image_says_what_it_was_made_from() -> None:
    """
    The OCI's labels for everybody, and ours for the links of the chain.
    """
    assert {
        "org.opencontainers.image.base.digest": "sha256:ba5e",
        "org.opencontainers.image.base.name": "python:3.12-slim",
        "org.opencontainers.image.created": "2026-01-02T03:04:05+01:00",
        "org.opencontainers.image.revision": "c0ffee",
        "org.opencontainers.image.source": "https://forge.example/me/wine.git",
        "org.opencontainers.image.title": "wine",
        "org.opencontainers.image.version": "7",
        "mlflow-uv.lock-sha256": "l0",
        "mlflow-uv.model-id": "m-1",
        "mlflow-uv.model-sha256": "30de1",
        "mlflow-uv.model-uri": "models:/m-1",
        "mlflow-uv.requirements-sha256": "4e",
        "mlflow-uv.serving": "slim",
    } == image_labels(RECORD, MADE)


def test_what_is_not_known_is_not_said() -> None:
    """
    A job without a checkout knows neither the commit's date nor the repository; an unregistered model has no version.
    """
    labels = image_labels(replace(RECORD, version=None), replace(MADE, created="", source="", base_digest=""))

    assert {"title": "double"} == {
        part: labels[name]
        for part in ("created", "source", "version", "title", "base.digest")
        if (name := f"org.opencontainers.image.{part}") in labels
    }


@pytest.mark.parametrize(
    ("version", "said"),
    [("8", "wine version 8"), ("7", "another model, 07e4, that is called wine version 7, too"), ("", "model 07e4")],
)
def test_another_image_is_not_said_to_be_of_the_same_version(version: str, said: str) -> None:
    """
    Another registry may have numbered another model alike: the model's digest tells the two apart.
    """
    labels = {"org.opencontainers.image.title": "wine", "mlflow-uv.model-sha256": "07e4"}

    assert said == other_version_in({**labels, "org.opencontainers.image.version": version}, RECORD)
