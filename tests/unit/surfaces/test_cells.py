"""The cells that a text takes on a terminal."""

import pytest

from mlflow_uv.surfaces.cells import cells, cut, padded


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("wine", 4),
        ("модель", 6),
        ("模型", 4),
        ("모델", 4),
        ("\u1106\u1169\u1103\u1166\u11af", 4),
        ("e\u0301té", 3),
        ("نموذج", 5),
        ("🍷", 2),
        ("❤\ufe0f", 2),
        ("🇫🇷", 2),
        ("\U0001fadf", 2),
        ("☰", 2),
        ("a\u200db", 2),
        ("│ · …", 5),
    ],
)
def test_the_cells_of_a_text_are_those_of_a_terminal(text: str, expected: int) -> None:
    """
    As in wcwidth 0.9.4, whose cells of each character are never more, also for characters that Python does not know.
    """
    found = cells(text)

    assert expected == found


@pytest.mark.parametrize(
    ("text", "width", "expected"),
    [
        ("wine", 4, "wine"),
        ("wines", 4, "win…"),
        ("模型模型", 8, "模型模型"),
        ("模型模型", 7, "模型模…"),
        ("模型模型", 6, "模型…"),
        ("a模", 2, "a…"),
        ("ab\u0301c", 3, "ab\u0301c"),
        ("a\tb", 3, "a b"),
        ("wine", 1, "…"),
        ("wine", 0, ""),
        ("wine", -1, ""),
        ("", 5, ""),
    ],
)
def test_a_text_is_cut_by_cells(text: str, width: int, expected: str) -> None:
    """
    A wide character is never halved, and a tab, which would jump, is a space.
    """
    found = cut(text, width)

    assert (expected, True) == (found, cells(found) <= max(width, 0))


def test_columns_are_filled_by_cells() -> None:
    """
    So that what follows is below what follows.
    """
    found = [padded(text, 6) for text in ("wine", "模型", "модель")]

    assert ["wine  ", "模型  ", "модель"] == found
