"""Causes are names of rules, which reports and workflows rely on."""

import re

from mlflow_uv.core.freshness.causes import Cause
from mlflow_uv.tools.uv.messages import LockState


def test_every_cause_ends_the_name_of_a_rule() -> None:
    """
    In the form of all rules.
    """
    assert [] == [cause for cause in Cause if not re.fullmatch(r"[a-z]+(-[a-z]+)*", cause.value)]


def test_rules_that_workflows_rely_on_keep_their_names() -> None:
    """
    They are an interface.
    """
    assert {"requirement-added", "requires-python", "missing", "conflict", "network", "option", "unreadable"} <= {
        cause.value for cause in Cause
    }


def test_the_states_that_are_causes_too_have_one_name() -> None:
    """
    `lock-missing` is the finding of the state `missing`.
    """
    shared = {state.value for state in LockState} & {cause.value for cause in Cause}

    assert {"stale", "missing", "unsolvable", "unreadable"} == shared
