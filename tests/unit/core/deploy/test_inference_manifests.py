"""The manifests of a version for KServe and Seldon Core."""

import json
from types import SimpleNamespace
from typing import Any, cast

import pytest

from mlflow_uv.command.errors import BadInput
from mlflow_uv.core.deploy.inference_manifests import (
    inference_service,
    seldon_deployment,
    seldon_predictor,
    storage_of,
    stored_at,
    with_canary,
    with_shares,
)
from mlflow_uv.core.deploy.manifests import ManifestLabels, PodSpec
from mlflow_uv.core.deploy.settings import InferenceSettings, Seldon2Settings
from mlflow_uv.core.release.record import ModelLink

KEYS = ManifestLabels(deployment="d", slot="p", facts="f")
MODEL = cast("ModelLink", SimpleNamespace(model_id="m-1", run_id="r-1"))
FILES = "s3://bucket/{model-id}/{run-id}/{name}/{version}"


def pod(settings: InferenceSettings) -> PodSpec:
    """Pods of a version."""
    return PodSpec(
        deployment="prod",
        slot="blue",
        image="r.example/wine@sha256:1",
        facts={"version": "1"},
        settings=settings,
        start_s=120.5,
        request_s=60,
        variables=("API_KEY",),
    )


def settings_of(**more: Any) -> InferenceSettings:
    """Settings of a target."""
    return InferenceSettings(target="kserve", secret="wine-variables", **more)


def test_the_files_of_a_version_are_where_the_settings_say() -> None:
    """
    Each placeholder is that of the record; without a setting the image runs.
    """
    assert "s3://bucket/m-1/r-1/wine/7" == storage_of(settings_of(storage_uri=FILES), MODEL, "wine", "7")
    assert storage_of(settings_of(), MODEL, "wine", "7") is None


def test_knative_gets_a_container_that_it_accepts_and_that_is_confined() -> None:
    """
    It refuses hooks and a security context of the pod; the container has both its user and no capability.
    """
    predictor = inference_service(pod(settings_of()), settings_of(), None, KEYS)["spec"]["predictor"]
    (container,) = predictor["containers"]

    assert not {"lifecycle", "startupProbe"} & container.keys()
    assert not {"securityContext", "terminationGracePeriodSeconds"} & predictor.keys()
    assert (True, 65532, ["ALL"], True) == (
        container["securityContext"]["runAsNonRoot"],
        container["securityContext"]["runAsUser"],
        container["securityContext"]["capabilities"]["drop"],
        container["securityContext"]["readOnlyRootFilesystem"],
    )
    assert "121s" == predictor["annotations"]["serving.knative.dev/progress-deadline"]


def test_a_share_changes_nothing_else_of_the_service() -> None:
    """
    KServe starts a new revision for any other change.
    """
    service = inference_service(pod(settings_of()), settings_of(), None, KEYS)

    shared = with_canary(service, 20)

    assert 20 == shared["spec"]["predictor"].pop("canaryTrafficPercent")
    assert service == shared == with_canary(with_canary(service, 5), None)


@pytest.mark.parametrize("storage", [None, "s3://bucket/m-1"])
def test_variables_reach_the_model_by_reference(storage: str | None) -> None:
    """
    In the image, and in the server of a platform, which gets nothing else from us.
    """
    settings = settings_of(storage_uri=storage)
    service = inference_service(pod(settings), settings, storage, KEYS)
    predictor = seldon_predictor(pod(settings), storage, KEYS)
    deployment = seldon_deployment("prod", with_shares((predictor,), (100,)), "models", KEYS)

    for text in (json.dumps(service), json.dumps(deployment)):
        assert '"secretKeyRef": {"name": "wine-variables", "key": "API_KEY"}' in text
        assert ('"image"' in text) == (storage is None)
        assert (storage or "r.example/wine") in text


def test_the_address_of_the_files_has_what_differs_between_versions() -> None:
    """
    Another brace stays as it is.
    """
    settings = Seldon2Settings(target="seldon2", storage_uri="s3://b/{model-id}/{run-id}/{name}/{version}/{x}")

    assert "s3://b/m-1/r-1/wine/3/{x}" == stored_at(settings, MODEL, "wine", "3")


def test_without_an_address_nothing_can_be_served() -> None:
    """
    The message has the line to add.
    """
    with pytest.raises(BadInput, match="no `storage-uri`") as refused:
        stored_at(Seldon2Settings(target="seldon2"), MODEL, "wine", "3")

    assert "storage-uri = " in str(refused.value.fix)
