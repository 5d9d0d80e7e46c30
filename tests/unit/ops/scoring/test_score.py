"""What identifies a run, so that parts of another one are not kept."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from mlflow_uv.command.inputs import Isolation
from mlflow_uv.core.scoring.layout import TableFormat
from mlflow_uv.core.security.serve_env import ServeVariables
from mlflow_uv.ops.image.isolation import EvaluatedVersion
from mlflow_uv.ops.scoring.inputs import InputTable
from mlflow_uv.ops.scoring.score import ScoringOptions, ScoringPlan

SUBJECT = EvaluatedVersion(name="wine", version="3", model_id=None, run_id=None, model=Path("/m"), sha256="a" * 64)
OPTIONS = ScoringOptions(params=None, key_columns=(), format=TableFormat.CSV, batch_rows=10, part_rows=100)
PLAN = ScoringPlan(
    subject=SUBJECT,
    release_key="key",
    table=InputTable(files={}),
    inputs=(),
    options=OPTIONS,
    strict=False,
    isolation=Isolation.AUTO,
    serve_env=ServeVariables({"REGION": "north"}),
    scratch=Path("/s"),
)


@pytest.mark.parametrize(
    "changes",
    [
        {"subject": replace(SUBJECT, sha256="b" * 64)},
        {"subject": replace(SUBJECT, version="4")},
        {"release_key": "other"},
        {"options": replace(OPTIONS, params={"top_k": 3})},
        {"options": replace(OPTIONS, format=TableFormat.PARQUET)},
        {"options": replace(OPTIONS, key_columns=("id",))},
        {"options": replace(OPTIONS, batch_rows=11)},
        {"serve_env": ServeVariables({"OTHER": "north"})},
    ],
)
def test_another_model_or_another_option_is_another_run(changes: dict[str, Any]) -> None:
    """
    Everything that decides what a row of the output holds is part of the key.
    """
    assert PLAN.key != replace(PLAN, **changes).key


@pytest.mark.parametrize(
    "changes",
    [
        {"strict": True},
        {"isolation": Isolation.PROCESS},
        {"scratch": Path("/t")},
        {"subject": replace(SUBJECT, model=Path("/elsewhere"))},
    ],
)
def test_where_a_run_takes_place_is_no_part_of_its_key(changes: dict[str, Any]) -> None:
    """
    A run goes on in a container or a process, wherever its temporary files are.
    """
    assert PLAN.key == replace(PLAN, **changes).key


def test_no_value_of_a_variable_is_described() -> None:
    """
    The manifest has the names of the variables that the model got.
    """
    assert ["REGION"] == PLAN.run["variables"]
    assert "north" not in str(PLAN.run)
