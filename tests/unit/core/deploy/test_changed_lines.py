"""The lines that a plan shows: those that changed, however long the file is and however often its lines repeat."""

import pytest

from mlflow_uv.core.deploy.changed_lines import changed_lines

MANY = [f"  line {number % 100}" for number in range(60_000)]


@pytest.mark.parametrize(
    ("before", "after", "expected"),
    [
        ("a\nb\nc\n", "a\nb\nc\n", ()),
        ("a\nb\nc\n", "a\nx\nc\n", ("-b", "+x")),
        ("a\nb\n", "x\na\nb\n", ("+x",)),
        ("a\nb\n", "a\nb\nx", ("+x",)),
        ("a\nb\n", "b\n", ("-a",)),
        ("a\n", "", ("-a",)),
        ("", "a\nb\n", ("+a", "+b")),
        ("a\na\na\na\na\n", "a\na\nx\na\na\na\n", ("+x",)),
        ("a\nb\nc\nd\ne\nf\ng\n", "a\nx\nc\nd\ne\nf\ny\nz\n", ("-b", "+x", "-g", "+y", "+z")),
    ],
)
def test_the_lines_that_differ_are_listed(before: str, after: str, expected: tuple[str, ...]) -> None:
    """
    In the order of the texts, the removed ones of a place first.
    """
    assert expected == changed_lines(before, after)


def test_two_changes_of_a_long_text_with_few_different_lines_are_two_lines() -> None:
    """
    A general comparison takes such lines for noise, and lists thousands of them after seconds.
    """
    changed = [*MANY[:5], "added", *MANY[5:30_000], "changed", *MANY[30_001:]]

    listed = changed_lines("\n".join(MANY), "\n".join(changed))

    assert ("+added", f"-{MANY[30_000]}", "+changed") == listed


def test_texts_without_anything_in_common_are_listed_whole() -> None:
    """
    The search for the end of a change is limited.
    """
    before, after = [f"a{number}" for number in range(300)], [f"b{number}" for number in range(300)]

    listed = changed_lines("\n".join(before), "\n".join(after))

    assert [*(f"-{line}" for line in before), *(f"+{line}" for line in after)] == list(listed)
