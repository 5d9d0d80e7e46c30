"""Tests which calls of a script log a model, by its syntax."""

import pytest

from mlflow_uv.core.init.script_syntax import imports_mlflow, logging_calls


@pytest.mark.parametrize(
    ("text", "calls"),
    [
        ("import mlflow\nmlflow.sklearn.log_model(m)", (("log_model", "sklearn"),)),
        ("import mlflow\nmlflow.autolog()", (("autolog", ""),)),
        ("import mlflow.sklearn as sk\nsk.log_model(m)", (("log_model", "sklearn"),)),
        ("from mlflow import xgboost\nxgboost.autolog()", (("autolog", "xgboost"),)),
        ("from mlflow.pytorch import log_model as keep\nkeep(m)", (("log_model", "pytorch"),)),
        (
            "import mlflow\nmlflow.lightgbm.log_model(\n  m,\n)\nmlflow.autolog()",
            (("log_model", "lightgbm"), ("autolog", "")),
        ),
        ("import mlflow\n# mlflow.sklearn.log_model(m)\n", ()),
        ('import mlflow\n"""mlflow.sklearn.log_model(m)"""\n', ()),
        ("import mlflow\nlog = {'a': mlflow.sklearn.log_model}\n", (("log_model", "sklearn"),)),
        ("import mlflow\nmlflow.openai.autolog()\nmlflow.autolog()", (("autolog", ""),)),
        ("import mlflow.anthropic as a\na.autolog()", ()),
        ("import mlflow\nprint 'a'\nmlflow.openai.autolog()", ()),
        ("import mlflow\nother.mlflow.autolog()\n", ()),
        ("import mlflow\nf().log_model(m)\n", ()),
        ("import mlflow\nprint 'a'\nmlflow.sklearn.log_model(m)", (("log_model", "sklearn"),)),
    ],
)
def test_a_call_logs_a_model_by_whatever_name(text: str, calls: tuple[tuple[str, str], ...]) -> None:
    """
    What comments and texts have is no call; a file that this Python cannot read is searched.
    """
    assert (True, calls) == (imports_mlflow(text), logging_calls(text))
