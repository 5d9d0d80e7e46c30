"""Selects the requests that a Spark SQL function can answer, and derives the types of their predictions."""

from collections.abc import Iterable, Sequence

from ...command.lazy_pattern import lazy_pattern
from ...payloads.messages.lazy_dataclass import lazy_dataclass

_TABLES = frozenset({"dataframe_split", "dataframe_records"})
# Types of Spark's DDL (https://spark.apache.org/docs/latest/sql-ref-datatypes.html). JSON has one kind of integers.
_INTEGERS = lazy_pattern(r"(^|[:<])bigint(?=[,>]|$)")
_TYPES = {bool: "boolean", int: "bigint", float: "double", str: "string"}


@lazy_dataclass
class SparkRequest:
    """A request with a table, the recorded answer, and the type of a prediction in Spark's DDL."""

    request: object
    answer: object
    result_type: str


def spark_requests(requests: Sequence[object], answers: Sequence[object]) -> tuple[tuple[SparkRequest, ...], str]:
    """
    Return the requests that `mlflow.pyfunc.spark_udf` can answer, and why it cannot answer the others.

    It takes a table, and returns one prediction for each row, all of one type.
    """
    selected: list[SparkRequest] = []
    why = ""
    for number, (request, answer) in enumerate(zip(requests, answers, strict=True), start=1):
        match request, answer:
            case dict() as body, {"predictions": [_, *_] as predictions} if _TABLES & body.keys():
                result_type = _common_type(predictions)
                if result_type is not None:
                    selected.append(SparkRequest(request=request, answer=answer, result_type=result_type))
                    continue
                why = why or f"the predictions of request {number} have no common type that Spark has"
            case _:
                why = why or f"request {number} is not a table with a prediction for each row"
    return tuple(selected), why


def _common_type(values: Iterable[object]) -> str | None:
    """Return the type of all values, None if they differ; integers among floats are floats."""
    types = {_type_of(value) for value in values}
    if None in types or not types:
        return None
    widened = {_INTEGERS.sub(r"\1double", kind) for kind in types if kind}
    return types.pop() if len(types) == 1 else widened.pop() if len(widened) == 1 else None


def _type_of(value: object) -> str | None:
    match value:
        case dict():
            parts = {str(name).replace("`", "``"): _type_of(part) for name, part in value.items()}
            if not parts or None in parts.values():
                return None
            return f"struct<{','.join(f'`{name}`:{kind}' for name, kind in parts.items())}>"
        case list():
            kind = _common_type(value)
            return kind and f"array<{kind}>"
        case _:
            return _TYPES.get(type(value))
