"""Of several models one is released: the one of that name, the one that training registered, or none."""

from dataclasses import replace

import pytest

from mlflow_uv.command.errors import ModelNotFound
from mlflow_uv.ops.model.choice import choose
from mlflow_uv.payloads.messages.models import FoundModels, LoggedModelDescription
from mlflow_uv.payloads.messages.registry import RegisteredVersion
from mlflow_uv.payloads.messages.runs import RunDescription
from tests.console import KeptConsole
from tests.messages import MODEL, RUN, VERSION


def model(number: int, name: str = "model", status: str = "READY") -> LoggedModelDescription:
    return replace(MODEL, model_id=f"m-{number}", name=name, run_id=f"r{number}", status=status)


def run(number: int, **metrics: float) -> RunDescription:
    return replace(RUN, run_id=f"r{number}", name=f"try-{number}", metrics=metrics)


def version(number: int, name: str, of: int) -> RegisteredVersion:
    return replace(VERSION, name=name, version=str(number), model_id=f"m-{of}")


def logged(*models: LoggedModelDescription, runs: tuple[RunDescription, ...] = ()) -> FoundModels:
    return FoundModels(runs=runs, models=models, versions=())


SEARCH = logged(model(1), model(2), model(3), runs=(run(1, rmse=0.5), run(2, rmse=0.25), run(3)))


def test_the_only_model_is_released() -> None:
    """
    What did not become ready is no model, and nothing is said where there is nothing to choose.
    """
    console = KeptConsole()

    chosen = choose(logged(model(1, status="FAILED"), model(2)), None, console)

    assert ("m-2", []) == (chosen.model_id, console.lines)


def test_of_a_search_the_one_that_training_registered_is_released() -> None:
    """
    Three child runs log `model`, and the best one is registered: that one, and it is said.
    """
    console = KeptConsole()

    chosen = choose(replace(SEARCH, versions=(version(4, "wine", of=2),)), None, console)

    assert "m-2" == chosen.model_id
    assert [
        "of 3 models the one that training registered is released: m-2, which is version 4 of wine"
    ] == console.lines


@pytest.mark.parametrize(
    ("versions", "told"),
    [((), "one to release: m-1"), ((version(1, "a", of=1), version(2, "a", of=2)), "2 of them are registered; m-1")],
    ids=["none registered", "two registered"],
)
def test_where_nothing_tells_which_all_are_listed(versions: tuple[RegisteredVersion, ...], told: str) -> None:
    """
    Ids, runs and metrics of models that have one name, with the input that names one by its id.
    """
    with pytest.raises(ModelNotFound) as caught:
        choose(replace(SEARCH, versions=versions), None, KeptConsole())

    assert "training logged 3 models" == caught.value.what
    assert told in caught.value.why
    assert "m-2 `model` of run try-2 r2 (rmse 0.25)" in caught.value.why
    assert caught.value.fix.startswith("--from-model ID; or let training register the one that is released")


def test_names_that_differ_are_the_first_fix() -> None:
    """
    Each under a name of its own: its name answers, and so does its id.
    """
    found = logged(model(1, "linear"), model(2, "tree"), runs=(run(1), run(2)))

    with pytest.raises(ModelNotFound) as caught:
        choose(found, None, KeptConsole())

    assert "m-2" == choose(found, "tree", KeptConsole()).model_id
    assert "they are called linear, tree" in caught.value.why
    assert "--logged-model NAME, or --from-model ID" == caught.value.fix


def test_of_a_long_search_the_last_ten_are_listed() -> None:
    """
    A message of a hundred models helps nobody; how many were left out is said.
    """
    found = logged(*(model(number) for number in range(13)))

    with pytest.raises(ModelNotFound) as caught:
        choose(found, None, KeptConsole())

    assert "m-2 `" not in caught.value.why
    assert caught.value.why.endswith("m-12 `model`; and 3 before these")
