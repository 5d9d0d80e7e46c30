"""Compares two model signatures, and classifies the differences as breaking or compatible."""

from collections.abc import Iterator, Mapping, Sequence
from enum import Enum
from typing import Any

from ...payloads.messages.lazy_dataclass import lazy_dataclass
from ..security.documents import parse_json

# Lossless conversions of MLflow's schema enforcement. It accepts more (text for bytes, dates or booleans, long integers
# that are 0 or 1), but changes the meaning of such values; these conversions are left out.
_WIDER = frozenset({("integer", "long"), ("integer", "double"), ("float", "double")})
_WIDER_PARAMS = _WIDER | {("integer", "float"), ("long", "float"), ("long", "double")}
_ANY = "any"
_COMPOSED = ("tensor", "array", "map", "object")


class Effect(Enum):
    """The effect of a change on clients of the old signature."""

    BREAKING = "breaking"
    COMPATIBLE = "compatible"
    UNKNOWN = "unknown"


@lazy_dataclass
class Change:
    """One difference between two signatures, as a sentence."""

    effect: Effect
    text: str


@lazy_dataclass
class _Column:
    """A column or tensor; `shown` is its name in messages."""

    shown: str
    type: Any
    required: bool


def signature_changes(old: Mapping[str, Any] | None, new: Mapping[str, Any] | None) -> tuple[Change, ...]:
    """
    Return every difference between two signatures, breaking ones first.

    A signature is the `signature` of an MLmodel file, or None. Inputs follow MLflow's schema enforcement: what the old
    signature describes must be accepted, with the same meaning, by the new one. Outputs may only be added. Raises
    ValueError for an invalid signature.
    """
    changes = [*_inputs(signature_specs(old, "inputs"), signature_specs(new, "inputs"))]
    changes += _outputs(signature_specs(old, "outputs"), signature_specs(new, "outputs"))
    changes += _params(signature_specs(old, "params"), signature_specs(new, "params"))
    return tuple(sorted(changes, key=lambda change: (list(Effect).index(change.effect), change.text)))


def signature_specs(signature: Mapping[str, Any] | None, part: str) -> list[Mapping[str, Any]] | None:
    """
    The specs of one part of a signature: `inputs`, `outputs` or `params`, which MLflow stores as JSON text.

    None if the signature does not have the part. Raises ValueError for an invalid one.
    """
    raw = (signature or {}).get(part)
    try:
        specs = parse_json(raw) if isinstance(raw, str) else raw
    except ValueError as error:
        raise ValueError(f"the {part} of the signature are not JSON: {error}") from error
    if specs is None:
        return None
    if not isinstance(specs, list) or not all(isinstance(spec, dict) and "type" in spec for spec in specs):
        raise ValueError(f"the {part} of the signature are not a list of columns")
    return specs


def described_columns(signature: Mapping[str, Any] | None, part: str) -> tuple[str, ...]:
    """
    A line for each column of `inputs` or `outputs`, or each parameter of `params`: its name, type and default.

    Raises ValueError for an invalid signature.
    """
    specs = signature_specs(signature, part) or []
    if part == "params":
        return tuple(
            f"`{spec.get('name')}`: {_type(spec['type'])}, {spec.get('default')!r} by default" for spec in specs
        )
    columns = _columns(specs).values()
    return tuple(f"{column.shown}: {_type(column.type)}{'' if column.required else ', optional'}" for column in columns)


def _inputs(old: list[Mapping[str, Any]] | None, new: list[Mapping[str, Any]] | None) -> Iterator[Change]:
    if old is None or new is None:
        if new is not None:
            yield _unknown("the champion has no input schema, and the candidate refuses inputs that do not fit its own")
        if old is not None:
            yield _breaking("the candidate has no input schema, and no longer refuses invalid inputs")
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
        before_column, after_column = before[key], after[key]
        if before_column.required != after_column.required:
            yield (_breaking if after_column.required else _compatible)(
                f"input {before_column.shown} is {_requirement_word(after_column)} now"
            )
        if before_column.type != after_column.type:
            change = _compatible if _accepts(after_column.type, before_column.type) else _breaking
            yield change(
                f"input {before_column.shown} is {_type(after_column.type)}, and was {_type(before_column.type)}"
            )


def _outputs(old: list[Mapping[str, Any]] | None, new: list[Mapping[str, Any]] | None) -> Iterator[Change]:
    if old is None or new is None:
        if old is not None:
            yield _breaking("the candidate has no output schema any more")
        return
    before, after = _columns(old), _columns(new)
    for key in before.keys() - after.keys():
        yield _breaking(f"output {before[key].shown} is gone")
    for key in after.keys() - before.keys():
        yield _compatible(f"output {after[key].shown} is new")
    for key in before.keys() & after.keys():
        before_column, after_column = before[key], after[key]
        if before_column.required != after_column.required:
            yield (_compatible if after_column.required else _breaking)(
                f"output {before_column.shown} is {_requirement_word(after_column)} now"
            )
        if before_column.type != after_column.type:
            change = _compatible if before_column.type == _ANY else _breaking
            yield change(
                f"output {before_column.shown} is {_type(after_column.type)}, and was {_type(before_column.type)}"
            )


def _params(old: list[Mapping[str, Any]] | None, new: list[Mapping[str, Any]] | None) -> Iterator[Change]:
    before, after = ({str(spec.get("name")): spec for spec in specs or ()} for specs in (old, new))
    for name in before.keys() - after.keys():
        yield _breaking(f"parameter `{name}` is gone: MLflow would ignore it")
    for name in after.keys() - before.keys():
        yield _compatible(f"parameter `{name}` is new, and has a default")
    for name in before.keys() & after.keys():
        old_param, new_param = before[name], after[name]
        if old_param.get("shape") != new_param.get("shape"):
            yield _breaking(
                f"parameter `{name}` has the shape {new_param.get('shape')}, and had {old_param.get('shape')}"
            )
        if old_param["type"] != new_param["type"]:
            change = _compatible if (old_param["type"], new_param["type"]) in _WIDER_PARAMS else _breaking
            yield change(f"parameter `{name}` is {_type(new_param['type'])}, and was {_type(old_param['type'])}")
        if old_param.get("default") != new_param.get("default"):
            default, old_default = new_param.get("default"), old_param.get("default")
            text = f"parameter `{name}` is {default!r} where none is given, and was {old_default!r}"
            yield _breaking(text)


def _columns(specs: Sequence[Mapping[str, Any]]) -> dict[object, _Column]:
    """The columns by name, or by position (from 1) where they have no names."""
    columns: dict[object, _Column] = {}
    for position, spec in enumerate(specs, start=1):
        name = spec.get("name")
        shown = f"`{name}`" if name is not None else f"number {position}"
        required = bool(spec.get("required", not spec.get("optional", False)))
        columns[position if name is None else str(name)] = _Column(shown=shown, type=_normal(spec), required=required)
    return columns


def _normal(spec: Any) -> Any:
    """A type in normal form: a name, or a tuple of the kind of a composed type and its parts."""
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
            named = (
                (name, bool(property_.get("required", True)), _normal(property_))
                for name, property_ in properties.items()
            )
            return "object", tuple(sorted(named, key=lambda item: str(item[0])))
        case {"type": str() as name} if name not in _COMPOSED:
            return name
    raise ValueError(f"{spec!r} is not a type of a signature")


def _accepts(new: Any, old: Any) -> bool:
    """Whether every value of the old type is valid for the new type, with the same meaning."""
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
            return _accepts(new_inner, old_inner)
        case ("object", new_properties), ("object", old_properties):
            return _accepts_properties(new_properties, old_properties)
    return False


def _accepts_properties(new: Any, old: Any) -> bool:
    """Compare the properties of objects. Unlike an unknown column, MLflow refuses an unknown property."""
    wanted = {name: (required, kind) for name, required, kind in new}
    given = {name: (required, kind) for name, required, kind in old}
    if given.keys() - wanted.keys() or any(wanted[name][0] for name in wanted.keys() - given.keys()):
        return False
    return all((given[name][0] or not wanted[name][0]) and _accepts(wanted[name][1], given[name][1]) for name in given)


def _type(type_: Any) -> str:
    """A type in messages."""
    match type_:
        case ("tensor", dtype, shape):
            return f"tensor of {dtype} {list(shape)}"
        case ("array" | "map" as kind, inner):
            return f"{kind} of {_type(inner)}"
        case ("object", properties):
            parts = (f"{name}{'' if required else '?'}: {_type(kind)}" for name, required, kind in properties)
            return f"object of {{{', '.join(parts)}}}"
    return str(type_)


def _requirement_word(column: _Column) -> str:
    return "required" if column.required else "optional"


def _breaking(text: str) -> Change:
    return Change(effect=Effect.BREAKING, text=text)


def _compatible(text: str) -> Change:
    return Change(effect=Effect.COMPATIBLE, text=text)


def _unknown(text: str) -> Change:
    return Change(effect=Effect.UNKNOWN, text=text)
