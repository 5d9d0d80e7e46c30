"""Patterns that are compiled on first use."""

import re

import pytest

from mlflow_uv.command.lazy_pattern import LazyPattern, lazy_pattern


def test_a_pattern_is_what_re_compile_returns() -> None:
    """
    Its methods, its attributes and its flags.
    """
    lazy, eager = lazy_pattern(r"(?P<a>b+)", re.IGNORECASE), re.compile(r"(?P<a>b+)", re.IGNORECASE)

    results = [
        (one.pattern, one.flags, one.groups, dict(one.groupindex), one.findall("bB c b"), one.sub("x", "aBb"))
        for one in (lazy, eager)
    ]

    assert results[0] == results[1]


def test_it_is_compiled_once_and_only_when_it_is_used() -> None:
    """
    A process that imports it and does not use it pays nothing.
    """
    lazy = lazy_pattern(rb"a")
    assert isinstance(lazy, LazyPattern)
    before = {*vars(lazy)}

    matches = [lazy.fullmatch(b"a"), lazy.fullmatch(b"b")]

    assert {"_text", "_flags"} == before
    assert {"_text", "_flags", "_compiled", "fullmatch"} == {*vars(lazy)}
    assert [True, False] == [match is not None for match in matches]


def test_a_mistake_is_raised_on_first_use() -> None:
    """
    The declaration itself costs nothing, so it cannot notice.
    """
    lazy = lazy_pattern("(")

    with pytest.raises(re.error):
        lazy.search("a")
