"""The line number of every key of a TOML document."""

from collections.abc import Iterator
from typing import Any

import pytest
import tomli
from hypothesis import assume, given
from hypothesis import strategies as st

from mlflow_uv.core.lock.toml_lines import Path, key_lines, line_at

TEXT = """\
# comment [not.a.table]
title = "x" # = "y"
"quoted key".'and \\ raw' = 1

[project]
name = "wine"
dependencies = [
    "grape>=1", # ] no end
    '''yeast''',

    "cork",
]
multi = \"\"\"
[not.a.header]
key = 1
ends with quotes\"\"\"\"\"
after = {a = 1, "b.c" = {d = [1,
  2]}}

[tool.uv.sources]
hop = [
  {index = "a"},
  {index = "b"},
]

[[tool.uv.index]]
name = "one"

[[tool.uv.index]]
name = "two"
[tool.uv.index.more]
deep = true
"""


@pytest.mark.parametrize(
    ("path", "line"),
    [
        (("title",), 2),
        (("quoted key",), 3),
        (("quoted key", "and \\ raw"), 3),
        (("project",), 5),
        (("project", "dependencies"), 7),
        (("project", "dependencies", 0), 8),
        (("project", "dependencies", 1), 9),
        (("project", "dependencies", 2), 11),
        (("project", "multi"), 13),
        (("project", "after", "b.c", "d", 1), 18),
        (("tool", "uv", "sources", "hop", 1, "index"), 23),
        (("tool", "uv", "index", 0, "name"), 27),
        (("tool", "uv", "index", 1), 29),
        (("tool", "uv", "index", 1, "name"), 30),
        (("tool", "uv", "index", 1, "more", "deep"), 32),
    ],
)
def test_a_key_has_the_line_that_it_stands_on(path: Path, line: int) -> None:
    """
    Tables, arrays of tables, dotted and quoted keys, values over several lines, elements of arrays.
    """
    lines = key_lines(TEXT)

    found = line_at(lines, path)

    assert line == found


@pytest.mark.parametrize(
    ("path", "line"), [(("project", "no", "such"), 5), (("tool", "uv", "sources", "hop", 7), 21), (("nothing",), 1)]
)
def test_what_is_not_there_has_the_line_of_what_is_around_it(path: Path, line: int) -> None:
    """
    A finding about something that was removed points at the list that it was in.
    """
    lines = key_lines(TEXT)

    found = line_at(lines, path)

    assert line == found


@pytest.mark.parametrize("text", ["a = ", "[", "[a", "= 1", 'a = "', "a = [1, ", "a = {b", "\x00", "<<<<<<< HEAD\n"])
def test_what_is_not_toml_is_read_as_far_as_it_goes(text: str) -> None:
    """
    A text in the middle of being written is nothing to fail at.
    """
    lines = key_lines(f"first = 1\n{text}")

    found = line_at(lines, ("first",))

    assert 1 == found


def test_depth_is_no_reason_to_fail() -> None:
    """
    Arrays in arrays, as deep as the reader of TOML goes and deeper.
    """
    deep = "[" * 900 + "]" * 900

    lines = key_lines(f"a = {deep}\nb = 1\n")

    assert 2 == lines[("b",)]


BARE = st.sampled_from(["a", "b", "c-d", "1", "x_y", '"a b"', "'lit.eral'", '"é"', '"\\u00e9q"', '"#"', '"]"'])
BLANK = st.sampled_from(["", " ", "\n", " # ] } = [x]\n", "\r\n", ",\n"])


@st.composite
def _values(draw: st.DrawFn, depth: int) -> str:
    token = draw(st.uuids()).hex
    kinds = [
        "1",
        '"{}"',
        "'{}'",
        '"{} # ] = \\" }}"',
        '"""{}\n[x]\na = "1"\n"""',
        "'''{} ' ''\n#'''",
        "1979-05-27 07:32:00",
    ]
    kind = draw(st.integers(0, len(kinds) + (1 if depth else -1)))
    if kind < len(kinds):
        return kinds[kind].format(token)
    space = [draw(BLANK).replace(",", "") for _ in range(3)]
    if kind == len(kinds):
        inner = [draw(_values(depth - 1)) for _ in range(draw(st.integers(0, 3)))]
        return "[" + space[0] + f",{space[1]}".join(inner) + space[2] + "]"
    pairs = [f"{draw(_keys())} = {draw(_values(depth - 1))}" for _ in range(draw(st.integers(0, 3)))]
    return "{" + ", ".join(pairs) + "}"


@st.composite
def _keys(draw: st.DrawFn) -> str:
    return draw(st.sampled_from([".", " . "])).join(draw(st.lists(BARE, min_size=1, max_size=3)))


@st.composite
def _documents(draw: st.DrawFn) -> str:
    lines: list[str] = []
    for _ in range(draw(st.integers(1, 8))):
        kind = draw(st.integers(0, 5))
        if kind == 0:
            lines.append(f"[{draw(_keys())}] # x")
        elif kind == 1:
            lines.append(f" [[ {draw(_keys())} ]]")
        else:
            lines.append(f"{draw(_keys())} = {draw(_values(2))}{draw(st.sampled_from(['', ' # ] x', '  ']))}")
    return draw(st.sampled_from(["\n", "\r\n", "\n\n"])).join(lines)


def _leaves(value: Any, path: Path = ()) -> Iterator[tuple[Path, Any]]:
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    if path:
        yield path, value
    for key, one in inner:
        yield from _leaves(one, (*path, key))


@given(_documents())
def test_every_path_of_a_document_has_its_line_and_no_other_is_invented(text: str) -> None:
    """
    Whatever a TOML reader accepts: the same paths, and each text stands on the line of its path.
    """
    try:
        table = tomli.loads(text)
    except tomli.TOMLDecodeError:
        assume(False)  # noqa: FBT003  # hypothesis's own way
    rows = text.split("\n")
    leaves = dict(_leaves(table))

    lines = key_lines(text)

    assert leaves.keys() == lines.keys()
    texts = [(path, value[:32]) for path, value in leaves.items() if isinstance(value, str)]
    assert [] == [path for path, value in texts if value not in rows[lines[path] - 1]]


@given(st.text())
def test_no_text_at_all_makes_it_fail(text: str) -> None:
    """
    It tells what it can and never raises.
    """
    lines = key_lines(text)

    assert all(1 <= line <= text.count("\n") + 1 for line in lines.values())
