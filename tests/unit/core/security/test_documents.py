"""Parsing JSON from outside within a limit of depth."""

import pytest

from mlflow_uv.core.security.documents import parse_json, whole_number
from mlflow_uv.core.security.toml_documents import Unbounded, Unparsable


def test_a_text_too_deep_for_the_parser_is_unbounded() -> None:
    """
    Python's parser ends with RecursionError, which no caller of ours expects.
    """
    with pytest.raises(Unbounded):
        parse_json("[" * 100_000)
    with pytest.raises(Unbounded):
        parse_json(b'{"number": ' + b"9" * 5000 + b"}")


@pytest.mark.parametrize("text", ["1e999", "-1e999", "1.5", "NaN", "true", '"3"', "null", "[]"])
def test_only_a_whole_number_is_one(text: str) -> None:
    """
    `int` ends with OverflowError on what Python reads as infinity, and takes texts and fractions.
    """
    with pytest.raises(TypeError, match="is not a whole number"):
        whole_number(parse_json(text))
    assert 7 == whole_number(parse_json("7"))


@pytest.mark.parametrize(("text", "line"), [("{\n  3\n}", 2), ("", 1), (b"\xff\xfe\x00", 1)])
def test_invalid_json_has_the_line_of_its_error(text: str | bytes, line: int) -> None:
    """
    The same error as of TOML, whichever module rejects it.
    """
    with pytest.raises(Unparsable) as caught:
        parse_json(text)

    assert line == caught.value.line


@pytest.mark.parametrize("text", ['{"a": 1, "a": 2}', b'[{"a": 1, "a": 1}]', '{"b": {"a": [], "a": []}}'])
def test_an_object_with_a_name_twice_is_unparsable(text: str | bytes) -> None:
    """
    Some parsers take the first value and others the last one.
    """
    with pytest.raises(Unparsable, match="has the name 'a' twice"):
        parse_json(text)

    assert [{"a": 1}, {"a": 2}] == parse_json('[{"a": 1}, {"a": 2}]')
