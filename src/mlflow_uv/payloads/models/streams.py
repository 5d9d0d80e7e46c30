"""Records the chunks that a model's predict_stream yields for a request."""

import json
from collections.abc import Iterator
from contextlib import closing
from http import HTTPStatus
from typing import Any

from mlflow.pyfunc import scoring_server

from ..messages.models import AnswerRequests, ModelResponse
from ..problems import last_line, mask, shortened
from .interruption import TooSlow, interrupted_after

MOST_CHUNKS = 10_000
_LONGEST_REASON = 300
# Every chat model and agent inherits predict_stream from this module, where it only raises NotImplementedError.
_INHERITED = "mlflow.pyfunc.model"


def stream_responses(model: Any, request: AnswerRequests) -> "Iterator[ModelResponse | None]":
    """The response to each request for a stream; None if the model has none."""
    for body in request.streams:
        yield _response(model, body, request.stream_s) if _has_stream(model) else None


def _has_stream(model: Any) -> bool:
    """Whether MLflow can stream the model, and its predict_stream is its own. The server decides in the same way."""
    if getattr(model, "_predict_stream_fn", None) is None:
        return False
    implementation = model._model_impl  # noqa: SLF001  # MLflow marks every chat model and agent as streamable
    raw = getattr(implementation, "get_raw_model", lambda: getattr(implementation, "python_model", implementation))()
    return getattr(getattr(type(raw), "predict_stream", None), "__module__", "") != _INHERITED


def _response(model: Any, body: str, seconds: float) -> ModelResponse:
    chunks: list[Any] = []
    try:
        with interrupted_after(seconds):
            for chunk in _chunks(model, body):
                if len(chunks) == MOST_CHUNKS:
                    return _failed(chunks, f"it has more than {MOST_CHUNKS} chunks")
                chunks.append(chunk)
    except TooSlow:
        return _failed(chunks, f"it does not end within {seconds:g} s")
    except (Exception, SystemExit) as error:  # noqa: BLE001  # a model's code may raise anything
        return _failed(chunks, last_line(error))
    return ModelResponse(status=HTTPStatus.OK, answer=chunks)


def _chunks(model: Any, body: str) -> Iterator[Any]:
    """The chunks as JSON, of the request as MLflow's server reads it without `stream`."""
    request = json.loads(body)
    request.pop("stream", None)
    parsed = scoring_server._parse_json_data(  # noqa: SLF001  # no public function reads a request
        json.dumps(request), model.metadata, model.metadata.get_input_schema()
    )
    with closing(model.predict_stream(parsed.data, params=parsed.params)) as stream:
        for chunk in stream:
            jsonable = scoring_server._get_jsonable_obj(chunk, pandas_orient="records")  # noqa: SLF001  # as above
            yield json.loads(json.dumps(jsonable, cls=scoring_server.NumpyEncoder))


def _failed(chunks: "list[Any]", reason: str) -> ModelResponse:
    shown = shortened(mask(f"chunk {len(chunks) + 1}: {reason}"), _LONGEST_REASON)
    return ModelResponse(status=HTTPStatus.INTERNAL_SERVER_ERROR, answer=chunks, reason=shown)
