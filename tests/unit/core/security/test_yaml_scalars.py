"""Texts as scalars of YAML, read back by two parsers of it."""

import pytest
import yaml
from ruamel.yaml import YAML

from mlflow_uv.core.security.yaml_scalars import quoted_yaml, single_quoted_yaml, yaml_scalar

WORDS = ["true", "False", "NULL", "on", "no", "Y", "n", "yes"]
PLAIN = ["main", "release/1.x", "null-model", "e1", "v1.0"]
SIGNS = ["", "1e3", "a: b", "a #b", "- a", "{a}", "a\\nb", 'a"b', "it's", "~", "=", "*a"]
ODD = [*SIGNS, "größe 🍇", "a\tb\nc\r", "\x7f\x85\u2028\ufeff"]


@pytest.mark.parametrize("text", [*WORDS, *PLAIN, *ODD])
def test_a_text_is_read_as_that_text(text: str) -> None:
    """
    By YAML 1.1 and 1.2, in a list between brackets and in a mapping.
    """
    written = [yaml_scalar(text), quoted_yaml(text), *([single_quoted_yaml(text)] if text.isprintable() else [])]

    for scalar in written:
        for document, read in ((f"[{scalar}]", [text]), (f"a: {scalar}\n", {"a": text})):
            assert read == yaml.safe_load(document) == YAML(typ="safe", pure=True).load(document)


def test_only_what_can_be_nothing_else_has_no_quotes() -> None:
    """
    A word of YAML is quoted, whatever its case.
    """
    assert [] == [text for text in PLAIN if yaml_scalar(text) != text]
    assert [] == [text for text in (*WORDS, *ODD) if yaml_scalar(text) == text]
