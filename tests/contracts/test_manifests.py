"""Contract: the manifests of a deployment are what Kubernetes accepts, by its own schemas and with no unknown field."""

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest

from mlflow_uv.core.deploy.manifests import ManifestLabels, PodSpec, service_to, workload
from mlflow_uv.core.deploy.settings import KubernetesSettings
from mlflow_uv.tools.engines.containers import DEPLOYMENT, FACTS, PART

KEYS = ManifestLabels(deployment=DEPLOYMENT, slot=PART, facts=FACTS)
# Pairs of a kind and why it is invalid, for each object.
CHECK = """
import json, sys
import kubernetes_validate
for document in json.load(sys.stdin):
    try:
        kubernetes_validate.validate(document, sys.argv[1], strict=True)
        why = ""
    except kubernetes_validate.ValidationError as error:
        why = error.message
    print(json.dumps([document["kind"], why]))
"""


def validated(objects: list[Any], release: str, folder: Path) -> list[tuple[str, str]]:
    """The kind of each object, and why a release of Kubernetes refuses it."""
    argv = ("uv", "run", "--quiet", "--no-project", "--no-config", "--with", "kubernetes-validate==1.37.0")
    done = subprocess.run(
        (*argv, "python", "-c", CHECK, release),
        input=json.dumps(objects), capture_output=True, text=True, check=False, cwd=folder,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return [tuple(json.loads(line)) for line in done.stdout.splitlines()]


@pytest.mark.extended
@pytest.mark.parametrize("release", ["1.37", "1.30", "1.27"])
def test_every_manifest_is_valid_without_an_unknown_field(release: str, tmp_path: Path) -> None:
    """
    With every setting; a field with a typo in the same manifest is refused.
    """
    settings = KubernetesSettings(target="kubernetes", max_replicas=4, secret="s", pull_secret="x")
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
    objects = json.loads(json.dumps([*workload(pod, settings, KEYS), service_to("prod", "blue", settings, KEYS)]))
    misspelt = json.loads(json.dumps(objects[0]))
    misspelt["spec"]["template"]["spec"]["containers"][0]["readinesProbe"] = {}

    found = validated([*objects, misspelt], release, tmp_path)

    kinds = ["Deployment", "PodDisruptionBudget", "HorizontalPodAutoscaler", "Service"]
    assert [(kind, "") for kind in kinds] == found[:4]
    assert "readinesProbe" in found[4][1]
