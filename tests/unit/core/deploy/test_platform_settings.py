"""Settings of platforms: names and words that cannot mean something else there."""

import pytest

from mlflow_uv.command.errors import BadInput
from mlflow_uv.command.step import ValueLayer, settle
from mlflow_uv.core.deploy.platform_settings import DatabricksSettings, PlatformSettings


def settings(**values: object) -> DatabricksSettings:
    """Settings as a table has them."""
    return settle(DatabricksSettings, (ValueLayer("`{}`", {"target": "databricks", **values}),))


def test_the_endpoint_is_named_after_the_deployment_and_its_prefix() -> None:
    """
    Two projects with a deployment `prod` share a workspace.
    """
    assert ("prod", "wine-prod-pr-17") == (
        settings().endpoint("prod"),
        settings(prefix="wine-").endpoint("prod-pr-17"),
    )


def test_a_platform_has_time_to_start_a_server() -> None:
    """
    Minutes, unlike a container on a host; a project may set another time.
    """
    assert (1800, 1800, 45) == (
        PlatformSettings.usual_deadline_s,
        settings().least_deadline_s,
        settings(**{"least-deadline": 45}).least_deadline_s,
    )


@pytest.mark.parametrize(
    ("name", "value"),
    [
        *(("prefix", value) for value in ("../", "a/b", "Wine-", "é", "-a", "a--b", "a" * 31)),
        ("secret-scope", "a/b}}"),
        ("workload-size", "Small\n"),
        ("workload-type", "cpu"),
    ],
)
def test_what_would_be_part_of_a_path_or_a_reference_is_refused(name: str, value: str) -> None:
    """
    The names are put into addresses and into references to secrets.
    """
    with pytest.raises(BadInput):
        settings(**{name: value})
