"""Changes of single values of a YAML text."""

import pytest

from mlflow_uv.command.errors import BadInput
from mlflow_uv.core.deploy.yaml_difference import YamlSource
from mlflow_uv.core.deploy.yaml_documents import parsed_yaml
from mlflow_uv.core.deploy.yaml_edits import value_of, with_values


def test_a_value_that_is_the_same_already_is_left_as_it_is_written() -> None:
    """
    Its quotes stay.
    """
    parsed = parsed_yaml(b"a: 'x'\nb: \"y\"\n", "f")

    assert "a: 'x'\nb: \"z 1\"\n" == with_values(parsed, {(0, "a"): "x", (0, "b"): "z 1"}, "f").text


def test_a_value_is_taken_as_another_text_of_the_file_writes_it() -> None:
    """
    A number stays a number, and what that text has not is taken out.
    """
    old, new = parsed_yaml(b"a: 0x1f # c\nb:\n", "f"), parsed_yaml(b'd: "u"\na: "z" # c\nb: y\n', "f")
    places = ((0, "d"), (0, "a"), (0, "b"))

    back = with_values(new, {place: value_of(old, place) for place in places}, "f").text

    assert "a: 0x1f # c\nb:\n" == back


@pytest.mark.parametrize("text", ["x: 1\na: 2\n", "a: 1 # why\nb: 2\n", "a: 1\n# next\nb: 2\n"])
def test_a_key_is_not_taken_out_with_what_others_wrote(text: str) -> None:
    """
    It is the last one, or a comment is after it.
    """
    with pytest.raises(BadInput, match="cannot be taken out"):
        with_values(parsed_yaml(text.encode(), "f"), {(0, "a"): YamlSource(node=None)}, "f")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("? a\n: b: 1\n? c\n: 2\n", "no key can be added before this one"),
        ("? e\nc: 1\n", "`e` has no value: it is written with `\\?`"),
    ],
)
def test_a_key_with_a_question_mark_is_named_as_such(text: str, message: str) -> None:
    """
    YAML allows it, and no line can be put before it.
    """
    parsed = parsed_yaml(text.encode(), "f")

    with pytest.raises(BadInput, match=message):
        with_values(parsed, {(0, "d"): "x"} if "added" in message else {(0, "e"): "x"}, "f")
