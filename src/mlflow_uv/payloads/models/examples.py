"""Reads a JSON or CSV file as a request for `/invocations`."""

import json
from pathlib import Path
from typing import Any

from ..messages.models import ExampleRequests, ReadExample
from ..problems import Problem, ProblemKind
from .strict_json import RepeatedName, strict_json


def read(request: ReadExample) -> ExampleRequests:
    """
    Read a file as request bodies of `/invocations`, without validating them against a model.

    A CSV file starts with a line of column names. JSON is a request of MLflow's server, or a table as pandas writes it
    (`orient="records"`, `"split"` or `"values"`, which becomes `inputs`).
    """
    path = Path(request.file)
    try:
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise Problem(
            ProblemKind.INVALID, f"`{path.name}` cannot be read: {getattr(error, 'strerror', None) or error}"
        ) from error
    payload = _from_csv(path, text) if path.suffix.lower() == ".csv" else _from_json(path, text)
    return ExampleRequests(requests=(payload,))


def _from_json(path: Path, text: str) -> Any:
    try:
        content = strict_json(text)
    except RepeatedName as error:
        raise Problem(ProblemKind.INVALID, f"`{path.name}` is ambiguous: {error}") from error
    except ValueError as error:
        raise Problem(ProblemKind.INVALID, f"`{path.name}` is not JSON: {error}") from error
    if isinstance(content, dict) and {"columns", "data"} <= content.keys() <= {"columns", "data", "index"}:
        return {"dataframe_split": content}
    if isinstance(content, list) and content and all(isinstance(row, dict) for row in content):
        return {"dataframe_records": content}
    if isinstance(content, dict) and content:
        return content
    if isinstance(content, list) and content and not any(isinstance(row, dict) for row in content):
        return {"inputs": content}
    raise Problem(
        ProblemKind.INVALID,
        f"`{path.name}` is neither a request (an object) nor a table (a list of objects or of rows, or `columns` and"
        " `data`)",
    )


def _from_csv(path: Path, text: str) -> Any:
    """Types are inferred by pandas, as in the model's own code."""
    import pandas as pd  # noqa: PLC0415  # slow to import, and mlflow-skinny lacks it
    from mlflow.models import convert_input_example_to_serving_input  # noqa: PLC0415  # needs pandas, too

    if not text.strip():
        raise Problem(ProblemKind.INVALID, f"`{path.name}` is empty")
    try:
        table = pd.read_csv(path, encoding="utf-8-sig")
    except ValueError as error:
        raise Problem(ProblemKind.INVALID, f"`{path.name}` is not CSV: {error}") from error
    if table.empty:
        raise Problem(ProblemKind.INVALID, f"`{path.name}` has no row below its column names")
    return json.loads(convert_input_example_to_serving_input(table))
