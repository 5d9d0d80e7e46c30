"""The manifests of a version for Kubernetes."""

import json
from dataclasses import replace
from typing import Any

import pytest

from mlflow_uv.core.deploy.manifests import ManifestLabels, PodSpec, manager_of, pod_template, service_to, workload
from mlflow_uv.core.deploy.served_containers import DRAIN_S
from mlflow_uv.core.deploy.settings import KubernetesSettings

KEYS = ManifestLabels(deployment="d", slot="p", facts="f")
IMAGE = f"r.example/wine@sha256:{'1' * 64}"


def kubernetes(**settings: Any) -> KubernetesSettings:
    """Settings of a target."""
    return KubernetesSettings(target="kubernetes", **settings)


def pod(*, start_s: float = 120, **settings: Any) -> PodSpec:
    """Pods of the colour blue."""
    return PodSpec(
        deployment="prod",
        slot="blue",
        image=IMAGE,
        facts={"version": "1"},
        settings=kubernetes(**settings),
        start_s=start_s,
        request_s=60,
        variables=("API_KEY",),
    )


def spec_of(**settings: Any) -> dict[str, Any]:
    """The spec of the pods."""
    return dict(json.loads(json.dumps(pod_template(pod(**settings)))))


def test_a_service_leads_to_the_pods_of_its_colour_alone() -> None:
    """
    Its selector has the labels of the pods; those of the other colour have another one.
    """
    deployment, budget = workload(pod(), kubernetes(), KEYS)

    labels = deployment["spec"]["template"]["metadata"]["labels"]
    leading = service_to("prod", "blue", kubernetes(), KEYS)
    assert labels == leading["spec"]["selector"] == {"d": "prod", "p": "blue"}
    assert labels == deployment["spec"]["selector"]["matchLabels"] == budget["spec"]["selector"]["matchLabels"]
    assert ("prod", "prod-blue") == (leading["metadata"]["name"], deployment["metadata"]["name"])


def test_a_server_that_verifies_its_model_gets_the_attestations_by_value() -> None:
    """
    Everybody may read them; one that does not verify has no such variable.
    """
    verifying = replace(pod(), server_settings={"ATTESTATIONS": '{"a": "$x"}\n{}'})

    variables = [
        {one["name"]: one.get("value") for one in pod_template(each)["containers"][0]["env"]}
        for each in (verifying, pod())
    ]

    assert ['{"a": "$x"}\n{}', None] == [found.get("ATTESTATIONS") for found in variables]
    assert ["60", "60"] == [found["REQUEST_TIMEOUT"] for found in variables]


def test_pods_are_confined_and_get_secrets_by_reference() -> None:
    """
    As the containers on a host, and without a token of the cluster; no value of a variable is in a manifest.
    """
    found = spec_of(secret="wine-variables")
    (container,) = found["containers"]

    assert (True, ["ALL"], False) == (
        container["securityContext"]["readOnlyRootFilesystem"],
        container["securityContext"]["capabilities"]["drop"],
        container["securityContext"]["allowPrivilegeEscalation"],
    )
    assert (False, True) == (found["automountServiceAccountToken"], found["securityContext"]["runAsNonRoot"])
    assert {"secretKeyRef": {"name": "wine-variables", "key": "API_KEY"}} == container["env"][1]["valueFrom"]
    assert "imagePullSecrets" not in found


def test_a_pod_has_more_time_to_end_than_its_server_needs() -> None:
    """
    It lingers until all nodes know, then drains.
    """
    found = spec_of()
    (container,) = found["containers"]
    lingering = int(container["lifecycle"]["preStop"]["exec"]["command"][1])

    assert found["terminationGracePeriodSeconds"] > lingering + DRAIN_S


@pytest.mark.parametrize("deadline", [0.5, 121, 3600])
def test_a_pod_may_start_for_as_long_as_the_deadline_says(deadline: float) -> None:
    """
    The deployment waits for it that long; a pod that is ended before starts again from the beginning.
    """
    (container,) = spec_of(start_s=deadline)["containers"]
    probe = container["startupProbe"]

    allowed = probe["periodSeconds"] * probe["failureThreshold"]

    assert deadline <= allowed < deadline + probe["periodSeconds"]


@pytest.mark.parametrize(("most", "kinds"), [(None, 2), (6, 3), (1, 3)])
def test_an_autoscaler_owns_the_number_of_pods(most: int | None, kinds: int) -> None:
    """
    Without one, the Deployment has it; a largest number below the smallest is the smallest.
    """
    objects = workload(pod(replicas=3, max_replicas=most), kubernetes(replicas=3, max_replicas=most), KEYS)

    assert kinds == len(objects)
    assert (most is None) == ("replicas" in objects[0]["spec"])
    if most is not None:
        assert (3, max(3, most)) == (objects[2]["spec"]["minReplicas"], objects[2]["spec"]["maxReplicas"])


def test_every_model_is_an_owner_of_its_own() -> None:
    """
    Also if its name is too long for the server, or not printable.
    """
    names = ["wine", "cats", "x" * 127, "x" * 128, "a\nb", "a\rb"]

    managers = [manager_of(name) for name in names]

    assert len(names) == len({*managers})
    assert "mlflow-uv/wine" == managers[0]
    assert all(len(manager) <= 128 and manager.isprintable() for manager in managers)
