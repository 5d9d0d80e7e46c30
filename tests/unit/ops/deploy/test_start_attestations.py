"""Tests which attestations the server of a deployed image gets."""

import base64
import json
from dataclasses import replace
from types import SimpleNamespace
from typing import cast

import pytest

from mlflow_uv.command.errors import BadInput
from mlflow_uv.core.deploy.platform_settings import AzureSettings, SagemakerSettings
from mlflow_uv.core.deploy.repository_settings import RepositorySettings
from mlflow_uv.core.deploy.settings import KINDS, HostSettings, InferenceSettings, KubernetesSettings
from mlflow_uv.core.deploy.target_settings import TargetSettings
from mlflow_uv.core.release.record import ImageLink, Record
from mlflow_uv.core.signing.statement import CHAIN, SBOM, STATEMENT
from mlflow_uv.ops.deploy.start_attestations import start_attestations
from mlflow_uv.ops.lineage.audit import Audited
from mlflow_uv.ops.lineage.registry_client import RegistryClient
from mlflow_uv.ops.signing.attestations import add_to_store
from mlflow_uv.tools.signing.signer import KeptSignatures
from tests.messages import VERSION
from tests.unit.core.release.test_record import OTHER_IMAGE, WHOLE
from tests.unit.ops.signing.test_attestations import Store, registry

VERIFYING = replace(OTHER_IMAGE, verify="a key")
HOST = HostSettings(target="compose")


def bundle(kind: str, more: str = "") -> str:
    """A bundle with a statement of a kind."""
    payload = json.dumps({"_type": STATEMENT, "predicateType": kind, "predicate": more})
    return json.dumps({"dsseEnvelope": {"payload": base64.b64encode(payload.encode()).decode()}})


def audit(image: ImageLink | None) -> Audited:
    """A version with an image."""
    record: Record = replace(WHOLE, image=image)
    return cast("Audited", SimpleNamespace(record=record, description=VERSION, name="wine", version="7"))


def store(*bundles: str, **variables: str) -> RegistryClient:
    """A store that has bundles of the version, and a job with variables."""
    client = registry(Store())
    client.tools.host = SimpleNamespace(variables=variables)  # type: ignore[misc,assignment]
    if bundles:
        add_to_store(client, VERSION, KeptSignatures(bundles=bundles, model_signature=""))
    return client


@pytest.mark.parametrize("settings", [HOST, KubernetesSettings(target="kubernetes")], ids=["host", "cluster"])
def test_a_server_gets_what_is_about_the_chain(settings: TargetSettings) -> None:
    """
    Of every signer, and neither the SBOM, which is long, nor what cannot be read.
    """
    first, second = bundle(CHAIN), bundle(CHAIN, "of another signer")
    kept = store("{", bundle(SBOM), first, '{"dsseEnvelope": {"payload": 1}}', second)

    assert f"{first}\n{second}" == start_attestations(audit(VERIFYING), kept, settings)


@pytest.mark.parametrize("image", [None, OTHER_IMAGE], ids=["none", "another"])
def test_a_server_that_does_not_look_gets_nothing(image: ImageLink | None) -> None:
    """
    Wherever it runs.
    """
    assert "" == start_attestations(audit(image), store(bundle(CHAIN)), AzureSettings(target="azureml"))


@pytest.mark.parametrize("kind", ["ray", "databricks", "mlflow", "seldon2"])
def test_a_target_that_does_not_run_the_image_needs_none(kind: str) -> None:
    """
    It serves the files of the model, signed or not.
    """
    settings = KINDS[kind](target=kind)

    assert ["", ""] == [start_attestations(audit(VERIFYING), store(*each), settings) for each in ((), (bundle(CHAIN),))]


@pytest.mark.parametrize("kind", ["kserve", "seldon"])
def test_a_platform_that_gets_the_files_needs_none(kind: str) -> None:
    """
    With the image it does.
    """
    files = InferenceSettings(target=kind, storage_uri="s3://wine/{model-id}/artifacts")

    assert "" == start_attestations(audit(VERIFYING), store(), files)
    with pytest.raises(BadInput, match="is not deployed"):
        start_attestations(audit(VERIFYING), store(), replace(files, storage_uri=None))


@pytest.mark.parametrize(
    ("bundles", "settings", "why"),
    [
        ((bundle(CHAIN),), SagemakerSettings(target="sagemaker"), "the target sagemaker has no place for them"),
        ((bundle(CHAIN),), AzureSettings(target="azureml"), "the target azureml has no place for them"),
        ((), HOST, "the store has none"),
        ((), RepositorySettings(target="gitops"), "the store has none"),
        ((bundle(SBOM),), HOST, "the store has none"),
        ((bundle(CHAIN, "x" * 90_000),), HOST, "a variable of a container at most 120000"),
    ],
    ids=["sagemaker", "azureml", "unsigned", "gitops", "without chain", "long"],
)
def test_a_server_that_would_not_start_is_not_deployed(
    bundles: tuple[str, ...], settings: TargetSettings, why: str
) -> None:
    """
    Nothing is created, and what ran before is not touched.
    """
    with pytest.raises(BadInput, match="wine version 7 is not deployed") as refused:
        start_attestations(audit(VERIFYING), store(*bundles), settings)

    assert why in refused.value.why
    assert refused.value.fix


@pytest.mark.parametrize(
    ("policy", "variables", "fix"),
    [
        ("-----BEGIN PUBLIC KEY----- a", {}, "--signing-key FILE"),
        ("-----BEGIN PUBLIC KEY----- a", {"MLFLOW_UV_SIGNING_KEY": "a key"}, ""),
        ('{"sigstore":{}}', {"MLFLOW_UV_SIGNING_KEY": "a key"}, "--sigstore FILE"),
    ],
    ids=["file", "variable", "identity"],
)
def test_an_unsigned_version_is_signed_as_the_policy_of_its_image_requires(
    policy: str, variables: dict[str, str], fix: str
) -> None:
    """
    A key does not count for an image that trusts identities; one that the job has in a variable is in no file.
    """
    verifying = replace(OTHER_IMAGE, verify=policy)

    with pytest.raises(BadInput) as refused:
        start_attestations(audit(verifying), store(**variables), HOST)

    assert f"mlflow-uv sign --version-uri models:/wine/7 {fix}".rstrip() == refused.value.fix
