"""Values of a YAML text: found by their keys, each once."""

import pytest

from mlflow_uv.command.errors import BadInput
from mlflow_uv.core.deploy.yaml_documents import (
    mappings_in,
    named_items,
    parsed_yaml,
    require_unmerged,
    text_at,
    value_at,
)

TEXT = """a: {b: [{name: x, c: 1}, {name: y, c: &c 2}], d: *c}
e:
- &f {name: z}
- *f
"""


def test_values_are_found_by_their_keys() -> None:
    """
    What is not there is empty, and a mapping has no text.
    """
    (root,) = parsed_yaml(TEXT.encode(), "f").documents

    (number,) = named_items(value_at(root, ("a", "b")), "y")

    assert (1, "2", "2", "", "", ()) == (
        number,
        text_at(value_at(root, ("a", "b", number)), "c"),
        text_at(root, "a", "d"),
        text_at(root, "a"),
        text_at(root, "a", "d", "x"),
        named_items(value_at(root, ("a", "b")), "z"),
    )


def test_a_mapping_that_is_referred_to_is_listed_once() -> None:
    """
    In the order of the text, with the keys that lead to it.
    """
    (root,) = parsed_yaml(TEXT.encode(), "f").documents

    places = [path for path, _ in mappings_in(root)]

    assert [(), ("a",), ("a", "b", 0), ("a", "b", 1), ("e", 0)] == places


@pytest.mark.parametrize("text", ["a: 1\na: 2\n", "x: [{b: 1, 'b': 2}]\n", "---\na: 1\n---\nb: {c: 1, d: 1, c: 1}\n"])
def test_a_key_that_is_there_twice_is_refused(text: str) -> None:
    """
    Readers of YAML take the first, the last, or none; where it is does not matter.
    """
    with pytest.raises(BadInput, match="is there twice"):
        parsed_yaml(text.encode(), "f")


@pytest.mark.parametrize(
    ("merge", "refused"), [("*x", True), ("[*z, *x]", True), ("*y", True), ("*z", False), ("{k: 1}", False)]
)
def test_a_value_that_a_merge_gives_is_refused(merge: str, refused: bool) -> None:
    """
    Also by several steps, and if the mapping has it itself; a merge of other keys is allowed.
    """
    parsed = parsed_yaml(f"x: &x {{d: 1}}\ny: &y {{<<: *x}}\nz: &z {{e: 1}}\na: {{<<: {merge}, d: 2}}\n".encode(), "f")

    if refused:
        with pytest.raises(BadInput, match="comes from a merge"):
            require_unmerged(parsed, (0, "a", "d"), "f")
    else:
        require_unmerged(parsed, (0, "a", "d"), "f")


@pytest.mark.parametrize(
    ("text", "place", "why", "fix"),
    [
        ("a: 1\nb: 2\t# c\n", "f:2", "YAML allows in some places", "spaces instead of tabs in f:2"),
        ("a:\t1\n", "f:1", "a tab is outside of quotes", "spaces instead of tabs in f:1"),
        ("a: 1 # x\u2028y\nb: 1\n", "f:1", "U+2028, which ends a line in YAML 1.1", '"\\u2028" in quotes'),
        ("a: {{ .Values.x }}: 1\n{{ if x }}\n", "f:1", "", "not a template"),
        ("a: 'x\n", "f", "end of stream", "correct f"),
        ("a: *x\n", "f:1", "undefined alias", "correct f:1"),
    ],
)
def test_what_the_parser_refuses_is_named_as_what_it_is(text: str, place: str, why: str, fix: str) -> None:
    """
    The file may be valid YAML, and is no template for that.
    """
    with pytest.raises(BadInput, match="cannot be read as YAML") as refused:
        parsed_yaml(text.encode(), "f")

    assert f"{place} cannot be read as YAML" == refused.value.what
    assert (True, True) == (why in refused.value.why, fix in str(refused.value.fix))
