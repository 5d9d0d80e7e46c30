"""Tests how a container in a cluster is read."""

from typing import Any

import pytest

from mlflow_uv.core.deploy.pod_facts import container_facts, resource_facts, secrets_of, with_variables


@pytest.mark.parametrize(
    ("memory", "cpu", "facts"),
    [
        ("1024Mi", "0.5", ("1024 MiB", "0.5")),
        ("1Gi", "500m", ("1024 MiB", "0.5")),
        ("1073741824", "1500m", ("1024 MiB", "1.5")),
        ("1e3M", "2", ("953.67431640625 MiB", "2")),
        ("1048576Mi", "12", ("1048576 MiB", "12")),
        (None, None, ("none", "none")),
        ("much", "1x", ("much", "1x")),
        ("NaN", "1e99999", ("NaN", "1e99999")),
        ("1e999999Mi", "9e9999999999999999999", ("1e999999Mi", "9e9999999999999999999")),
    ],
)
def test_a_quantity_is_the_same_in_each_unit(memory: str | None, cpu: str | None, facts: tuple[str, str]) -> None:
    """
    The server of a cluster writes it in another one; what is no quantity is shown as it is.
    """
    resources = {"requests": {"memory": memory, "cpu": cpu}, "limits": {"memory": memory}}

    assert {"memory": facts[0], "cpus": facts[1]} == resource_facts({"resources": resources})


def test_a_limit_that_differs_from_the_request_is_named() -> None:
    """
    Of memory and of processors.
    """
    resources = {"requests": {"memory": "1Gi", "cpu": "1"}, "limits": {"memory": "2Gi", "cpu": "2"}}

    assert {"memory": "2048 MiB, 1024 MiB requested", "cpus": "1, at most 2"} == resource_facts(
        {"resources": resources}
    )


def test_variables_are_named_with_the_key_of_their_secret_and_without_values() -> None:
    """
    Settings of the server that anybody may see have a digest.
    """

    def secret(name: str, key: str) -> dict[str, Any]:
        return {"name": name, "valueFrom": {"secretKeyRef": {"name": "wine", "key": key}}}

    plain = {"name": "MODEL_NAME", "value": "other"}
    container = {
        "env": [plain, secret("B", "B"), secret("A", "C"), {"name": "NODE", "valueFrom": {"fieldRef": {}}}],
        "args": ["serve"],
    }

    facts = container_facts(container)

    assert "A from C, B, NODE from no key" == facts["variables"]
    assert facts["server settings"].startswith("MODEL_NAME (values ")
    assert ("none", "args of the container") == (facts["request timeout"], facts["started by"])
    assert "no Secret, wine" == secrets_of(container)


def test_variables_of_others_can_be_left_out() -> None:
    """
    By their names.
    """
    ours, added = {"name": "A", "value": "1"}, {"name": "PREDICTOR_ID", "value": "a"}

    assert [ours] == with_variables({"env": [ours, added]}, ("A",))["env"]
    assert [] == with_variables({"env": None}, ())["env"]
