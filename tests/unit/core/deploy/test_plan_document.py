"""The plan of a deployment as a file and as a comment, whoever wrote the file."""

import json
from dataclasses import replace

import pytest

from mlflow_uv.core.deploy.difference import DeploymentChange
from mlflow_uv.core.deploy.plan_document import (
    LIMIT,
    MOST,
    DeploymentPlan,
    InvalidPlan,
    plan_comment,
    plan_document,
    plan_marker,
    read_plan,
)

CHANGE = DeploymentChange(part="version", now="1", then="2")
PLAN = DeploymentPlan(
    deployment="prod",
    model="wine",
    version="2",
    before="1",
    changes=(CHANGE,),
    pull_request=3,
    head_of_pull_request="b" * 40,
)


def test_a_plan_is_read_as_it_was_written() -> None:
    """
    One that is too large is cut to what can be read.
    """
    large = replace(PLAN, changes=(replace(CHANGE, now="x" * 10_000),) * 500)

    cut = read_plan(plan_document(large))

    assert PLAN == read_plan(plan_document(PLAN))
    assert (MOST, 300) == (len(cut.changes), len(cut.changes[0].now))


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"schema": "mlflow-uv/lock-comparison/1"}, "its schema is not"),
        ({"deployment": "prod -->"}, "is not the name of a deployment"),
        ({"deployment": "prod\n"}, "is not the name of a deployment"),
        ({"extra": 1}, "extra"),
        ({"version": 2}, "version"),
        ({"pull_request": -1}, "larger than a plan"),
        ({"head_of_pull_request": "main"}, "is not a commit"),
        ({"model": "x" * 301}, "larger than a plan"),
        ({"changes": [{"part": "a", "now": "b", "then": "c"}] * 51}, "larger than a plan"),
    ],
)
def test_another_document_is_refused(change: dict[str, object], why: str) -> None:
    """
    It may come from an untrusted source.
    """
    raw = {**json.loads(plan_document(PLAN)), **change}

    with pytest.raises(InvalidPlan, match=why):
        read_plan(json.dumps(raw).encode())


@pytest.mark.parametrize("data", [b"[]", b"{", b"x" * (LIMIT + 1), b"\xff"])
def test_bytes_that_are_no_plan_are_refused(data: bytes) -> None:
    """
    None of them is an error of another kind.
    """
    with pytest.raises(InvalidPlan):
        read_plan(data)


def test_a_comment_has_a_row_for_each_difference_and_no_markup_of_others() -> None:
    """
    It is found again by the deployment; nothing to change is nothing to say.
    """
    hostile = DeploymentChange(part="image | <img src=x>", now="@team", then="](http://x)\n| a | b |")
    text = plan_comment(replace(PLAN, changes=(CHANGE, hostile)))

    assert text.startswith(f"{plan_marker(PLAN)}\n### prod would run wine version 2\n")
    assert "| version | 1 | 2 |" in text
    assert not [word for word in ("<img", "@team", "](http", "| a | b |") if word in text]
    assert 2 == len([line for line in text.splitlines() if line.startswith("| ")][1:])
    assert "" == plan_comment(replace(PLAN, changes=()))
