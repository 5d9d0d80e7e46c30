"""Declares dataclasses of which a process uses few: their fields and methods are made on first use."""

import sys
from collections.abc import Callable, Mapping
from dataclasses import MISSING, Field, FrozenInstanceError, dataclass, fields
from threading import RLock
from typing import Any, TypeVar, overload

T = TypeVar("T")

if sys.version_info >= (3, 11):
    from typing import dataclass_transform
else:

    def dataclass_transform(**_: bool) -> Callable[[T], T]:
        """Nothing: only type checkers read it."""
        return lambda function: function


_NAME, _CHOICES = "__dataclass_fields__", "__lazy_dataclass_choices__"
_TURN = RLock()


@overload
def lazy_dataclass(kind: type[T], /) -> type[T]: ...


@overload
def lazy_dataclass(*, kw_only: bool = True, frozen: bool = True) -> Callable[[type[T]], type[T]]: ...


@dataclass_transform(frozen_default=True, kw_only_default=True)
def lazy_dataclass(kind: "type[Any] | None" = None, /, *, kw_only: bool = True, frozen: bool = True) -> Any:
    """
    Make a class a dataclass, by default frozen and with keyword-only fields, once its fields or an instance are needed.

    `@dataclass` compiles the text of six methods a class, which takes longer than the import of most modules; here they
    are closures over its fields. A class has no slots, which need another class, and a dataclass of the standard
    library cannot inherit from it. A mistake in a declaration is raised on first use.
    """

    def declare(declared: type[Any]) -> type[Any]:
        def new(cls: type[Any], *_: object, **__: object) -> Any:
            _complete(declared)
            return object.__new__(cls)

        setattr(declared, "__new__", staticmethod(new))  # noqa: B010  # mypy refuses an assignment
        setattr(declared, _NAME, _Fields(declared))
        setattr(declared, _CHOICES, (kw_only, frozen))
        return declared

    return declare if kind is None else declare(kind)


class _Fields:
    """Stands for the fields of a class until they are asked for."""

    def __init__(self, kind: type[Any]) -> None:
        self._kind = kind

    def __get__(self, _instance: object, _owner: type[Any]) -> Mapping[str, Field[Any]]:
        _complete(self._kind)
        declared: Mapping[str, Field[Any]] = vars(self._kind)[_NAME]
        return declared


def _complete(kind: type[Any]) -> None:
    """Make the methods of a class, unless they are there: `__new__` is replaced last, and never removed."""
    with _TURN:
        if vars(kind)["__new__"].__func__ is not _new:
            kw_only, frozen = vars(kind)[_CHOICES]
            dataclass(init=False, repr=False, eq=False, kw_only=kw_only)(kind)
            for method in _methods(kind, frozen=frozen):
                if vars(kind).get(method.__name__) is None:  # a class with its own `__eq__` has None for `__hash__`
                    setattr(kind, method.__name__, method)
            if not frozen and "__hash__" not in vars(kind):
                setattr(kind, "__hash__", None)  # noqa: B010  # as above
            setattr(kind, "__new__", staticmethod(_new))  # noqa: B010  # as above


def _new(cls: type[T], *_: object, **__: object) -> T:
    """Make an empty instance, which `__init__` gets."""
    return object.__new__(cls)


def _methods(kind: type[Any], *, frozen: bool) -> tuple[Callable[..., Any], ...]:  # it only declares them
    """The methods of `@dataclass`, where a frozen one can be hashed and not changed."""
    parts = fields(kind)
    shown = tuple(part.name for part in parts if part.repr)
    compared = tuple(part.name for part in parts if part.compare)
    hashed = tuple(part.name for part in parts if (part.compare if part.hash is None else part.hash))
    accepted, name = frozenset(part.name for part in parts if part.init), kind.__qualname__
    names = frozenset(part.name for part in parts)
    ordered = tuple(part.name for part in parts if part.init and not part.kw_only)
    defaults = {part.name: part.default for part in parts if part.default is not MISSING}
    factories = tuple((part.name, part.default_factory) for part in parts if part.default_factory is not MISSING)
    required = accepted.difference(defaults, (part for part, _ in factories))
    finish = getattr(kind, "__post_init__", None)

    def __init__(self: Any, /, *positional: object, **values: object) -> None:  # noqa: N807  # `_complete` takes its name
        if positional:
            given = ordered[: len(positional)]
            if len(given) < len(positional) or not values.keys().isdisjoint(given):
                raise TypeError(f"{name} has {len(ordered)} positional fields, and each is given once")
            values.update(zip(given, positional, strict=True))
        if not required <= values.keys() <= accepted:
            wrong = ", ".join(sorted((required - values.keys()) or (values.keys() - accepted)))
            raise TypeError(f"{name} {'lacks' if required - values.keys() else 'has no'} {wrong}")
        state = vars(self)
        state.update(defaults)
        for part, factory in factories:
            if part not in values:
                state[part] = factory()
        state.update(values)
        if finish is not None:
            finish(self)

    def __repr__(self: Any) -> str:  # noqa: N807  # as above
        return f"{type(self).__qualname__}({', '.join(f'{part}={getattr(self, part)!r}' for part in shown)})"

    def __eq__(self: Any, other: object) -> Any:  # noqa: N807  # as above
        if other.__class__ is not self.__class__:
            return NotImplemented
        return values_of(self, compared) == values_of(other, compared)

    def __hash__(self: Any) -> int:  # noqa: N807  # as above
        return hash(values_of(self, hashed))

    def __setattr__(self: Any, part: str, value: object) -> None:  # noqa: N807  # as above
        require_free(self, part, "assign to")
        super(kind, self).__setattr__(part, value)

    def __delattr__(self: Any, part: str) -> None:  # noqa: N807  # as above
        require_free(self, part, "delete")
        super(kind, self).__delattr__(part)

    def values_of(instance: object, wanted: tuple[str, ...]) -> tuple[object, ...]:
        return tuple(getattr(instance, part) for part in wanted)

    def require_free(instance: object, part: str, change: str) -> None:
        if type(instance) is kind or part in names:
            raise FrozenInstanceError(f"cannot {change} field {part!r}")

    methods = (__init__, __repr__, __eq__)
    return (*methods, __hash__, __setattr__, __delattr__) if frozen else methods
