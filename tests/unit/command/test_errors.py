"""The one line that an error becomes."""

import pytest

from mlflow_uv.command.errors import BadInput, ChainBroken, sentence


@pytest.mark.parametrize(
    ("parts", "line"),
    [
        (("it failed", "the disk is full", "free some"), "it failed: the disk is full. Fix: free some"),
        (("it failed", "", "free some"), "it failed. Fix: free some"),
        (("it failed", "the disk is full.", "free some"), "it failed: the disk is full. Fix: free some"),
        (("it failed", "the disk is full", ""), "it failed: the disk is full"),
    ],
)
def test_what_why_and_fix_are_one_line(parts: tuple[str, str, str], line: str) -> None:
    """
    A part that is missing leaves no trace, and a sentence ends once.
    """
    assert line == sentence(*parts)


def test_an_error_can_leave_a_with_block() -> None:
    """
    A frozen class could not: the block sets its traceback.
    """
    with pytest.raises(BadInput) as caught:
        raise BadInput(what="no", why="because", fix="try")

    assert "no: because. Fix: try" == str(caught.value)


def test_a_broken_chain_names_its_links() -> None:
    """
    The links are also a value, for a report that marks them.
    """
    error = ChainBroken("model", "image", why="they differ")

    assert ("the chain is broken at `model`, `image`", ("model", "image")) == (error.what, error.links)
