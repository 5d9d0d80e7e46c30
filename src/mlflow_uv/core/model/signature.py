"""What does a new signature change for those who use the old one?"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Any

from ..security.documents import parse_json

# What MLflow turns into another type without a loss when it enforces a schema. It lets more through than it turns
# (text where bytes, dates or truth values are wanted, long integers that happen to be 0 or 1): that means something
# else afterwards, and is not here.
_WIDER = frozenset({("integer", "long"), ("integer", "double"), ("float", "double")})
_WIDER_PARAMS = _WIDER | {("integer", "float"), ("long", "float"), ("long", "double")}
_ANY = "any"
_COMPOSED = ("tensor", "array", "map", "object")


class Effect(Enum):
    """What a change does to whoever used the old signature."""

    BREAKING = "breaking"
    COMPATIBLE = "compatible"
    UNKNOWN = "unknown"


@dataclass(frozen=True, kw_only=True, slots=True)
class Change:
    """One difference between two signatures, as a sentence."""

    effect: Effect
    text: str


@dataclass(frozen=True, kw_only=True, slots=True)
class _Column:
    """A column or tensor: `shown` is what a message calls it."""

    shown: str
    type: Any
    required: bool


def signature_changes(old: Mapping[str, Any] | None, new: Mapping[str, Any] | None) -> tuple[Change, ...]:
    """
    Every difference of two signatures, each as the `signature` of an MLmodel file or None, the breaking ones first.

    For inputs the oracle is MLflow's schema enforcement: what the old signature describes must be taken, with the same
    meaning, by the new one. Outputs may only become more. Raises ValueError for what is no signature.
    """
    changes = [*_inputs(_part(old, "inputs"), _part(new, "inputs"))]
    changes += _outputs(_part(old, "outputs"), _part(new, "outputs"))
    changes += _params(_part(old, "params"), _part(new, "params"))
    return tuple(sorted(changes, key=lambda change: (list(Effect).index(change.effect), change.text)))


def _part(signature: Mapping[str, Any] | None, part: str) -> list[Mapping[str, Any]] | None:
    """The specs of one part; MLflow keeps each as a text of JSON."""
    said = (signature or {}).get(part)
    try:
        specs = parse_json(said) if isinstance(said, str) else said
    except ValueError as error:
        raise ValueError(f"the {part} of the signature are no JSON: {error}") from error
    if specs is None:
        return None
    if not isinstance(specs, list) or not all(isinstance(spec, dict) and "type" in spec for spec in specs):
        raise ValueError(f"the {part} of the signature are no list of columns")
    return specs


def _inputs(old: list[Mapping[str, Any]] | None, new: list[Mapping[str, Any]] | None) -> Iterator[Change]:
    if old is None or new is None:
        if new is not None:
            yield _unknown("the champion says nothing of its inputs, the candidate refuses what it does not expect")
        if old is not None:
            yield _breaking("the candidate says nothing of its inputs: it does not refuse what is wrong any more")
        return
    before, after = _columns(old), _columns(new)
    for key in before.keys() - after.keys():
        yield _breaking(f"input {before[key].shown} is gone: MLflow would ignore what is sent for it")
    for key in after.keys() - before.keys():
        if after[key].required:
            yield _breaking(f"input {after[key].shown} is new and required")
        else:
            yield _compatible(f"input {after[key].shown} is new and optional")
    for key in before.keys() & after.keys():
        one, other = before[key], after[key]
        if one.required != other.required:
            yield (_breaking if other.required else _compatible)(f"input {one.shown} is {_need(other)} now")
        if one.type != other.type:
            say = _compatible if _takes(other.type, one.type) else _breaking
            yield say(f"input {one.shown} is {_type(other.type)}, and was {_type(one.type)}")


def _outputs(old: list[Mapping[str, Any]] | None, new: list[Mapping[str, Any]] | None) -> Iterator[Change]:
    if old is None or new is None:
        if old is not None:
            yield _breaking("the candidate says nothing of its outputs any more")
        return
    before, after = _columns(old), _columns(new)
    for key in before.keys() - after.keys():
        yield _breaking(f"output {before[key].shown} is gone")
    for key in after.keys() - before.keys():
        yield _compatible(f"output {after[key].shown} is new")
    for key in before.keys() & after.keys():
        one, other = before[key], after[key]
        if one.required != other.required:
            yield (_compatible if other.required else _breaking)(f"output {one.shown} is {_need(other)} now")
        if one.type != other.type:
            say = _compatible if one.type == _ANY else _breaking
            yield say(f"output {one.shown} is {_type(other.type)}, and was {_type(one.type)}")


def _params(old: list[Mapping[str, Any]] | None, new: list[Mapping[str, Any]] | None) -> Iterator[Change]:
    before, after = ({str(spec.get("name")): spec for spec in specs or ()} for specs in (old, new))
    for name in before.keys() - after.keys():
        yield _breaking(f"parameter `{name}` is gone: MLflow would ignore it")
    for name in after.keys() - before.keys():
        yield _compatible(f"parameter `{name}` is new, and has a default")
    for name in before.keys() & after.keys():
        one, other = before[name], after[name]
        if one.get("shape") != other.get("shape"):
            yield _breaking(f"parameter `{name}` has the shape {other.get('shape')}, and had {one.get('shape')}")
        if one["type"] != other["type"]:
            say = _compatible if (one["type"], other["type"]) in _WIDER_PARAMS else _breaking
            yield say(f"parameter `{name}` is {_type(other['type'])}, and was {_type(one['type'])}")
        if one.get("default") != other.get("default"):
            text = f"parameter `{name}` is {other.get('default')!r} where none is given, and was {one.get('default')!r}"
            yield _breaking(text)


def _columns(specs: Sequence[Mapping[str, Any]]) -> dict[object, _Column]:
    """By name, or by position where columns have no names."""
    found: dict[object, _Column] = {}
    for position, spec in enumerate(specs, start=1):
        name = spec.get("name")
        shown = f"`{name}`" if name is not None else f"number {position}"
        required = bool(spec.get("required", not spec.get("optional", False)))
        found[position if name is None else str(name)] = _Column(shown=shown, type=_normal(spec), required=required)
    return found


def _normal(spec: Any) -> Any:
    """A type in one form: a name, or a tuple that begins with the kind of what it is made of."""
    if isinstance(spec, str):
        return spec
    match spec:
        case {"type": "tensor", "tensor-spec": {"dtype": dtype, "shape": shape}}:
            return "tensor", str(dtype), tuple(shape)
        case {"type": "array", "items": items}:
            return "array", _normal(items)
        case {"type": "map", "values": values}:
            return "map", _normal(values)
        case {"type": "object", "properties": dict() as properties}:
            named = ((name, bool(one.get("required", True)), _normal(one)) for name, one in properties.items())
            return "object", tuple(sorted(named, key=lambda one: str(one[0])))
        case {"type": str() as name} if name not in _COMPOSED:
            return name
    raise ValueError(f"{spec!r} is no type of a signature")


def _takes(new: Any, old: Any) -> bool:
    """Whether what fits the old type fits the new one, and means the same."""
    if _ANY in (new, old) or new == old:
        return new in (_ANY, old)
    match new, old:
        case str(), str():
            return (old, new) in _WIDER
        case ("tensor", new_dtype, new_shape), ("tensor", old_dtype, old_shape):
            fits = len(new_shape) == len(old_shape) and all(
                wanted in (-1, given) for wanted, given in zip(new_shape, old_shape, strict=True)
            )
            return bool(new_dtype == old_dtype and fits)
        case (("array", new_inner), ("array", old_inner)) | (("map", new_inner), ("map", old_inner)):
            return _takes(new_inner, old_inner)
        case ("object", new_properties), ("object", old_properties):
            return _takes_properties(new_properties, old_properties)
    return False


def _takes_properties(new: Any, old: Any) -> bool:
    """MLflow refuses a property that it does not know, other than a column."""
    wanted = {name: (required, kind) for name, required, kind in new}
    given = {name: (required, kind) for name, required, kind in old}
    if given.keys() - wanted.keys() or any(wanted[name][0] for name in wanted.keys() - given.keys()):
        return False
    return all((given[name][0] or not wanted[name][0]) and _takes(wanted[name][1], given[name][1]) for name in given)


def _type(said: Any) -> str:
    """A type as a person says it."""
    match said:
        case ("tensor", dtype, shape):
            return f"tensor of {dtype} {list(shape)}"
        case ("array" | "map" as kind, inner):
            return f"{kind} of {_type(inner)}"
        case ("object", properties):
            parts = (f"{name}{'' if required else '?'}: {_type(kind)}" for name, required, kind in properties)
            return f"object of {{{', '.join(parts)}}}"
    return str(said)


def _need(column: _Column) -> str:
    return "required" if column.required else "optional"


def _breaking(text: str) -> Change:
    return Change(effect=Effect.BREAKING, text=text)


def _compatible(text: str) -> Change:
    return Change(effect=Effect.COMPATIBLE, text=text)


def _unknown(text: str) -> Change:
    return Change(effect=Effect.UNKNOWN, text=text)
