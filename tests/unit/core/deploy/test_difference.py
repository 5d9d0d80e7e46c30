"""The plan of a deployment as a difference."""

from mlflow_uv.core.deploy.difference import DeploymentChange, changes_between, plan_table


def test_a_plan_has_what_differs_alone() -> None:
    """
    In the order in which it is to be; what is to go comes last.
    """
    now = {"version": "1", "image": "a", "memory": "512 MiB", "canary": "5 %"}

    found = changes_between(now, {"version": "2", "image": "a", "memory": "512 MiB", "proxy": "running"})

    assert (
        DeploymentChange(part="version", now="1", then="2"),
        DeploymentChange(part="proxy", now="nothing", then="running"),
        DeploymentChange(part="canary", now="5 %", then="nothing"),
    ) == found
    assert () == changes_between(now, now)


def test_a_table_shows_the_beginning_of_a_digest() -> None:
    """
    A reference keeps its name.
    """
    digest = f"sha256:{'ab' * 32}"

    table = plan_table("Plan", (DeploymentChange(part="image", now=digest, then=f"r.example/wine@{digest}"),))

    assert (("image", "sha256:ababababababababa", "r.example/wine@sha256:ababababababababa"),) == table.rows
