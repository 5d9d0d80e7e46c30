"""The file of a plan names the pull request that the workflow is about."""

import json
from pathlib import Path
from types import SimpleNamespace
from typing import cast

import pytest

from mlflow_uv.core.deploy.plan_document import read_plan
from mlflow_uv.ops.deploy.plan_file import write_plan
from mlflow_uv.tools.toolbox import Tools

from .test_rollout import plan_of
from .worlds import host_world


@pytest.mark.parametrize("number", [0, 17])
def test_a_plan_is_written_for_its_pull_request(tmp_path: Path, number: int) -> None:
    """
    Outside of one it names none; without a path nothing is written.
    """
    event = {"pull_request": {"number": number, "head": {"sha": "b" * 40}, "base": {"sha": "a" * 40}}}
    (tmp_path / "event.json").write_text(json.dumps(event))
    job = {"GITHUB_EVENT_NAME": "pull_request", "GITHUB_EVENT_PATH": str(tmp_path / "event.json")} if number else {}
    tools = cast("Tools", SimpleNamespace(host=SimpleNamespace(variables=job)))
    plan = plan_of(host_world().target(), "2")

    write_plan(tmp_path / "plan.json", plan, tools)
    write_plan(None, plan, tools)

    found = read_plan((tmp_path / "plan.json").read_bytes())
    assert ("prod-pr-17", "2", plan.changes) == (found.deployment, found.version, found.changes)
    assert (number, "b" * 40 if number else "") == (found.pull_request, found.head_of_pull_request)
    assert ["event.json", "plan.json"] == sorted(path.name for path in tmp_path.iterdir())
