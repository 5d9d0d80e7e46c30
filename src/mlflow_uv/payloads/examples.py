"""Which request does a file hold?"""

import json
from pathlib import Path
from typing import Any

from .problems import Problem, ProblemKind


def read(request: dict[str, Any]) -> dict[str, Any]:
    """
    Read a file as payloads for `/invocations`, without asking a model whether it takes them.

    A CSV file has a line of column names. JSON is what MLflow's server takes, or a table as pandas writes it
    (`orient="records"`, `"split"` or `"values"`, which MLflow takes as `inputs`). {file} -> {requests: [payload]}
    """
    path = Path(request["file"])
    try:
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise Problem(
            ProblemKind.INVALID, f"`{path.name}` cannot be read: {getattr(error, 'strerror', None) or error}"
        ) from error
    said = _from_csv(path, text) if path.suffix.lower() == ".csv" else _from_json(path, text)
    return {"requests": [said]}


def _from_json(path: Path, text: str) -> Any:
    try:
        said = json.loads(text)
    except ValueError as error:
        raise Problem(ProblemKind.INVALID, f"`{path.name}` is not JSON: {error}") from error
    if isinstance(said, dict) and {"columns", "data"} <= said.keys() <= {"columns", "data", "index"}:
        return {"dataframe_split": said}
    if isinstance(said, list) and said and all(isinstance(row, dict) for row in said):
        return {"dataframe_records": said}
    if isinstance(said, dict) and said:
        return said
    if isinstance(said, list) and said and not any(isinstance(row, dict) for row in said):
        return {"inputs": said}
    raise Problem(
        ProblemKind.INVALID,
        f"`{path.name}` is neither a request (an object) nor a table (a list of objects or of rows, or `columns` and"
        " `data`)",
    )


def _from_csv(path: Path, text: str) -> Any:
    """Types are guessed as pandas does it, which the model's own code would read the file with."""
    import pandas as pd  # noqa: PLC0415  # it takes a second, and a small MLflow lacks it
    from mlflow.models import convert_input_example_to_serving_input  # noqa: PLC0415  # it needs pandas too

    if not text.strip():
        raise Problem(ProblemKind.INVALID, f"`{path.name}` is empty")
    try:
        table = pd.read_csv(path, encoding="utf-8-sig")
    except ValueError as error:
        raise Problem(ProblemKind.INVALID, f"`{path.name}` is not CSV: {error}") from error
    if table.empty:
        raise Problem(ProblemKind.INVALID, f"`{path.name}` has no row below its column names")
    return json.loads(convert_input_example_to_serving_input(table))
