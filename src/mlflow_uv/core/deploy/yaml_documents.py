"""Parses YAML of others for its places in the text, and finds values by their keys."""

from collections.abc import Iterator, Sequence
from functools import lru_cache
from typing import TypeAlias

from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError
from ruamel.yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode

from ...command.errors import BadInput
from ...payloads.messages.lazy_dataclass import lazy_dataclass

LIMIT = 1 << 20  # bytes of a file
_DEEPEST = 60  # of the keys of a file
_MERGE = "<<"
_SEPARATORS = ("\u2028", "\u2029", "\x85")

# Where a value is: the number of its document, then keys of mappings and numbers in lists.
YamlPath: TypeAlias = tuple[str | int, ...]


@lazy_dataclass
class YamlText:
    """A text, and the root of each of its documents."""

    text: str
    documents: tuple[Node, ...]


@lru_cache(maxsize=4)  # a plan reads the same content several times, and one of a megabyte takes seconds
def parsed_yaml(data: bytes, shown: str) -> YamlText:
    """Parse a file. Raises BadInput for one that is not YAML, has a key twice, is too large or too deep."""
    if len(data) > LIMIT:
        raise BadInput(what=f"{shown} is too large", why=f"it has {len(data)} bytes, and {LIMIT} are read at most")
    try:
        text = data.decode("utf-8")
        # The parser counts a mark at the beginning as no character.
        if text.startswith("\ufeff"):
            raise BadInput(what=f"{shown} begins with a byte order mark", why="values cannot be found after one")
        documents = tuple(node for node in YAML(typ="safe", pure=True).compose_all(text) if node is not None)
        for document in documents:
            _require_shallow(document)
    except (YAMLError, UnicodeDecodeError, RecursionError, ValueError) as error:
        raise _unreadable(error, data, shown) from error
    for document in documents:
        _require_single_keys(document, shown)
    return YamlText(text=text, documents=documents)


def _unreadable(error: Exception, data: bytes, shown: str) -> BadInput:
    """The error for a file that the parser refuses, of which YAML itself allows some; with what helps."""
    mark = getattr(error, "problem_mark", None)
    lines = data.decode("utf-8", errors="replace").split("\n")
    number = -1 if mark is None else int(mark.line)
    line = lines[number] if 0 <= number < len(lines) else ""
    place = f"{shown}:{number + 1}" if line else shown
    separator = next((sign for sign in _SEPARATORS if sign in "\n".join(lines)), None)
    why, fix = str(error).strip().replace("\n", " ")[:300], f"correct {place}"
    if "{{" in line or "{%" in line:
        fix = "name a file of values, and not a template"
    elif "\t" in line and "'\\t'" in why:
        why = "a tab is outside of quotes, which YAML allows in some places, and this parser in none of them"
        fix = f"write spaces instead of tabs in {place}"
    elif separator is not None:
        why = f"it has the character U+{ord(separator):04X}, which ends a line in YAML 1.1, and none in 1.2"
        fix = f'write it as "\\u{ord(separator):04x}" in quotes, or remove it'
    return BadInput(what=f"{place} cannot be read as YAML", why=why, fix=fix)


def value_at(node: Node | None, keys: Sequence[str | int]) -> Node | None:
    """The node below some keys of mappings and numbers in lists; None if one of them is not there."""
    for key in keys:
        node = _child(node, key)
    return node


def node_at(parsed: YamlText, path: YamlPath) -> Node | None:
    """The node at a place; None if it is not there."""
    number, *keys = path
    return value_at(parsed.documents[int(number)], keys) if int(number) < len(parsed.documents) else None


def text_at(node: Node | None, *keys: str) -> str:
    """The text of a scalar below some keys; empty if it is not there."""
    scalar = value_at(node, keys)
    return str(scalar.value) if isinstance(scalar, ScalarNode) else ""


def named_items(node: Node | None, name: str) -> tuple[int, ...]:
    """The numbers of the items of a list whose `name` is this."""
    items = node.value if isinstance(node, SequenceNode) else ()
    return tuple(number for number, item in enumerate(items) if text_at(item, "name") == name)


def mappings_in(node: Node) -> Iterator[tuple[YamlPath, MappingNode]]:
    """Every mapping of a document with where it is, each once, however often it is referred to."""
    seen: set[int] = set()
    waiting: list[tuple[YamlPath, Node]] = [((), node)]
    while waiting:
        path, current = waiting.pop()
        if id(current) in seen or isinstance(current, ScalarNode):
            continue
        seen.add(id(current))
        if isinstance(current, MappingNode):
            yield path, current
            named = [(str(key.value), value) for key, value in current.value if isinstance(key, ScalarNode)]
            waiting += reversed([((*path, key), value) for key, value in named])
        else:
            waiting += reversed([((*path, number), item) for number, item in enumerate(current.value)])


def require_unmerged(parsed: YamlText, path: YamlPath, shown: str) -> None:
    """Raise BadInput if a merge (`<<`) gives one of the keys that lead to a value."""
    node: Node | None = parsed.documents[int(path[0])]
    for key in path[1:]:
        if isinstance(node, MappingNode) and _is_merged(node, str(key)):
            raise BadInput(
                what=f"{shown}:{node.start_mark.line + 1}: `{key}` comes from a merge (`<<`)",
                why="it is a value of other places too, and readers of YAML differ in which one counts",
                fix="write the value out, without the merge",
            )
        node = value_at(node, (key,))


def _child(node: Node | None, key: str | int) -> Node | None:
    if isinstance(key, int):
        items = node.value if isinstance(node, SequenceNode) else ()
        return items[key] if key < len(items) else None
    pairs = node.value if isinstance(node, MappingNode) else ()
    return next((value for name, value in pairs if isinstance(name, ScalarNode) and name.value == key), None)


def _is_merged(node: MappingNode, key: str) -> bool:
    """Whether a mapping gets a key by a merge, at any depth."""
    waiting, seen = [value for name, value in node.value if name.value == _MERGE], set[int]()
    while waiting:
        merged = waiting.pop()
        if id(merged) in seen or isinstance(merged, ScalarNode):
            continue
        seen.add(id(merged))
        if isinstance(merged, SequenceNode):
            waiting += merged.value
        elif _child(merged, key) is not None:
            return True
        else:
            waiting += [value for name, value in merged.value if name.value == _MERGE]
    return False


def _require_single_keys(document: Node, shown: str) -> None:
    """Raise BadInput for a mapping that has a key twice, of which readers take the first, the last or none."""
    for _, mapping in mappings_in(document):
        keys: set[str] = set()
        for name, _ in mapping.value:
            if isinstance(name, ScalarNode) and name.value in keys:
                raise BadInput(
                    what=f"{shown}:{name.start_mark.line + 1}: `{name.value}` is there twice",
                    why="readers of YAML differ in which of the two counts",
                    fix="remove one of them",
                )
            keys.add(str(name.value))


def _require_shallow(document: Node) -> None:
    waiting, seen = [(document, 1)], set()
    while waiting:
        node, depth = waiting.pop()
        if depth > _DEEPEST:
            raise ValueError(f"it is more than {_DEEPEST} levels deep")
        if isinstance(node, ScalarNode) or (id(node), depth) in seen:
            continue
        seen.add((id(node), depth))
        children = [child for pair in node.value for child in pair] if isinstance(node, MappingNode) else node.value
        waiting += [(child, depth + 1) for child in children]
