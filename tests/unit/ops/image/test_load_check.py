"""What a server is measured with, and what is found when it cannot be."""

import json
from dataclasses import dataclass, field
from pathlib import PurePath
from typing import cast

from mlflow_uv.core.model.budgets import Budgets
from mlflow_uv.core.model.load_figures import MIB
from mlflow_uv.core.model.recorded_requests import RecordedRequest, RequestOrigin, from_examples
from mlflow_uv.core.policy.table import PolicySource
from mlflow_uv.ops.image.load_check import LoadResult, measure
from mlflow_uv.ops.image.serving_check import Expected
from mlflow_uv.tools.engines.engine import StartedServer
from mlflow_uv.tools.mlflow.model_requests import LoadPlan

DERIVED = RecordedRequest(name="derived: x", origin=RequestOrigin.DERIVED, body="{}", answer=1)
REFUSED = RecordedRequest(name="line 2", origin=RequestOrigin.FILE, body="{}", status=400)


@dataclass
class FakeServer:
    """A server that is measured as a test says."""

    text: str
    plans: list[LoadPlan] = field(default_factory=list)

    def measure(self, plan: LoadPlan) -> str:
        """See StartedServer."""
        self.plans.append(plan)
        return self.text


def result_of(server: FakeServer, budgets: Budgets) -> LoadResult:
    """What is found of a server with an example of two requests."""
    requests = (*from_examples([1, 2], [3, 4]), REFUSED, DERIVED)
    expected = Expected(requests=requests, tolerance=0, deadline_s=1, network=False)
    source = PolicySource(policy=budgets, manifest=PurePath("pyproject.toml"), line=3, lines={})
    return measure(cast("StartedServer", server), expected, source, ready_s=2.0)


def test_only_answered_requests_that_are_not_derived_are_sent() -> None:
    """
    With the concurrency and the time of the budgets.
    """
    measured = {"milliseconds": [5.0], "failed": 0, "seconds": 1, "memory": [MIB, MIB, MIB]}
    server = FakeServer(json.dumps(measured))

    result = result_of(server, Budgets(p50_milliseconds=4, concurrency=7, load_seconds=2))

    (plan,) = server.plans
    assert (("1", "2"), 7, 2) == (plan.bodies, plan.concurrency, plan.seconds)
    assert ["budget-p50-milliseconds"] == [finding.rule for finding in result.findings]


def test_without_a_budget_for_it_there_is_no_load() -> None:
    """
    Only the time until the server was healthy counts.
    """
    server = FakeServer("")

    result = result_of(server, Budgets(ready_seconds=1))

    assert ([], ["budget-ready-seconds"]) == (server.plans, [finding.rule for finding in result.findings])


def test_a_server_that_cannot_be_measured_or_fails_is_a_finding() -> None:
    """
    It is within no budget.
    """
    failing = {"milliseconds": [5.0], "failed": 3, "seconds": 1, "memory": [1, 1, 1]}

    results = [result_of(FakeServer(text), Budgets(memory_mib=9)) for text in ("", json.dumps(failing))]

    assert [["load-failed"], ["load-failed"]] == [[each.rule for each in result.findings] for result in results]
    assert "3 of 4 requests" in results[1].findings[0].what
