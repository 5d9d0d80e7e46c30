"""Contract: the manifests for KServe and Seldon Core are what their definitions accept, with no unknown field."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from mlflow_uv.core.deploy.inference_manifests import (
    inference_service,
    seldon_deployment,
    seldon_predictor,
    with_canary,
    with_shares,
)
from mlflow_uv.core.deploy.manifests import ManifestLabels, PodSpec
from mlflow_uv.core.deploy.seldon2_manifests import SlotFiles, seldon2_experiment, seldon2_model
from mlflow_uv.core.deploy.settings import InferenceSettings, Seldon2Settings
from mlflow_uv.tools.engines.containers import DEPLOYMENT, FACTS, PART

DEFINITIONS = Path(__file__).parent / "definitions"
KEYS = ManifestLabels(deployment=DEPLOYMENT, slot=PART, facts=FACTS)
TYPES: dict[str, Any] = {"object": dict, "array": list, "string": str, "boolean": bool, "integer": int}


def complaints(value: Any, schema: dict[str, Any], path: str) -> Iterator[str]:
    """Why a value is not one of a structural schema, in which a field that it does not name is unknown."""
    if schema.get("x-kubernetes-int-or-string"):
        if not isinstance(value, (int, str)):
            yield f"{path} is neither a number nor a text"
        return
    if not isinstance(value, TYPES[schema["type"]]) or (schema["type"] == "integer" and isinstance(value, bool)):
        yield f"{path} is not of the type {schema['type']}"
    elif isinstance(value, dict):
        known, other = schema.get("properties", {}), schema.get("additionalProperties")
        yield from (f"{path} has no {name}" for name in schema.get("required", ()) if name not in value)
        for name, inner in value.items():
            if name in known or isinstance(other, dict):
                yield from complaints(inner, known.get(name, other), f"{path}.{name}")
            elif not other and not schema.get("x-kubernetes-preserve-unknown-fields"):
                yield f"{path}.{name} is unknown"
    elif isinstance(value, list):
        for number, inner in enumerate(value):
            yield from complaints(inner, schema["items"], f"{path}[{number}]")
    elif value not in schema.get("enum", [value]):
        yield f"{path} is not one of {schema['enum']}"


def spec_complaints(kind: str, manifest: dict[str, Any]) -> list[str]:
    """What the definition of a kind does not accept of a manifest."""
    definition = json.loads((DEFINITIONS / f"{kind}.json").read_text())
    schema = definition["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]["spec"]
    return list(complaints(json.loads(json.dumps(manifest["spec"])), schema, "spec"))


def manifests(storage: str | None) -> dict[str, dict[str, Any]]:
    """The manifest of each kind with every setting."""
    settings = InferenceSettings(target="x", max_replicas=4, secret="s", pull_secret="p", storage_uri=storage)
    pod = PodSpec(
        deployment="prod",
        slot="blue",
        image=f"r.example/wine@sha256:{'1' * 64}",
        facts={"version": "1"},
        settings=settings,
        start_s=120,
        request_s=60,
        variables=("API_KEY",),
    )
    own = Seldon2Settings(target="x", max_replicas=4, storage_secret="s", server="mlserver")
    served = SlotFiles(deployment="prod", slot="blue", storage=storage or "s3://bucket/m", facts={"version": "1"})
    predictors = with_shares((seldon_predictor(pod, storage, KEYS),) * 2, (95, 5))
    return {
        "inferenceservices": with_canary(inference_service(pod, settings, storage, KEYS), 5),
        "seldondeployments": seldon_deployment("prod", predictors, "models", KEYS),
        "models": seldon2_model(served, own, KEYS),
        "experiments": seldon2_experiment("prod", [("prod-blue", 95), ("prod-green", 5)], "models", KEYS),
    }


@pytest.mark.parametrize("storage", [None, "s3://bucket/m-1/artifacts"])
def test_every_manifest_is_valid_without_an_unknown_field(storage: str | None) -> None:
    """
    For the image, and for the server of the platform.
    """
    found = {kind: spec_complaints(kind, manifest) for kind, manifest in manifests(storage).items()}

    assert {"inferenceservices": [], "seldondeployments": [], "models": [], "experiments": []} == found


def test_what_is_misspelt_missing_or_of_another_type_is_refused() -> None:
    """
    So the test above can fail: each of these is plausible.
    """
    service, deployment, model, experiment = manifests(None).values()
    predictor = service["spec"]["predictor"]
    predictor["canaryTraffic"] = 5
    predictor["canaryTrafficPercent"] = "5"
    predictor["containers"][0]["readinesProbe"] = {}
    del deployment["spec"]["predictors"][1]["graph"]
    deployment["spec"]["predictors"][0]["graph"]["type"] = "MODELS"

    model["spec"]["storageURI"] = model["spec"].pop("storageUri")
    experiment["spec"]["candidates"][0]["weight"] = "95"

    found = spec_complaints("inferenceservices", service) + spec_complaints("seldondeployments", deployment)
    of_models = spec_complaints("models", model) + spec_complaints("experiments", experiment)

    assert [
        "spec.predictor.canaryTraffic is unknown",
        "spec.predictor.canaryTrafficPercent is not of the type integer",
        "spec.predictor.containers[0].readinesProbe is unknown",
        "spec.predictors[1] has no graph",
    ] == sorted(found)[:4]
    assert [
        "spec has no storageUri",
        "spec.storageURI is unknown",
        "spec.candidates[0].weight is not of the type integer",
    ] == of_models
