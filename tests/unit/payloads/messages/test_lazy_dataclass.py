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
        note: str = field(default="", compare=False, repr=False)
        key: str = field(init=False, compare=False)
        places: dict[str, str] = field(init=False, default_factory=dict, hash=False)

        def __post_init__(self) -> None:
            if not self.name:
                raise ValueError("no name")
            object.__setattr__(self, "key", self.name.lower())

    return Package


def refused(kind: type[Any], **parts: object) -> type[BaseException]:
    """The class of the error that an instance with these parts ends with."""
    with pytest.raises((TypeError, ValueError)) as caught:
        kind(**parts)
    return caught.type


def facts(kind: type[Any]) -> list[object]:
    """What can be seen of a class."""
    one, same, other = kind(name="a"), kind(name="a", note="x"), kind(name="b", version="2", extras=("x",))
    with pytest.raises(FrozenInstanceError):
        one.name = "c"
    with pytest.raises(FrozenInstanceError):
        one.unknown = "c"
    with pytest.raises(FrozenInstanceError):
        del one.name
    with pytest.raises(FrozenInstanceError):
        one.key = "c"
    return [
        [(part.name, part.type, part.default, part.kw_only) for part in fields(kind)],
        [one == same, one == other, one != (one.name,), hash(one) == hash(same), len({one, same, other})],
        [asdict(other), asdict(replace(other, name="c")), repr(other)],
        [is_dataclass(kind), kind.__match_args__, kind.verb],
        [one.key, one.places, refused(kind, name="a", key="b"), refused(kind, name="a", places={})],
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


def test_a_class_without_a_decorator_inherits_from_it() -> None:
    """
    It has the methods of its base, and may have attributes of its own.
    """

    class Plain(package(lazy_dataclass)):  # type: ignore[misc]  # a base that mypy does not know
        """Nothing new."""

    plain = Plain(name="a")
    plain.remark = "of its own"

    with pytest.raises(FrozenInstanceError):
        plain.name = "b"
    assert ["a", "1", "of its own", Plain] == [plain.name, plain.version, plain.remark, type(replace(plain))]
    assert plain != package(lazy_dataclass)(name="a")


def test_a_frozen_dataclass_of_the_standard_library_cannot_inherit_from_it() -> None:
    """
    The standard library does not know that it is frozen.
    """
    kind = package(lazy_dataclass)
    fields(kind)

    with pytest.raises(TypeError, match="non-frozen"):
        stdlib_dataclass(type("Further", (kind,), {}))


def test_methods_of_a_class_are_kept() -> None:
    """
    A text or a comparison of its own; what compares itself has the hash of its fields.
    """

    @lazy_dataclass
    class Package:  # noqa: PLW1641  # the decorator makes the hash
        """A package with any spelling of its name."""

        name: str
        secret: str = field(default="hidden", repr=False)

        def __eq__(self, other: object) -> bool:  # made by the decorator
            return isinstance(other, Package) and self.name.lower() == other.name.lower()

    @lazy_dataclass
    class Shown(Package):
        """A package with a text of its own."""

        def __str__(self) -> str:
            return self.name

    assert Package(name="A") == Package(name="a")
    assert hash(Package(name="a")) == hash(Package(name="a"))
    assert [f"{Package.__qualname__}(name='a')", "b"] == [repr(Package(name="a")), str(Shown(name="b"))]


def test_a_wrong_argument_is_named() -> None:
    """
    One that is missing before one that no field has.
    """
    kind = package(lazy_dataclass)

    with pytest.raises(TypeError, match=r"Package lacks name$"):
        kind(version="2", colour="red")
    with pytest.raises(TypeError, match=r"Package has no colour$"):
        kind(name="a", colour="red")


def position(decorator: Callable[[type[Any]], type[Any]]) -> type[Any]:
    """A class whose instances are written with positional values."""

    @decorator
    class Position:
        """A place in a file."""

        file: str
        line: int = 1
        notes: list[str] = field(default_factory=list, compare=False)

    return Position


def uses(kind: type[Any]) -> list[object]:
    """What positional values make of a class, and which of its calls are refused."""
    one, other = kind("a", 2), kind("a", line=3)
    wrong: list[tuple[tuple[object, ...], dict[str, object]]] = [
        ((), {}),
        (("a", 1, [], 2), {}),
        (("a",), {"file": "b"}),
    ]
    return [
        [asdict(one), repr(other), kind.__match_args__, one == kind("a", 2, ["x"]), asdict(replace(one, line=4))],
        [refused_call(kind, *given, **named) for given, named in wrong],
    ]


def refused_call(kind: type[Any], *given: object, **named: object) -> bool:
    """Whether a call is an error."""
    with pytest.raises(TypeError):
        kind(*given, **named)
    return True


def test_fields_may_be_positional_and_may_change() -> None:
    """
    As those of the standard library: what can change has no hash.
    """
    frozen, plain = position(lazy_dataclass(kw_only=False)), position(lazy_dataclass(kw_only=False, frozen=False))
    changed = plain("a")
    changed.line = 7
    changed.notes.append("x")

    assert uses(position(dataclass(frozen=True))) == uses(frozen)
    assert uses(position(dataclass)) == uses(plain)
    assert [7, ["x"], []] == [changed.line, changed.notes, plain("a").notes]
    assert hash(frozen("a", 2)) == hash(frozen("a", line=2))
    with pytest.raises(TypeError, match="unhashable"):
        hash(changed)
    with pytest.raises(FrozenInstanceError):
        frozen("a").line = 7


def test_a_keyword_only_class_takes_no_position() -> None:
    """
    The order of its fields means nothing.
    """
    with pytest.raises(TypeError, match="has 0 positional fields"):
        package(lazy_dataclass)("a")


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
