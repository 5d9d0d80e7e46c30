"""Tests what a training reports about the model that it made."""

from mlflow_uv.command.report import Severity
from mlflow_uv.ops.model.training import saved_otherwise
from mlflow_uv.payloads.messages.models import FunctionModel


def test_a_model_that_is_not_in_the_default_format_is_a_notice_with_the_reason() -> None:
    """
    A model in the default format, or in one that the function chose, is none.
    """
    rejected = FunctionModel(model_id="m", saved_as="cloudpickle", reason="Untrusted types found: Tree")

    (finding,) = saved_otherwise(rejected)

    assert (Severity.NOTICE, "Untrusted types found: Tree") == (finding.severity, finding.why)
    assert "saved with cloudpickle" in finding.what
    assert () == saved_otherwise(FunctionModel(model_id="m"))
