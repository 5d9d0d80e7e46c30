"""Compares two YAML texts: what is to differ, and that nothing else does, wherever aliases lead to."""

from collections.abc import Mapping
from typing import TypeAlias

from ruamel.yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode

from ...payloads.messages.lazy_dataclass import lazy_dataclass
from .yaml_documents import YamlPath, YamlText, node_at, value_at

_TEXT = "tag:yaml.org,2002:str"
_OTHER = "another value would change with it, by an alias or a merge"


@lazy_dataclass
class YamlSource:
    """A value as another text of the same file has it: its node and the bytes of it; None where it has none."""

    node: Node | None
    raw: str = ""


YamlValue: TypeAlias = str | YamlSource


def difference(before: YamlText, after: YamlText, values: Mapping[YamlPath, YamlValue]) -> str | None:
    """Why a text is not the one before with these values and no other change; None if it is."""
    if len(before.documents) != len(after.documents):
        return "the file would have another number of documents"
    expected = _Expected()
    for path, value in values.items():
        expected.add(path, value)
    seen: set[tuple[int, int]] = set()
    pairs = enumerate(zip(before.documents, after.documents, strict=True))
    whys = (_difference(*pair, expected.children.get(number), seen) for number, pair in pairs)
    return next((why for why in whys if why is not None), None)


def same_values(one: tuple[YamlText, YamlPath], other: tuple[YamlText, YamlPath]) -> bool:
    """Whether two texts have the same at a place of each."""
    return _is_equal(node_at(*one), node_at(*other), set())


def has_value(node: Node | None, value: YamlValue) -> bool:
    """Whether a node is this value."""
    return _is_expected(node, value, set())


class _Expected:
    """What is to differ: a value, or children of which some differ."""

    def __init__(self) -> None:
        self.children: dict[str | int, _Expected] = {}
        self.value: YamlValue | None = None

    def add(self, path: YamlPath, value: YamlValue) -> None:
        """Add the value of a place."""
        if path:
            self.children.setdefault(path[0], _Expected()).add(path[1:], value)
        else:
            self.value = value


def _difference(
    old: Node | None, new: Node | None, expected: _Expected | None, seen: set[tuple[int, int]]
) -> str | None:
    """Why a node is not the old one with the expected values; None if it is."""
    if expected is None:
        return None if _is_equal(old, new, seen) else _OTHER
    if expected.value is not None:
        return None if _is_expected(new, expected.value, seen) else "the value would not be read back"
    if isinstance(old, SequenceNode) and isinstance(new, SequenceNode) and len(old.value) == len(new.value):
        pairs = enumerate(zip(old.value, new.value, strict=True))
        whys = (_difference(*pair, expected.children.get(number), seen) for number, pair in pairs)
        return next((why for why in whys if why is not None), None)
    if not all(isinstance(node, MappingNode) or node is None for node in (old, new)):
        return "a mapping would become something else"
    kept = [_others(node, expected.children) for node in (old, new)]
    if len(kept[0]) != len(kept[1]) or not all(
        _is_equal(one, other, seen) for pair in zip(*kept, strict=True) for one, other in zip(*pair, strict=True)
    ):
        return _OTHER
    whys = (
        _difference(value_at(old, (key,)), value_at(new, (key,)), below, seen)
        for key, below in expected.children.items()
    )
    return next((why for why in whys if why is not None), None)


def _others(node: Node | None, keys: Mapping[str | int, object]) -> list[tuple[Node, Node]]:
    pairs = node.value if isinstance(node, MappingNode) else ()
    return [(name, value) for name, value in pairs if not (isinstance(name, ScalarNode) and name.value in keys)]


def _is_expected(node: Node | None, value: YamlValue, seen: set[tuple[int, int]]) -> bool:
    if isinstance(value, YamlSource):
        return _is_equal(node, value.node, seen)
    return isinstance(node, ScalarNode) and (node.tag, node.value) == (_TEXT, value)


def _is_equal(one: Node | None, other: Node | None, seen: set[tuple[int, int]]) -> bool:
    """Whether two nodes are the same, with what aliases in them stand for; `seen` has pairs that are compared once."""
    waiting = [(one, other)]
    while waiting:
        left, right = waiting.pop()
        if left is None or right is None:
            if left is not right:
                return False
            continue
        if (id(left), id(right)) in seen:
            continue
        seen.add((id(left), id(right)))
        if type(left) is not type(right) or left.tag != right.tag:
            return False
        if isinstance(left, ScalarNode):
            if left.value != right.value:
                return False
            continue
        if len(left.value) != len(right.value):
            return False
        for ours, theirs in zip(left.value, right.value, strict=True):
            waiting += zip(ours, theirs, strict=True) if isinstance(left, MappingNode) else [(ours, theirs)]
    return True
