"""A class that becomes a dataclass on first use behaves as one that `@dataclass` made."""

import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import FrozenInstanceError, asdict, dataclass, field, fields, is_dataclass, replace
from importlib import import_module
from typing import Any, ClassVar

import pytest

from mlflow_uv.payloads.messages.lazy_dataclass import lazy_dataclass

stdlib_dataclass = dataclass(frozen=True, kw_only=True)


def package(decorator: Callable[[type[Any]], type[Any]]) -> type[Any]:
    """A class with a base, each declared with the decorator."""

    @decorator
    class Named:
        """A name."""

        verb: ClassVar[str] = "install"
        name: str

    @decorator
    class Package(Named):
        """A package."""

        version: str = "1"
        extras: tuple[str, ...] = field(default_factory=tuple)

        def __post_init__(self) -> None:
            if not self.name:
                raise ValueError("no name")

    return Package


def refused(kind: type[Any], **parts: object) -> type[BaseException]:
    """The class of the error that an instance with these parts ends with."""
    with pytest.raises((TypeError, ValueError)) as caught:
        kind(**parts)
    return caught.type


def facts(kind: type[Any]) -> list[object]:
    """What can be seen of a class."""
    one, same, other = kind(name="a"), kind(name="a"), kind(name="b", version="2", extras=("x",))
    with pytest.raises(FrozenInstanceError):
        one.name = "c"
    with pytest.raises(FrozenInstanceError):
        one.unknown = "c"
    with pytest.raises(FrozenInstanceError):
        del one.name
    return [
        [(part.name, part.type, part.default, part.kw_only) for part in fields(kind)],
        [one == same, one == other, one != (one.name,), hash(one) == hash(same), len({one, same, other})],
        [asdict(other), asdict(replace(other, name="c")), repr(other)],
        [is_dataclass(kind), kind.__match_args__, kind.verb],
        [refused(kind), refused(kind, name=""), refused(kind, name="a", unknown=1), refused(kind, colour="red")],
    ]


def test_it_is_the_dataclass_of_the_standard_library() -> None:
    """
    Fields, defaults, comparison, hash, text, inheritance and everything that is refused.
    """
    expected = facts(package(stdlib_dataclass))

    assert expected == facts(package(lazy_dataclass))


def test_its_methods_are_made_on_first_use() -> None:
    """
    Of its fields or of an instance; those of a base are made with them.
    """
    kind = package(lazy_dataclass)
    declared = ["__init__" in vars(each) for each in (kind, kind.__base__)]

    fields(kind)

    assert [False, False] == declared
    assert [True, True] == ["__init__" in vars(each) for each in (kind, kind.__base__)]


def test_classes_of_both_kinds_inherit_from_it() -> None:
    """
    A class without a decorator gets its `__init__`, and a dataclass of the standard library its fields.
    """

    class Plain(package(lazy_dataclass)):  # type: ignore[misc]  # a base that mypy does not know
        """Nothing new."""

    @stdlib_dataclass
    class Further(package(lazy_dataclass)):  # type: ignore[misc]  # as above
        """One field more."""

        source: str = "index"

    assert ["a", "1", "index"] == [Plain(name="a").name, Plain(name="a").version, Further(name="a").source]
    assert ["name", "version", "extras", "source"] == [part.name for part in fields(Further)]


def test_threads_may_make_the_first_instances_together() -> None:
    """
    No thread gets an instance of a class that is half made.
    """
    kinds = [package(lazy_dataclass) for _ in range(50)]

    with ThreadPoolExecutor(8) as pool:
        made = [list(pool.map(lambda number, kind=kind: kind(name=f"{number}").name, range(16))) for kind in kinds]

    assert [[f"{number}" for number in range(16)]] * len(kinds) == made


def test_every_declaration_is_valid() -> None:
    """
    A mistake in a declaration is otherwise raised where the class is first used.
    """
    for module in ("mlflow_uv.steps.release", "mlflow_uv.tools.toolbox", "mlflow_uv.surfaces.manifest"):
        import_module(module)
    ours = [module for name, module in sys.modules.items() if name.startswith("mlflow_uv.")]
    kinds = {value for module in ours for value in vars(module).values() if isinstance(value, type)}

    declared = [kind for kind in kinds if "__dataclass_fields__" in vars(kind) and isinstance(fields(kind), tuple)]

    assert len(declared) > len(ours) / 2
