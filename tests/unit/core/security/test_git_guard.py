"""Settings of a call of git."""

from itertools import pairwise

import pytest

from mlflow_uv.core.security.git_guard import FLAGS, GUARD, as_variables


def test_the_command_line_has_every_guard() -> None:
    """
    As `-c KEY=VALUE`, which no file overrides.
    """
    given = [word for before, word in pairwise(FLAGS) if before == "-c"]

    assert {f"{key}={value}" for key, value in GUARD.items()} <= {*given}


@pytest.mark.parametrize(("beside", "first"), [({}, 0), ({"GIT_CONFIG_COUNT": "2"}, 2), ({"GIT_CONFIG_COUNT": "x"}, 0)])
def test_settings_come_after_those_of_the_caller(beside: dict[str, str], first: int) -> None:
    """
    So that they hold, and the caller's too; a count that is none counts nothing.
    """
    found = as_variables([("a.b", "c"), ("d.e", "")], beside=beside)

    assert {
        "GIT_CONFIG_COUNT": str(first + 2),
        f"GIT_CONFIG_KEY_{first}": "a.b", f"GIT_CONFIG_VALUE_{first}": "c",
        f"GIT_CONFIG_KEY_{first + 1}": "d.e", f"GIT_CONFIG_VALUE_{first + 1}": "",
    } == found  # fmt: skip


def test_no_settings_are_no_variables() -> None:
    """
    What the caller counted stays as it is.
    """
    found = as_variables([], beside={"GIT_CONFIG_COUNT": "2"})

    assert {} == found
