"""Checking that the project's MLflow is new enough for a release."""

import pytest

from mlflow_uv.command.errors import ToolMissing
from mlflow_uv.core.model.mlflow_version import require_logging


@pytest.mark.parametrize("versions", [(), ("2.20.0",), ("2.100.1", "3.1"), ("10.0.0rc1",)])
def test_a_new_enough_mlflow_is_accepted(versions: tuple[str, ...]) -> None:
    """
    Versions are compared as numbers; what follows the minor version does not matter.
    """
    require_logging(versions)


@pytest.mark.parametrize(
    ("versions", "what"),
    [
        ((None,), "the project's MLflow is missing"),
        (("2.19.0",), "the project's MLflow is 2.19.0"),
        (("3.1.0", "1.30.1"), "the project's MLflow is 1.30.1"),
    ],
)
def test_a_missing_or_older_mlflow_is_named_with_the_fix(versions: tuple[str | None, ...], what: str) -> None:
    """
    One of several versions, as platforms may lock different ones, is enough.
    """
    with pytest.raises(ToolMissing) as caught:
        require_logging(versions)

    assert (what, "uv add 'mlflow>=2.20'") == (str(caught.value.what), str(caught.value.fix))
