"""Manifests for Seldon Core 2; contracts have the definitions."""

from mlflow_uv.core.deploy.manifests import ManifestLabels
from mlflow_uv.core.deploy.seldon2_manifests import SlotFiles, seldon2_experiment, seldon2_model
from mlflow_uv.core.deploy.settings import Seldon2Settings

KEYS = ManifestLabels(deployment="d", slot="s", facts="f")
SERVED = SlotFiles(deployment="prod", slot="blue", storage="s3://b/m", facts={"version": "1"})


def test_a_model_has_the_optional_fields_that_are_set_alone() -> None:
    """
    The largest number of replicas is not below the smallest one.
    """
    plain = seldon2_model(SERVED, Seldon2Settings(target="x"), KEYS)["spec"]
    scaled = Seldon2Settings(target="x", replicas=3, max_replicas=2, storage_secret="s", server="v")
    more = seldon2_model(SERVED, scaled, KEYS)["spec"]

    assert {"storageUri", "requirements", "memory", "replicas"} == plain.keys()
    assert (3, 3, "s", "v") == (more["minReplicas"], more["maxReplicas"], more["secretName"], more["server"])


def test_the_first_candidate_is_what_runs() -> None:
    """
    Also with the smaller share.
    """
    found = seldon2_experiment("prod", [("prod-blue", 5), ("prod-green", 95)], "models", KEYS)

    assert [("prod-blue", 5), ("prod-green", 95)] == [
        (item["name"], item["weight"]) for item in found["spec"]["candidates"]
    ]
    assert {"d": "prod"} == found["metadata"]["labels"]
