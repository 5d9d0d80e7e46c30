"""Seldon Core: predictors, their shares, and which one runs."""

import pytest

from mlflow_uv.command.errors import NotServing
from mlflow_uv.ops.deploy.seldon import SeldonService

from .inference_platforms import seldon_world
from .test_target import begin, deploy
from .worlds import wanted_version


def test_the_shares_of_both_versions_are_always_a_hundred() -> None:
    """
    The first predictor is the one that runs, also while it has the smaller share.
    """
    world = seldon_world()
    deploy(world, "1")
    world.cluster.shares.clear()
    target = begin(world.target(), wanted_version("2"), up_to="ask")
    assert isinstance(target, SeldonService)

    target.share(95)
    during = world.target().observe()
    target.shift()
    target.settle()

    assert [{"blue": 100, "green": 0}, {"blue": 5, "green": 95}, {"green": 100, "blue": 0}, {"green": 100}] == (
        world.cluster.shares
    )
    assert ("1", ("the predictor green",)) == (during.version, during.leftovers)


def test_what_a_killed_run_left_is_removed_before_its_name_is_used_again() -> None:
    """
    Its pods would be taken for those of the new version.
    """
    world = seldon_world()
    deploy(world, "1")
    begin(world.target(), wanted_version("2"), up_to="ask")
    world.cluster.shares.clear()

    begin(world.target(), wanted_version("3")).settle()

    assert {"blue": 100} == world.cluster.shares[0]
    assert "3" == world.target().observe().version


def test_a_deployment_that_seldon_gives_up_is_not_waited_for() -> None:
    """
    Its own words are the reason.
    """
    world = seldon_world()
    world.plant("1", "silent")
    target = begin(world.target(), wanted_version("1"), up_to="apply")
    world.cluster.objects["seldondeployment", "prod"]["status"] = {"state": "Failed", "description": "graph is wrong"}

    with pytest.raises(NotServing, match="graph is wrong"):
        target.wait()
