"""
Reads and writes JSON with pydantic-core, which FastAPI brings along, where it has the results of the standard library.

It reads floats several times faster than `json.loads` and writes them ten times faster than `json.dumps`. What it
refuses, the standard library reads or refuses with its own message. Of what it writes, only numbers are used: their
shortest digits are the same, and so is the form where Python writes no exponent.
"""

import json
from collections.abc import Callable, Sequence
from typing import Any

# The oldest and the newest version of pydantic-core that tests compare; they compare six between them, too.
OLDEST, NEWEST = (2, 14), (2, 50)


def compared_core(version: str) -> bool:
    """Whether this version of pydantic-core is between the oldest and the newest one that was compared."""
    return OLDEST <= tuple(int(part) for part in version.split(".")[:2]) <= NEWEST


try:
    import pydantic_core
except ImportError:  # FastAPI with pydantic 1
    core: Any = None
else:
    core = pydantic_core if compared_core(pydantic_core.__version__) else None


def loads(data: Any) -> Any:
    """`json.loads`."""
    if core is not None:
        try:
            return core.from_json(data)
        except Exception:  # noqa: BLE001, S110 - the standard library says what is wrong, if anything is
            pass
    return json.loads(data)


def number_texts(numbers: "list[Any]") -> "list[str]":
    """The texts of integers, and of floats that Python writes without an exponent."""
    return core.to_json(numbers)[1:-1].decode().split(",") if numbers else []


def joined(names: Sequence[Any], parts: Sequence[Sequence[str]]) -> str:
    """Objects with these members in one list."""
    members = ", ".join(f"{json.dumps(str(name))}: ".replace("%", "%%") + "%s" for name in names)
    row: Callable[[Any], str] = ("{" + members + "}").__mod__
    return "[" + ", ".join(map(row, zip(*parts, strict=True))) + "]"
