"""Lists typical, extreme and invalid values of each type of an MLflow signature, to derive requests with."""

import math
from collections.abc import Iterator, Mapping
from typing import Any

from ...payloads.messages.lazy_dataclass import lazy_dataclass

LONG_TEXT = 10_000  # characters
# Accents that combine, right-to-left text, an astral character, a line separator and a NUL.
UNICODE = "e\u0301 \u05e9\u05dc\u05d5\u05dd \U0001f377 \u2028 \x00"
_INTEGERS = {"integer": 32, "long": 64}
_FLOATS = {
    # the largest and the smallest positive value
    "float": (3.4028234663852886e38, 1.401298464324817e-45),
    "double": (1.7976931348623157e308, 5e-324),
}
_ALL_BYTES = "AH+A/w=="  # base64 of the bytes 0, 127, 128 and 255
_TYPICAL: Mapping[str, Any] = {
    "boolean": True,
    "integer": 1,
    "long": 1,
    "float": 1.5,
    "double": 1.5,
    "string": "text",
    "binary": _ALL_BYTES,
    "datetime": "2026-02-28T12:30:00",
    "any": "text",
}


@lazy_dataclass(kw_only=False)
class LabelledValue:
    """A JSON value, and what it is, for the name of a request ("the largest double")."""

    label: str
    value: Any


def type_of(spec: Mapping[str, Any]) -> str:
    """The name of a column's or parameter's type."""
    return str(spec.get("type"))


def typical_value(spec: Mapping[str, Any]) -> Any:
    """A value that the type accepts; None for a type that is not known here."""
    match spec:
        case {"type": "array", "items": dict() as items}:
            return [typical_value(items)]
        case {"type": "map", "values": dict() as values}:
            return {"key": typical_value(values)}
        case {"type": "object", "properties": dict() as properties}:
            return {name: typical_value(inner) for name, inner in properties.items()}
    return _TYPICAL.get(type_of(spec))


def mistyped_value(spec: Mapping[str, Any]) -> LabelledValue:
    """A value of another type."""
    match type_of(spec):
        case "string":
            return LabelledValue("a number", 7)
        case "any":
            return LabelledValue("an object", {"key": [1, None]})
        case "array":
            return LabelledValue("a number, not a list", 7)
        case "map" | "object":
            return LabelledValue("a list, not an object", [1])
    return LabelledValue("text", "not a value of this type")


def boundary_values(spec: Mapping[str, Any], base: Any) -> Iterator[LabelledValue]:
    """
    Yield the values at and beyond the limits of a type, the most important first.

    `base` is a value that the model accepts, from which values of composed types are made.
    """
    kind = type_of(spec)
    if kind in _INTEGERS:
        yield from _integers(kind)
    elif kind in _FLOATS:
        yield from _floats(kind)
    elif kind in _SCALARS:
        yield from _SCALARS[kind]
    elif kind == "array":
        yield from _arrays(spec, base)
    elif kind == "object":
        yield from _objects(spec, base)
    elif kind == "map":
        yield from _maps(spec)


def _integers(kind: str) -> Iterator[LabelledValue]:
    bits = _INTEGERS[kind]
    yield LabelledValue(f"the smallest {kind}", -(2 ** (bits - 1)))
    yield LabelledValue(f"the largest {kind}", 2 ** (bits - 1) - 1)
    yield LabelledValue(f"larger than any {kind}", 2 ** (bits - 1))
    yield LabelledValue("a whole number with a decimal point", 2.0)
    yield LabelledValue("a fraction", 1.5)


def _floats(kind: str) -> Iterator[LabelledValue]:
    largest, smallest = _FLOATS[kind]
    yield LabelledValue("NaN", math.nan)
    yield LabelledValue("infinity", math.inf)
    yield LabelledValue(f"the largest {kind}", largest)
    yield LabelledValue(f"the lowest {kind}", -largest)
    yield LabelledValue(f"the smallest positive {kind}", smallest)
    yield LabelledValue("an integer", 7)
    yield LabelledValue("negative infinity", -math.inf)
    if kind == "float":
        yield LabelledValue("larger than any float", 1e39)


_SCALARS: Mapping[str, tuple[LabelledValue, ...]] = {
    "boolean": (
        LabelledValue("false", False),  # noqa: FBT003  # the value itself
        LabelledValue("true", True),  # noqa: FBT003  # the value itself
        LabelledValue("1 instead of true", 1),
    ),
    "string": (
        LabelledValue("an empty text", ""),
        LabelledValue("unicode", UNICODE),
        LabelledValue(f"a text of {LONG_TEXT} characters", "x" * LONG_TEXT),
    ),
    "binary": (
        LabelledValue("bytes beyond ASCII", _ALL_BYTES),
        LabelledValue("no bytes", ""),
        LabelledValue("a number", 7),
    ),
    "datetime": (
        LabelledValue("a time without a zone", "2026-02-28T23:59:59.123456"),
        LabelledValue("a time in a zone", "2026-02-28T23:59:59+05:30"),
        LabelledValue("a date without a time", "2026-02-28"),
        LabelledValue("a time in UTC", "2026-02-28T23:59:59Z"),
        LabelledValue("the earliest time in nanoseconds", "1677-09-21T00:12:44"),
        LabelledValue("the latest time in nanoseconds", "2262-04-11T23:47:16"),
        LabelledValue("later than any time in nanoseconds", "9999-12-31T00:00:00"),
        LabelledValue("a day that does not exist", "2026-02-30T00:00:00"),
        LabelledValue("a number", 0),
    ),
    "any": (
        LabelledValue("a number", 7),
        LabelledValue("a list", ["text", 1]),
        LabelledValue("unicode", UNICODE),
    ),
}


def _arrays(spec: Mapping[str, Any], base: Any) -> Iterator[LabelledValue]:
    items = spec.get("items")
    inner = items if isinstance(items, dict) else {}
    item = base[0] if isinstance(base, list) and base else typical_value(inner)
    yield LabelledValue("an empty list", [])
    yield LabelledValue("a list with a null", [item, None])
    mistyped = mistyped_value(inner)
    yield LabelledValue(f"a list with {mistyped.label}", [item, mistyped.value])
    yield LabelledValue("a list of lists", [[item]])
    for value in boundary_values(inner, item):
        yield LabelledValue(f"a list with {value.label}", [value.value])


def _objects(spec: Mapping[str, Any], base: Any) -> Iterator[LabelledValue]:
    properties = spec.get("properties")
    inner = properties if isinstance(properties, dict) else {}
    whole = base if isinstance(base, dict) else typical_value(spec)
    yield LabelledValue("an empty object", {})
    yield LabelledValue("an object with an unknown property", {**whole, "mlflow_uv_unknown": 1})
    for name in inner:
        yield LabelledValue(f"an object without {name!r}", {key: whole[key] for key in whole if key != name})
    for name, kind in inner.items():
        mistyped = mistyped_value(kind)
        yield LabelledValue(f"an object with {mistyped.label} as {name!r}", {**whole, name: mistyped.value})
        yield LabelledValue(f"an object with null as {name!r}", {**whole, name: None})


def _maps(spec: Mapping[str, Any]) -> Iterator[LabelledValue]:
    values = spec.get("values")
    inner = values if isinstance(values, dict) else {}
    yield LabelledValue("an empty object", {})
    mistyped = mistyped_value(inner)
    yield LabelledValue(f"an object with {mistyped.label}", {"key": mistyped.value})
    yield LabelledValue("an object with a null", {"key": None})
    yield LabelledValue("an object with a unicode key", {UNICODE: typical_value(inner)})
