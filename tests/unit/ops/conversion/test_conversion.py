"""Tests the error for a model that is not converted."""

from pathlib import Path

from mlflow_uv.ops.conversion.conversion import refused
from mlflow_uv.ops.image.isolation import EvaluatedVersion

SUBJECT = EvaluatedVersion(name="wine", version="7", model_id="m-1", run_id="r-1", model=Path("model"), sha256="a")


def test_a_refusal_has_the_operator_the_reason_and_what_helps() -> None:
    """
    And an exit code of its own.
    """
    error = refused(SUBJECT, "FunctionTransformer", "FunctionTransformer is not supported")

    assert (
        24, "wine version 7 cannot be converted: `FunctionTransformer`", "FunctionTransformer is not supported", True,
    ) == (error.exit_code, error.what, error.why, "before the model" in error.fix)  # fmt: skip
