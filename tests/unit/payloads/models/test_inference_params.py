"""Parameters that the signature does not declare are named, with those that it declares."""

from types import SimpleNamespace
from typing import Any

import pytest

from mlflow_uv.payloads.models.inference_params import require_params
from mlflow_uv.payloads.problems import Problem, ProblemKind


def model(*specs: Any) -> Any:
    """A model whose signature declares these parameters; none without any."""
    schema = SimpleNamespace(params=list(specs)) if specs else None
    return SimpleNamespace(metadata=SimpleNamespace(get_params_schema=lambda: schema))


FACTOR = SimpleNamespace(name="factor", dtype=SimpleNamespace(name="double"), default=2.0)


@pytest.mark.parametrize(
    ("subject", "has"),
    [
        (model(FACTOR), "its parameters, with type and default, are `factor` (double, 2.0)"),
        (model(), "its signature declares none"),
    ],
)
def test_an_unknown_parameter_is_refused_with_those_of_the_model(subject: Any, has: str) -> None:
    """
    MLflow ignores it with a warning in a log, and the predictions are those of the default.
    """
    with pytest.raises(Problem) as caught:
        require_params(subject, {"facto": 3.0})

    assert (ProblemKind.PARAMS, f"the model has no parameter `facto`; {has}") == (
        caught.value.kind, caught.value.message,
    )  # fmt: skip


@pytest.mark.parametrize("params", [None, {}])
def test_without_parameters_any_model_is_accepted(params: Any) -> None:
    """
    Neither the signature nor MLflow is consulted.
    """
    require_params(None, params)
