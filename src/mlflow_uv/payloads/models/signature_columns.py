"""Selects the columns of a model's signature in a table, with the types that the signature declares."""

from typing import Any

import pandas as pd
from mlflow.types import DataType
from mlflow.utils.proto_json_utils import cast_df_types_according_to_schema

from ..problems import Problem, ProblemKind, first_line, quoted


def conform(model: Any, frame: pd.DataFrame, target: "str | None", *, text: bool) -> pd.DataFrame:
    """
    The columns of the signature and the target, with the signature's types; the server drops others, too.

    `text` states that the table comes from a format without types, such as CSV or JSON: its values are converted as
    MLflow's server converts those of a request. Raises Problem.
    """
    schema = model.metadata.get_input_schema()
    if schema is None:
        return frame
    if text:
        try:
            frame = cast_df_types_according_to_schema(frame, schema)
        except Exception as error:  # a value of another type may raise anything
            raise Problem(ProblemKind.INVALID, f"it does not fit the model's signature: {first_line(error)}") from error
    if not schema.has_input_names():
        return frame
    require_columns(schema, frame.columns)
    names = {*schema.input_names(), target}
    frame = frame[[name for name in frame.columns if name in names]]
    return frame.assign(
        **{
            spec.name: _widened(frame[spec.name], spec.type.to_numpy())
            for spec in schema.inputs
            if spec.name in frame.columns and spec.type in (DataType.float, DataType.double)
        }
    )


def require_columns(schema: Any, columns: Any) -> None:
    """Raise Problem if a table with these columns lacks some that the signature requires."""
    missing = [name for name in schema.required_input_names() if name not in columns]
    if missing:
        has = ", ".join(map(str, columns))
        raise Problem(
            ProblemKind.INVALID, f"it lacks {quoted(missing)}, which the model requires; its columns are {has}"
        )


def _widened(column: Any, required: Any) -> Any:
    """Integers as the required float type: MLflow rejects them, even if all are exactly representable."""
    if not pd.api.types.is_integer_dtype(column):
        return column
    wide = column.astype("float64" if column.hasnans else required)
    if not column.hasnans and not (wide.astype(column.dtype) == column).all():
        reason = f"column `{column.name}` holds {column.dtype} values without an exact {required}, its declared type"
        raise Problem(ProblemKind.INVALID, f"{reason}; `astype('{required}')` rounds them")
    return wide
