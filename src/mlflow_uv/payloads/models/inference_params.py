"""Checks inference parameters against those that the signature of a model declares."""

from collections.abc import Mapping
from typing import Any

from ..problems import Problem, ProblemKind, first_line, quoted


def require_params(model: Any, params: "Mapping[str, Any] | None") -> None:
    """Raise Problem for a parameter that the model does not declare, which MLflow ignores, or one of another type."""
    if not params:
        return
    schema = model.metadata.get_params_schema()
    declared = {spec.name: spec for spec in schema.params} if schema is not None else {}
    if unknown := [name for name in params if name not in declared]:
        shown = ", ".join(f"`{name}` ({spec.dtype.name}, {spec.default!r})" for name, spec in declared.items())
        has = f"its parameters, with type and default, are {shown}" if declared else "its signature declares none"
        raise Problem(ProblemKind.PARAMS, f"the model has no parameter {quoted(unknown)}; {has}")
    from mlflow.models.utils import _enforce_params_schema  # noqa: PLC0415  # unknown names need no MLflow

    try:
        _enforce_params_schema(dict(params), schema)
    except Exception as error:  # MLflow's error, or that of a conversion
        raise Problem(ProblemKind.PARAMS, first_line(error)) from error
