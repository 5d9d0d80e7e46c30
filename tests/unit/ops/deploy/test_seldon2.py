"""Seldon Core 2: Models, the Experiment before them, and which one runs."""

from dataclasses import replace

import pytest

from mlflow_uv.command.errors import BadInput, NotServing, PlanOutdated
from mlflow_uv.core.security.serve_env import ServeVariables
from mlflow_uv.ops.deploy.rollout import ask_live
from mlflow_uv.ops.deploy.seldon2 import Seldon2Service

from .inference_platforms import seldon2_world, v2_server
from .test_target import begin, deploy
from .worlds import EXPECTED, tools_of_tests, wanted_version


def test_the_weights_are_always_a_hundred_and_the_first_candidate_runs() -> None:
    """
    Also while it has the smaller one.
    """
    world = seldon2_world()
    deploy(world, "1")
    world.cluster.weights.clear()
    target = begin(world.target(), wanted_version("2"), up_to="ask")
    assert isinstance(target, Seldon2Service)

    target.share(95)
    during = world.target().observe()
    target.shift()
    target.settle()

    assert [{"prod-blue": 5, "prod-green": 95}, {"prod-green": 100}, {"prod-green": 100}] == world.cluster.weights
    assert ("1", ("the Model prod-green", "a share for another version")) == (during.version, during.leftovers)


def test_the_live_version_is_asked_through_the_experiment() -> None:
    """
    At the mesh, or at the URL of the settings; a wrong version that has the traffic is found there.
    """
    world = seldon2_world()
    world.plant("1", "wrong")
    target = begin(world.target(), wanted_version("1"))

    with target.live() as endpoint:
        wrong = ask_live(endpoint, EXPECTED, tools_of_tests())
    names: list[str] = []

    def factor(name: str) -> float:
        names.append(name)
        return 2.0

    with v2_server(factor) as port, seldon2_world(url=f"http://127.0.0.1:{port}/").target().live() as endpoint:
        right = ask_live(endpoint, EXPECTED, tools_of_tests())

    assert ["answers-differ"] == [finding.rule for finding in wrong.complaints]
    assert () == right.complaints
    assert {"prod.experiment"} == {*names}


def test_a_model_that_seldon_gives_up_is_not_waited_for() -> None:
    """
    Its own words are the reason; one that is only late has them, too.
    """
    world = seldon2_world()
    world.plant("1", "ends")
    with pytest.raises(NotServing, match="ModelFailed no such file"):
        begin(world.target(), wanted_version("1"), up_to="wait")
    late = seldon2_world()
    late.plant("1", "silent")
    with pytest.raises(NotServing, match="not ready in time"):
        begin(late.target(), wanted_version("1"), up_to="wait")


def test_a_status_of_an_older_generation_counts_as_none() -> None:
    """
    It is that of the version before.
    """
    world = seldon2_world()
    target = begin(world.target(), wanted_version("1"), up_to="apply")
    world.cluster.objects["model", "prod-blue"]["metadata"]["generation"] = 3

    with pytest.raises(NotServing, match="in time"):
        target.wait()


def test_a_model_with_variables_is_refused() -> None:
    """
    Servers are shared by models.
    """
    wanted = replace(wanted_version("1"), serve_env=ServeVariables({"API_KEY": "x"}))

    with pytest.raises(BadInput, match="has no variables"):
        seldon2_world().target().plan(wanted)


@pytest.mark.parametrize("model", ["wine", "cats"])
def test_a_model_that_another_run_created_after_the_last_look_is_not_deleted(model: str) -> None:
    """
    It has the place of the new version, and the requests of clients; the run neither removes nor undoes it.
    """
    world = seldon2_world()
    target, wanted = world.target(model=model), wanted_version("2", model=model)
    target.plan(wanted)
    deploy(world, "1")

    with pytest.raises(PlanOutdated, match="`prod-blue` is one of mlflow-uv/wine now"):
        target.apply(wanted)
    target.undo()

    assert ("1", ()) == (world.target().observe().version, world.target().observe().leftovers)
