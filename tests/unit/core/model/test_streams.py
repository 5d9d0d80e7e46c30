"""How streams are requested, read from a response, and compared chunk by chunk."""

import json
from typing import Any

import pytest

from mlflow_uv.core.model.answer_paths import parse_path
from mlflow_uv.core.model.streams import (
    ServedStream,
    failed_after,
    is_stream,
    read_stream,
    requests_stream,
    stream_body,
    stream_differences,
)


def texts(recorded: list[Any], observed: list[Any], *paths: str, tolerance: float = 0.0) -> list[str]:
    """What differs."""
    ignored = tuple(map(parse_path, paths))
    return [found.text for found in stream_differences(recorded, observed, ignored, tolerance=tolerance)]


@pytest.mark.parametrize(
    ("case", "requested"),
    [
        (
            {"dataframe_split": {"columns": ["a"], "data": [[1], [2]]}},
            {"dataframe_split": {"columns": ["a"], "data": [[1]]}},
        ),
        ({"inputs": ["x", "y"], "params": {"n": 1}}, {"inputs": ["x"], "params": {"n": 1}}),
        ({"messages": [{"role": "user", "content": "x"}]}, {"messages": [{"role": "user", "content": "x"}]}),
    ],
)
def test_a_stream_is_requested_for_a_single_input(case: Any, requested: Any) -> None:
    """
    The first row of a table, or the whole of a chat request, in its order.
    """
    body = stream_body(case, None)

    assert json.dumps({**requested, "stream": True}) == body


def test_a_case_that_is_no_object_has_no_stream() -> None:
    """
    There is no place for `stream` in it.
    """
    assert stream_body([1], None) is None


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ('{"inputs": [1], "stream": true}', True),
        ('{"inputs": [1], "stream": false}', False),
        ('{"inputs": [1], "stream": 1}', False),
        ('{"inputs": ["\\"stream\\": true"]}', False),
        ('{"stream": true', False),
        ('["stream"]', False),
    ],
)
def test_only_true_requests_a_stream(body: str, expected: bool) -> None:
    """
    As a member of the request itself.
    """
    assert expected is requests_stream(body)


def test_events_are_read_until_the_stream_is_done() -> None:
    """
    Comments, other fields and what follows are left out; the lines of one event are one text.
    """
    text = ': hello\n\nevent: x\ndata: {"a":\ndata: 1}\n\ndata:"b"\r\n\r\ndata: [DONE]\n\ndata: 3\n\n'

    assert ServedStream(chunks=({"a": 1}, "b")) == read_stream(text)


def test_a_stream_without_its_end_is_not_complete() -> None:
    """
    As one that is cut off.
    """
    assert ServedStream(chunks=(1,), is_complete=False) == read_stream("data: 1\n\n")


def test_json_is_no_stream_and_an_event_without_json_is_refused() -> None:
    """
    As MLflow's scoring server responds, and as no server should.
    """
    assert (None, False) == (read_stream('{"predictions": [1]}'), is_stream('{"predictions": [1]}'))
    with pytest.raises(ValueError, match="x"):
        read_stream("data: x\n\n")


def test_the_error_of_a_stream_is_told_apart_from_a_chunk_of_training() -> None:
    """
    MLflow's agent server sends it as a last chunk.
    """
    served = ServedStream(chunks=(1, {"error": "no more"}))

    assert ServedStream(chunks=(1,), error="no more") == failed_after(served, [1, 2])
    assert served == failed_after(served, [1, {"error": "no more"}])
    assert ServedStream(chunks=({"error": "x", "id": 1},)) == failed_after(
        ServedStream(chunks=({"error": "x", "id": 1},)), []
    )


def test_a_wrong_chunk_is_named() -> None:
    """
    With its path inside of the chunk.
    """
    assert ["chunk 2: $.text is 'c', expected is 'b'"] == texts(
        [{"text": "a"}, {"text": "b"}], [{"text": "a"}, {"text": "c"}]
    )


def test_the_order_and_the_number_of_chunks_count() -> None:
    """
    The same chunks in another order are another stream.
    """
    assert 2 == len(texts(["a", "b"], ["b", "a"]))
    assert ["the stream has 1 chunks, expected are 2"] == texts(["a", "b"], ["a"])


def test_paths_are_ignored_in_every_chunk_and_floats_may_differ() -> None:
    """
    A path starts at the chunk.
    """
    recorded, observed = [{"id": 1, "x": 1.0}], [{"id": 2, "x": 1.0001}]

    assert [] == texts(recorded, observed, "$.id", tolerance=0.01)
    assert ["chunk 1: $.x is 1.0001, expected is 1.0"] == texts(recorded, observed, "$.id")
