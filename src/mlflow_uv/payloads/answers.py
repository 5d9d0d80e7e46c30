"""What does a model answer, said by the code that MLflow's scoring server would say it with?"""

import json
import os
import platform
from collections.abc import Iterator
from contextlib import contextmanager
from http import HTTPStatus
from typing import Any

import mlflow
from mlflow.pyfunc import scoring_server

from .problems import Kind, Problem, last_line

# What MLflow's server sets before it answers; some flavors answer differently without it.
_IN_SERVING = "_MLFLOW_IS_IN_SERVING_ENVIRONMENT"


def answer(request: dict[str, Any]) -> dict[str, Any]:
    """
    Answer each payload as `POST /invocations` with JSON would.

    {model: folder, requests: [payload], given?: by somebody else than the model} -> {answers: [body], python, mlflow}
    """
    refused = Kind.INVALID if request.get("given") else Kind.CANNOT_PREDICT
    with _serving():
        model = _load(request["model"])
        answers = [
            _answer(model, number, payload, refused) for number, payload in enumerate(request["requests"], start=1)
        ]
    return {"answers": answers, "python": platform.python_version(), "mlflow": mlflow.__version__}


def _load(folder: str) -> Any:
    """The model, without tracing: what it is asked goes to no store, also where its code holds the address of one."""
    mlflow.tracing.disable()
    try:
        model = scoring_server.load_model_with_mlflow_config(folder)
    except (Exception, SystemExit) as error:  # a model's code may raise anything
        raise Problem(Kind.CANNOT_LOAD, f"the model cannot be loaded: {last_line(error)}") from error
    mlflow.tracing.disable()  # its code may have turned it on again
    return model


def _answer(model: Any, number: int, payload: Any, refused: Kind) -> Any:
    try:
        response = scoring_server.invocations(
            json.dumps(payload), "application/json", model, model.metadata.get_input_schema()
        )
    except (Exception, SystemExit) as error:  # a model's code may raise anything
        raise Problem(refused, f"the model cannot answer request {number}: {last_line(error)}") from error
    if response.status != HTTPStatus.OK:
        raise Problem(refused, f"the model cannot answer request {number}: {response.response}")
    return json.loads(response.response)


@contextmanager
def _serving() -> Iterator[None]:
    before = os.environ.get(_IN_SERVING)
    os.environ[_IN_SERVING] = "true"
    try:
        yield
    finally:
        if before is None:
            del os.environ[_IN_SERVING]
        else:
            os.environ[_IN_SERVING] = before
