"""Reads parsed JSON as frozen dataclasses, and refuses missing, unknown and mistyped parts."""

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import MISSING, fields, is_dataclass
from enum import Enum
from functools import cache
from types import UnionType
from typing import Any, TypeVar, Union, get_args, get_origin, get_type_hints

T = TypeVar("T")


def read(kind: type[T], raw: object, *, what: str) -> T:
    """
    Read a JSON object as an instance of a dataclass; `what` names the object in errors.

    Hints are `str`, `bool`, `int`, `float` (which an integer is, too), `Any`, dataclasses, enums of texts,
    tuples (lists in JSON), `Mapping[str, …]`, and each of them `| None`. A part without a default must be present.
    Raises ValueError.
    """
    hashable: Any = kind
    hints, required = _parts_of(hashable)
    if not isinstance(raw, dict):
        raise ValueError(f"{what} is not an object")  # noqa: TRY004  # as for every other malformed part
    if unknown := raw.keys() - hints.keys():
        raise ValueError(f"{what} has unknown parts: {', '.join(sorted(map(str, unknown)))}")
    if missing := [name for name in required if name not in raw]:
        raise ValueError(f"{what} lacks {', '.join(f'`{name}`' for name in missing)}")
    return kind(**{name: _value(hints[name], value, what=f"{what}, `{name}`,") for name, value in raw.items()})


@cache
def _parts_of(kind: Any) -> tuple[Mapping[str, Any], tuple[str, ...]]:
    """The hints of a dataclass by name, and the names without a default."""
    hints = get_type_hints(kind)
    names = [field.name for field in fields(kind)]
    required = (field for field in fields(kind) if field.default is MISSING and field.default_factory is MISSING)
    return {name: hints[name] for name in names}, tuple(field.name for field in required)


def _value(hint: Any, raw: object, *, what: str) -> Any:
    if hint is Any:
        return raw
    if is_dataclass(hint):
        return read(hint, raw, what=what)  # type: ignore[arg-type]  # a class, never an instance
    match get_origin(hint), raw:
        case origin, None if origin in (UnionType, Union):
            return None
        case origin, _ if origin in (UnionType, Union):
            (some,) = (part for part in get_args(hint) if part is not type(None))
            return _value(some, raw, what=what)
        case origin, list() if origin is tuple:
            return tuple(_value(part, item, what=what) for part, item in _items(get_args(hint), raw, what=what))
        case origin, dict() if origin is Mapping:
            return {str(name): _value(get_args(hint)[1], item, what=what) for name, item in raw.items()}
        case None, int() if hint is float and not isinstance(raw, bool):
            with suppress(OverflowError):  # beyond the range of a float
                return float(raw)
        case None, bool() if hint is not bool:
            pass
        case None, str() if issubclass(hint, Enum):
            with suppress(ValueError):
                return hint(raw)
        case None, _ if isinstance(raw, hint):
            return raw
    raise ValueError(f"{what} cannot be {raw!r:.200}")


def _items(hints: tuple[Any, ...], raw: list[Any], *, what: str) -> list[tuple[Any, Any]]:
    """The items of a list with their hints, which are `(X, ...)` or one for each item."""
    if hints[1:] == (Ellipsis,):
        return [(hints[0], item) for item in raw]
    if len(hints) != len(raw):
        raise ValueError(f"{what} cannot be {raw!r:.200}")
    return list(zip(hints, raw, strict=True))
