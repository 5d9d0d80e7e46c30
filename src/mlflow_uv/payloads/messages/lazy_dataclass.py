"""Declares dataclasses of which a process uses few: the standard library makes their methods on first use."""

import sys
from collections.abc import Callable, Mapping
from dataclasses import Field, dataclass
from threading import RLock
from typing import Any, TypeVar

T = TypeVar("T")

if sys.version_info >= (3, 11):
    from typing import dataclass_transform
else:

    def dataclass_transform(**_: bool) -> Callable[[T], T]:
        """Nothing: only type checkers read it."""
        return lambda function: function


_NAME = "__dataclass_fields__"
_TURN = RLock()


@dataclass_transform(frozen_default=True, kw_only_default=True)
def lazy_dataclass(kind: type[T]) -> type[T]:
    """
    Make a class a frozen dataclass with keyword-only fields, once its fields or an instance are needed.

    `@dataclass` compiles six methods a class, which takes longer than the import of most modules. A class has no slots,
    which need another class. A mistake in a declaration is raised on first use.
    """

    def new(cls: type[T], *_: object, **__: object) -> T:
        _complete(kind)
        return object.__new__(cls)

    setattr(kind, "__new__", staticmethod(new))  # noqa: B010  # mypy refuses an assignment
    setattr(kind, _NAME, _Fields(kind))
    return kind


class _Fields:
    """Stands for the fields of a class until they are asked for."""

    def __init__(self, kind: type[Any]) -> None:
        self._kind = kind

    def __get__(self, _instance: object, _owner: type[Any]) -> Mapping[str, Field[Any]]:
        _complete(self._kind)
        fields: Mapping[str, Field[Any]] = vars(self._kind)[_NAME]
        return fields


def _complete(kind: type[Any]) -> None:
    """Make the methods of a class, unless they are there: `__new__` is replaced last, and never removed."""
    with _TURN:
        if vars(kind)["__new__"].__func__ is not _new:
            dataclass(frozen=True, kw_only=True)(kind)
            setattr(kind, "__new__", staticmethod(_new))  # noqa: B010  # as above


def _new(cls: type[T], *_: object, **__: object) -> T:
    """Make an empty instance, which `__init__` gets."""
    return object.__new__(cls)
