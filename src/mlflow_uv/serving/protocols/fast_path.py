"""
Replaces three functions of MLflow in this process by faster ones with the same results.

`scoring_server._parse_json_data` reads a request, `pyfunc._enforce_schema` prepares it for the model, and
`scoring_server.predictions_to_json` writes the answer. Everything around them, and every request for which
`fast_reading` has no result, is left to MLflow, so that statuses, messages and tracebacks are its own.
"""

import importlib
import json
import threading
from collections.abc import Callable
from typing import Any

from mlflow.pyfunc import scoring_server

from . import fast_writing, json_text
from .fast_reading import Reader, Reading, reader_of

FAST, OWN = "fast", "mlflow"
# The minor versions of MLflow whose functions were compared. Others are left as they are.
OLDEST, NEWEST = (2, 21), (3, 17)
pyfunc: Any = importlib.import_module("mlflow.pyfunc")  # the attribute of `mlflow` may be a lazy loader instead
REPLACED = ((scoring_server, "_parse_json_data"), (scoring_server, "predictions_to_json"), (pyfunc, "_enforce_schema"))


def install(metadata: Any, count: Callable[[str], None]) -> None:
    """Replace the functions; `count` is called with FAST or OWN for each JSON request."""
    version = tuple(int(part) for part in scoring_server.VERSION.split(".")[:2])
    if not OLDEST <= version <= NEWEST or not all(hasattr(module, name) for module, name in REPLACED):
        return
    by_type_hint = getattr(metadata, "_is_signature_from_type_hint", lambda: False)()
    reader = None if by_type_hint else reader_of(metadata.get_input_schema())
    handover = Handover()
    scoring_server._parse_json_data = parsing(scoring_server._parse_json_data, reader, handover, count)  # noqa: SLF001
    pyfunc._enforce_schema = enforcing(pyfunc._enforce_schema, handover)  # noqa: SLF001
    scoring_server.predictions_to_json = writing(scoring_server.predictions_to_json)


class Handover(threading.local):
    """The reading of the request that this thread answers, on its way from `_parse_json_data` to `_enforce_schema`."""

    reading: "Reading | None" = None


def parsing(own: Any, reader: "Reader | None", handover: Handover, count: Callable[[str], None]) -> Any:
    """`_parse_json_data`, which tries `reader` first."""

    def parse(data: Any, metadata: Any, input_schema: Any) -> Any:
        handover.reading = None
        request = None if reader is None else decoded(data)
        if reader is None or request is None:
            count(OWN)
            return own(data, metadata, input_schema)
        reading = read(request, reader)
        if reading is None:
            count(OWN)
            return own(request, metadata, input_schema)
        count(FAST)
        handover.reading = reading
        params = request.get(scoring_server.SERVING_PARAMS_KEY)
        return scoring_server.ParsedJsonInput(reading.data, params, is_unified_llm_input=False)

    return parse


def decoded(data: Any) -> Any:
    """The request, if it is an object, which MLflow's own function accepts as well; None for anything else."""
    try:
        request = json_text.loads(data)
    except (ValueError, RecursionError):
        return None
    return request if type(request) is dict else None


def read(request: Any, reader: Reader) -> "Reading | None":
    """The reading of a request in exactly one of MLflow's formats; None if MLflow has to read it."""
    forms = scoring_server.SUPPORTED_FORMATS & request.keys()
    if len(forms) != 1 or scoring_server.is_unified_llm_input(request):
        return None
    form = next(iter(forms))
    try:
        return reader(form, request[form])
    except Exception:  # noqa: BLE001 - whatever is wrong with a value, MLflow says it in its own words
        return None


def enforcing(own: Any, handover: Handover) -> Any:
    """`_enforce_schema`, which returns what the reading of this very data already holds."""

    def enforce(data: Any, *arguments: Any, **options: Any) -> Any:
        reading, handover.reading = handover.reading, None
        if reading is not None and reading.data is data and reading.enforced is not None:
            return reading.enforced
        return own(data, *arguments, **options)

    return enforce


def writing(own: Any) -> Any:
    """`predictions_to_json`, which encodes the answer at once; `json.dump` writes it in pieces, in Python."""

    def write(raw_predictions: Any, output: Any, metadata: Any = None) -> None:
        try:
            text = answer_text(raw_predictions, metadata)
        except Exception:  # noqa: BLE001 - MLflow says what is wrong with an answer in its own words
            own(raw_predictions, output, metadata)
        else:
            output.write(text)

    return write


def answer_text(raw_predictions: Any, metadata: Any) -> str:
    """The JSON of an answer."""
    if not metadata and (numbers := fast_writing.numbers_text(raw_predictions)) is not None:
        return f'{{"predictions": {numbers}}}'
    predictions = scoring_server._get_jsonable_obj(raw_predictions, pandas_orient="records")  # noqa: SLF001
    return json.dumps({"predictions": predictions, **(metadata or {})}, cls=scoring_server.NumpyEncoder)
