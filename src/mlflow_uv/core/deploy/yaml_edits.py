"""
Changes single values of a YAML file, and keeps every other byte: comments, order, quotes and line ends.

A value is found by its keys; its place in the text is what the parser says.
"""

from collections.abc import Iterator, Sequence

from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError
from ruamel.yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode

from ...command.errors import BadInput
from ...command.lazy_pattern import lazy_pattern
from ...payloads.messages.lazy_dataclass import lazy_dataclass
from ..security.yaml_scalars import quoted_yaml, single_quoted_yaml

LIMIT = 1 << 20  # bytes of a file
_DEEPEST = 60  # of the keys of a file
# What is the same text without quotes: no number, no word such as `true`, and nothing that YAML gives a meaning.
_PLAIN = lazy_pattern(r"[A-Za-z][A-Za-z0-9._-]*[/:@][A-Za-z0-9._/@:-]*[A-Za-z0-9]")


@lazy_dataclass
class YamlText:
    """A text, and the root of each of its documents."""

    text: str
    documents: tuple[Node, ...]


def parsed_yaml(data: bytes, shown: str) -> YamlText:
    """Parse a file. Raises BadInput for one that is not YAML, too large or too deep."""
    if len(data) > LIMIT:
        raise BadInput(what=f"{shown} is too large", why=f"it has {len(data)} bytes, and {LIMIT} are read at most")
    try:
        text = data.decode("utf-8")
        # The parser counts a mark at the beginning as no character.
        if text.startswith("\ufeff"):
            raise BadInput(what=f"{shown} begins with a byte order mark", why="values cannot be found after one")
        documents = tuple(node for node in YAML(pure=True).compose_all(text) if node is not None)
        for document in documents:
            _require_shallow(document)
    except (YAMLError, UnicodeDecodeError, RecursionError, ValueError) as error:
        line = str(error).strip().replace("\n", " ")[:300]
        raise BadInput(
            what=f"{shown} cannot be read as YAML", why=line, fix="name a file of values, and not a template"
        ) from error
    return YamlText(text=text, documents=documents)


def value_at(node: Node | None, keys: Sequence[str]) -> Node | None:
    """The node below some keys of mappings; None if one of them is not there."""
    for key in keys:
        node = _child(node, key)
    return node


def text_at(node: Node | None, *keys: str) -> str:
    """The text of a scalar below some keys; empty if it is not there."""
    found = value_at(node, keys)
    return str(found.value) if isinstance(found, ScalarNode) else ""


def named_item(node: Node | None, name: str) -> MappingNode | None:
    """The item of a list whose `name` is this."""
    items = node.value if isinstance(node, SequenceNode) else ()
    return next((item for item in items if isinstance(item, MappingNode) and text_at(item, "name") == name), None)


def mappings_in(node: Node) -> Iterator[MappingNode]:
    """Every mapping of a document, each once, however often it is referred to."""
    seen: set[int] = set()
    waiting = [node]
    while waiting:
        found = waiting.pop()
        if id(found) in seen or isinstance(found, ScalarNode):
            continue
        seen.add(id(found))
        if isinstance(found, MappingNode):
            yield found
            waiting += reversed([value for _, value in found.value])
        else:
            waiting += reversed(found.value)


def with_values(parsed: YamlText, where: MappingNode, values: Sequence[tuple[str, str]], shown: str) -> str:
    """
    The text with other values of keys of one mapping; a key that is not there is added before its first one.

    Raises BadInput for a value that is an anchor or an alias, which would change elsewhere, too.
    """
    text, edits, missing = parsed.text, [], []
    for key, value in values:
        known = _child(where, key)
        if known is None:
            missing.append(f"{key}: {_scalar(value, '')}")
            continue
        # An alias stands for a node that is earlier in the text.
        (named,) = (name for name, node in where.value if node is known and name.value == key)
        if not isinstance(known, ScalarNode) or known.anchor or known.start_mark.index < named.end_mark.index:
            line = named.start_mark.line + 1
            raise BadInput(
                what=f"{shown}:{line}: `{key}` is not a value of its own",
                why="it is a list, a mapping, an anchor or an alias, and changing it would change other places",
                fix="write the value out",
            )
        begin, end = known.start_mark.index, known.end_mark.index
        if known.style in ("|", ">"):
            raise BadInput(what=f"{shown}:{named.start_mark.line + 1}: `{key}` is a text of several lines", why="")
        if known.value != value:
            if begin == end:  # nothing is after the colon, and the parser says that it is where the next thing begins
                begin = end = text.index(":", named.end_mark.index) + 1
            gap = " " if text[begin - 1] == ":" else ""
            edits.append((begin, end, gap + _scalar(value, known.style or "")))
    if missing:
        edits.append(_addition(text, where, missing))
    for begin, end, new in sorted(edits, reverse=True):
        text = text[:begin] + new + text[end:]
    return text


def with_mapping(parsed: YamlText, root: Node, key: str, values: Sequence[tuple[str, str]]) -> str:
    """The text with a new mapping in front of the keys of another one. Raises BadInput for one that is `{…}`."""
    inner = ", ".join(f"{name}: {_scalar(value, '')}" for name, value in values)
    lines = [f"{key}: {{{inner}}}"]
    if isinstance(root, MappingNode) and not root.flow_style:
        lines = [f"{key}:", *(f"  {name}: {_scalar(value, '')}" for name, value in values)]
    assert isinstance(root, MappingNode)  # noqa: S101  # the caller has looked
    begin, end, new = _addition(parsed.text, root, lines)
    return parsed.text[:begin] + new + parsed.text[end:]


def _addition(text: str, where: MappingNode, lines: Sequence[str]) -> tuple[int, int, str]:
    """Where lines are inserted, and how: before the first key, in its column."""
    if not where.value:  # {}
        return where.start_mark.index, where.end_mark.index, "{" + ", ".join(lines) + "}"
    first = where.value[0][0].start_mark
    if where.flow_style:
        return first.index, first.index, "".join(f"{line}, " for line in lines)
    line_end = "\r\n" if "\r\n" in text else "\n"
    return first.index, first.index, "".join(f"{line}{line_end}{' ' * first.column}" for line in lines)


def _child(node: Node | None, key: str) -> Node | None:
    pairs = node.value if isinstance(node, MappingNode) else ()
    return next((value for name, value in pairs if isinstance(name, ScalarNode) and name.value == key), None)


def _scalar(value: str, style: str) -> str:
    if style == "'":
        return single_quoted_yaml(value)
    if not style and _PLAIN.fullmatch(value):
        return value
    return quoted_yaml(value)


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
