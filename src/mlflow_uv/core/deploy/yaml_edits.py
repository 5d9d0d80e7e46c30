"""
Changes single values of a YAML file, and keeps every other byte: comments, order, quotes and line ends.

A value is found by its keys; its place in the text is what the parser says. The changed text is parsed again, and
compared with the old one: nothing but the values that were to change may differ.
"""

from collections.abc import Mapping, Sequence

from ruamel.yaml.nodes import MappingNode, Node, ScalarNode

from ...command.errors import BadInput
from ...command.lazy_pattern import lazy_pattern
from ..security.documents import parse_json
from ..security.toml_documents import Unparsable
from ..security.yaml_scalars import quoted_yaml, single_quoted_yaml
from .yaml_difference import YamlSource, YamlValue, difference, has_value
from .yaml_documents import YamlPath, YamlText, node_at, parsed_yaml

# What is the same text without quotes: no number, no word such as `true`, and nothing that YAML gives a meaning.
_PLAIN = lazy_pattern(r"[A-Za-z][A-Za-z0-9._-]*[/:@][A-Za-z0-9._/@:-]*[A-Za-z0-9]")


def value_of(parsed: YamlText, path: YamlPath) -> YamlSource:
    """A value with the bytes of it, for another text of the same file."""
    node = node_at(parsed, path)
    return YamlSource(node=node, raw="" if node is None else parsed.text[node.start_mark.index : node.end_mark.index])


def with_values(parsed: YamlText, values: Mapping[YamlPath, YamlValue], shown: str) -> YamlText:
    """
    The text with other values; a key that is not there is added before the first one of its mapping.

    Raises BadInput if anything else would change with them, or if JSON would not be JSON any more.
    """
    edits: list[tuple[int, int, str]] = []
    style, additions = '"' if _is_json(parsed.text) else "", dict[YamlPath, list[tuple[str, str]]]()
    removed: dict[YamlPath, list[str]] = {}
    for path, value in values.items():
        known = node_at(parsed, path)
        if known is None:
            if isinstance(value, str):
                additions.setdefault(path[:-1], []).append((str(path[-1]), _scalar(value, style)))
            elif value.node is not None:
                additions.setdefault(path[:-1], []).append((str(path[-1]), value.raw))
        elif isinstance(value, YamlSource) and value.node is None:
            removed.setdefault(path[:-1], []).append(str(path[-1]))
        elif (edit := _replacement(parsed, path, value, style, shown)) is not None:
            edits.append(edit)
    edits += [_addition(parsed, path, lines, style, shown) for path, lines in additions.items()]
    for path, keys in removed.items():
        edits += _removals(parsed, path, keys, shown)
    text = parsed.text
    for begin, end, new in sorted(edits, reverse=True):
        text = text[:begin] + new + text[end:]
    return _checked(parsed, text, values, shown)


def _checked(before: YamlText, text: str, values: Mapping[YamlPath, YamlValue], shown: str) -> YamlText:
    """The changed text, parsed. Raises BadInput unless the values, and nothing but them, differ."""
    try:
        after = parsed_yaml(text.encode(), shown)
    except BadInput as error:
        raise _not_alone(shown, f"it could not be read afterwards: {error.why}") from error
    if _is_json(before.text) and not _is_json(text):
        raise _not_alone(shown, "it is JSON, and would not be afterwards")
    if (why := difference(before, after, values)) is not None:
        raise _not_alone(shown, why)
    return after


def _replacement(
    parsed: YamlText, path: YamlPath, value: YamlValue, style: str, shown: str
) -> tuple[int, int, str] | None:
    """How the value of a key is written; None if it is the same already."""
    name, known = _pair(parsed, path)
    # An alias stands for a node that is earlier in the text.
    if not isinstance(known, ScalarNode) or known.anchor or known.start_mark.index < name.end_mark.index:
        raise BadInput(
            what=f"{shown}:{name.start_mark.line + 1}: `{name.value}` is not a value of its own",
            why="it is a list, a mapping, an anchor or an alias, and changing it would change other places",
            fix="write the value out",
        )
    begin, end = known.start_mark.index, known.end_mark.index
    if known.style in ("|", ">"):
        raise BadInput(what=f"{shown}:{name.start_mark.line + 1}: `{name.value}` is a text of several lines", why="")
    if has_value(known, value):
        return None
    new = value.raw if isinstance(value, YamlSource) else _scalar(value, known.style or style)
    if begin == end:  # nothing is after the colon, and the parser says that it is where the next thing begins
        colon = parsed.text.find(":", name.end_mark.index)
        if colon < 0 or parsed.text[name.end_mark.index : colon].strip():
            raise BadInput(
                what=f"{shown}:{name.start_mark.line + 1}: `{name.value}` has no value",
                why="it is written with `?`, and without a colon",
                fix=f"write `{name.value}: none` instead",
            )
        begin = end = colon + 1
    if not new and parsed.text[begin - 2 : begin] == ": ":  # as it was written before
        return begin - 1, end, ""
    return begin, end, (" " if parsed.text[begin - 1] == ":" and new else "") + new


def _addition(
    parsed: YamlText, path: YamlPath, values: Sequence[tuple[str, str]], style: str, shown: str
) -> tuple[int, int, str]:
    """Where keys are added, and how: before the first key, in its column; a mapping that is not there is added too."""
    text, where = parsed.text, node_at(parsed, path)
    lines = [f"{_key(name, style)}: {value}" for name, value in values]
    if where is None:
        key, where = _key(str(path[-1]), style), node_at(parsed, path[:-1])
        inner = [f"{key}:", *(f"  {line}" for line in lines)]
        lines = inner if isinstance(where, MappingNode) and not where.flow_style else [f"{key}: {{{', '.join(lines)}}}"]
    if not isinstance(where, MappingNode):
        raise BadInput(what=f"{shown}: `{path[-1]}` is not a mapping", why="the version is written into it")
    if not where.value:  # {}
        return where.start_mark.index, where.end_mark.index, "{" + ", ".join(lines) + "}"
    first = where.value[0][0].start_mark
    if text[: first.index].rpartition("\n")[2].rstrip(" ").endswith("?"):
        raise BadInput(
            what=f"{shown}:{first.line + 1}: no key can be added before this one",
            why="it is written with `?`",
            fix="write it as `KEY: VALUE`",
        )
    if where.flow_style:
        return first.index, first.index, "".join(f"{line}, " for line in lines)
    line_end = "\r\n" if "\r\n" in text else "\n"
    return first.index, first.index, "".join(f"{line}{line_end}{' ' * first.column}" for line in lines)


def _removals(parsed: YamlText, path: YamlPath, keys: Sequence[str], shown: str) -> list[tuple[int, int, str]]:
    """What is left out so that keys are gone, each as far as the next one: the opposite of an addition."""
    where = node_at(parsed, path)
    assert isinstance(where, MappingNode)  # noqa: S101  # it has the keys
    if where.flow_style and len(where.value) == len(keys):
        return [(where.start_mark.index, where.end_mark.index, "{}")]
    names, edits = [name for name, _ in where.value], []
    for number, (name, known) in enumerate(where.value):
        if name.value not in keys:
            continue
        end = names[number + 1].start_mark.index if number + 1 < len(names) else -1
        between = parsed.text[known.end_mark.index : end].strip() if known.end_mark.index <= end else "?"
        if between not in ("", ","):
            raise BadInput(
                what=f"{shown}:{name.start_mark.line + 1}: `{name.value}` cannot be taken out",
                why="it is the last key, or something is written between it and the next one",
                fix="remove it by hand",
            )
        edits.append((name.start_mark.index, end, ""))
    return edits


def _pair(parsed: YamlText, path: YamlPath) -> tuple[ScalarNode, Node]:
    """The key and the value of a place that is there."""
    where = node_at(parsed, path[:-1])
    assert isinstance(where, MappingNode)  # noqa: S101  # the caller has looked
    return next((name, value) for name, value in where.value if isinstance(name, ScalarNode) and name.value == path[-1])


def _key(name: str, style: str) -> str:
    return quoted_yaml(name) if style else name


def _scalar(value: str, style: str) -> str:
    if style == "'":
        return single_quoted_yaml(value)
    if not style and _PLAIN.fullmatch(value):
        return value
    return quoted_yaml(value)


def _is_json(text: str) -> bool:
    try:
        parse_json(text)
    except Unparsable:
        return False
    return True


def _not_alone(shown: str, why: str) -> BadInput:
    return BadInput(
        what=f"{shown} cannot be changed alone",
        why=why,
        fix="write the image, its digest and the version as values of their own",
    )
