"""What a request line that nobody should send is answered with, before any module of a verb is imported."""

import gc
import io
from collections.abc import Iterator
from typing import Any

import pytest

from mlflow_uv.payloads.channel import Channel
from mlflow_uv.payloads.dispatch import CONVERSING, MODEL_PROCESS, VERBS, respond, resume_collection
from mlflow_uv.payloads.problems import ProblemKind


@pytest.fixture
def _collection() -> Iterator[None]:
    """Collection of garbage is a setting of the whole process."""
    yield
    gc.unfreeze()
    gc.enable()


def refusal(verb: str, request: dict[str, Any], channel: Channel | None = None) -> tuple[str, str]:
    """The kind and the message of the error."""
    error = respond(verb, request, channel)["error"]
    return error["kind"], error["message"]


@pytest.mark.parametrize("verb", ["", "no-such-verb", "scoring.scorer"])
def test_an_unknown_verb_is_refused(verb: str) -> None:
    """
    A verb is a name in a table: text of a request is imported nowhere.
    """
    assert (ProblemKind.INVALID.value, f"unknown verb `{verb}`") == refusal(verb, {})


def test_a_verb_that_converses_needs_a_channel_and_no_other_gets_one() -> None:
    """
    A caller that expects one line of response never waits for one that is a message, and the reverse.
    """
    channel = Channel(io.StringIO(), io.StringIO())

    kinds = [refusal(verb, {})[0] for verb in CONVERSING] + [refusal("describe-environment", {}, channel)[0]]

    assert [ProblemKind.INVALID.value] * 3 == kinds


def test_a_request_with_a_part_that_it_does_not_have_is_refused() -> None:
    """
    Both sides are of one release: a part that is not declared is an error, not ignored.
    """
    kind, message = refusal("describe-environment", {"python": "3.9"})

    assert ProblemKind.INVALID.value == kind
    assert "python" in message


def test_each_verb_has_one_class() -> None:
    """
    Two requests with one verb would hide each other.
    """
    assert len(VERBS) == len({kind.verb for kind in VERBS})


@pytest.mark.usefixtures("_collection")
def test_collection_that_is_resumed_leaves_what_is_imported_alone() -> None:
    """
    A later collection does not look at the objects of MLflow's modules again.
    """
    gc.disable()

    resume_collection()

    assert gc.isenabled()
    assert gc.get_freeze_count() > 1000


@pytest.mark.usefixtures("_collection")
@pytest.mark.parametrize("of_a_model", [True, False], ids=["model", "store"])
def test_garbage_is_collected_while_a_model_runs(monkeypatch: pytest.MonkeyPatch, *, of_a_model: bool) -> None:
    """
    The code of a model may create any amount, and run for hours.
    """
    if of_a_model:
        monkeypatch.setenv(MODEL_PROCESS, "1")
    gc.disable()

    respond("describe-environment", {})

    assert gc.isenabled() is of_a_model
