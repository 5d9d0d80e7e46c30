"""A text is read in blocks that end between two records, from any byte at which a block started."""

import io
from types import SimpleNamespace

import pytest

from mlflow_uv.payloads.problems import Problem
from mlflow_uv.payloads.scoring.tables import BLOCK, LONGEST, TableRequest, require_record_limit, texts_in

LINES = b"".join(b"%d,%s\n" % (number, b"x" * 90) for number in range(120_000))


def request(content: bytes, *, columns: tuple[str, ...] = ()) -> TableRequest:
    """A file with this content, for a model that requires these columns."""
    schema = SimpleNamespace(required_input_names=lambda: list(columns), has_input_names=lambda: bool(columns))
    model = SimpleNamespace(metadata=SimpleNamespace(get_input_schema=lambda: schema))
    file = io.BufferedReader(io.BytesIO(content))
    return TableRequest(name="t.csv", file=file, size=len(content), model=model, key_columns=("id",), batch_rows=10)


def end_of_lines(text: bytes) -> int:
    """The end of the last complete line."""
    return text.rfind(b"\n") + 1


def test_blocks_are_whole_records_and_their_end_is_the_next_start() -> None:
    """
    Read on from the end of any block, the rest is what was not read before.
    """
    content = LINES + b"last without an end"

    blocks = list(texts_in(request(content), 0, end_of_lines))
    rest = list(texts_in(request(content), blocks[0][1], end_of_lines))

    assert content == b"".join(text for text, _ in blocks)
    assert len(blocks) > 2
    assert all(len(text) <= BLOCK + 100 and text.endswith(b"\n") for text, _ in blocks[:-1])
    assert content == blocks[0][0] + b"".join(text for text, _ in rest)


def test_columns_that_are_missing_are_named() -> None:
    """
    Those that the model requires, and the keys.
    """
    required = request(b"", columns=("x", "y"))

    required.require(["id", "y", "x", "z"])
    with pytest.raises(Problem, match=r"`t\.csv` lacks `y`, which the model requires; its columns are `id`, `x`"):
        required.require(["id", "x"])
    with pytest.raises(Problem, match=r"`t\.csv` lacks the key column `id`"):
        required.require(["x", "y"])


def test_a_record_without_an_end_is_an_error() -> None:
    """
    A quote that is never closed does not fill the memory.
    """
    require_record_limit(b"x", "t.csv")
    with pytest.raises(Problem, match="a quote may not be closed"):
        require_record_limit(bytes(LONGEST + 1), "t.csv")


def test_a_record_that_does_not_end_is_searched_a_few_times_only() -> None:
    """
    What is read grows with what is pending: a search of all of it for each block would take minutes.
    """
    content = b"x" * (40 * BLOCK)
    searched: list[int] = []

    def end_of(text: bytes) -> int:
        searched.append(len(text))
        return 0

    with pytest.raises(Problem, match="more than 64 MiB"):
        list(texts_in(request(content), 0, end_of))

    assert sum(searched) < 4 * LONGEST
