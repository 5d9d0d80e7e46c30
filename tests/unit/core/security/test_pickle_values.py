"""The size of an array's items follows from its type and the state of that."""

from typing import Any

import pytest

from mlflow_uv.core.security.pickle_imports import PickleImport
from mlflow_uv.core.security.pickle_values import (
    ArrayType,
    ImportedGlobal,
    MadeValue,
    ValueKind,
    describe_type,
    is_no_text,
)


@pytest.mark.parametrize(
    ("code", "state", "size"),
    [
        ("f8", (3, "<", None, None, None, -1, -1, 0), 8),
        ("U5", (3, "<", None, None, None, 20, 4, 8), 20),
        ("V16", (3, "|", None, ("a",), {}, 16, 1, 16), 16),
        ("f8", (3, "<", None, None, None, 1, -1, 0), -1),
        ("f8", (3,), -1),
        ("Z9", (3, "<", None, None, None, -1, -1, 0), -1),
    ],
    ids=["float", "text", "record", "wrong size", "no state", "unknown"],
)
def test_a_type_has_the_size_that_numpy_gives_it(code: str, state: Any, size: int) -> None:
    """
    A negative size is not known.
    """
    dtype = ArrayType(None, code)

    describe_type(dtype, state)

    assert size == dtype.size


def made_of(module: str, name: str) -> MadeValue:
    """What a call of an import gave."""
    return MadeValue(ImportedGlobal(PickleImport(module=module, name=name, position=0)))


def test_what_may_be_text_is_not_called_otherwise() -> None:
    """
    Only behind an array are objects of classes no text, and never what a function gave.
    """
    model, text, computed = made_of("sklearn.base", "Model"), made_of("builtins", "str"), made_of("codecs", "encode")

    assert [True, True, True, False] == [is_no_text(value, plain=False) for value in (None, 1, ValueKind.OTHER, "a")]
    assert [False] * 4 == [is_no_text(value, plain=False) for value in (model, text, computed, ValueKind.UNKNOWN)]
    assert [True, False, False] == [is_no_text(value, plain=True) for value in (model, text, computed)]
