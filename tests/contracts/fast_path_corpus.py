"""
Compares the fast path with MLflow's own path, in one process: `python -I fast_path_corpus.py SERVING COMMAND`.

Each model answers with everything that it can see of its input, down to the layout in memory. COMMAND is a JSON object:
`seed` and `requests` generate requests for every model; `given` is a list of [model, turn, body, content type] instead;
`fault` is the name of a fault that is planted in the fast path, and ends the comparison at the first difference;
`version` is one that MLflow pretends to have; `describe` lists models and faults. The result is written as JSON to
standard output. With `--converse` instead of COMMAND, each line of standard input is one.
"""

import datetime as dt
import importlib
import json
import logging
import runpy
import sys
import warnings
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from random import Random
from typing import Any

import numpy as np
import pandas as pd
from mlflow.exceptions import MlflowException
from mlflow.models import Model, ModelSignature
from mlflow.pyfunc import PyFuncModel, scoring_server
from mlflow.types import ColSpec, DataType, ParamSchema, ParamSpec, Schema, TensorSpec
from mlflow.types.schema import Array, Map, Object, Property

FOLDER = Path(sys.argv[1])
runpy.run_path(str(FOLDER / "__main__.py"))["load_package"](FOLDER)
fast_path: Any = importlib.import_module("mlflow_uv_serving.protocols.fast_path")
scoring: Any = importlib.import_module("mlflow_uv_serving.protocols.scoring")
requests: Any = runpy.run_path(str(Path(__file__).with_name("scoring_requests.py")))
answers: Any = runpy.run_path(str(Path(__file__).with_name("scoring_answers.py")))
FAULTS: Any = runpy.run_path(str(Path(__file__).with_name("fast_path_faults.py")))["FAULTS"]

SHOWN = 20
KINDS = ("boolean", "integer", "long", "float", "double", "string")


def columns(*pairs: "tuple[str | None, Any]", required: bool = True) -> Schema:
    """A schema of columns."""
    return Schema(
        [
            ColSpec(DataType[kind] if isinstance(kind, str) else kind, name=name, required=required or number % 2 == 0)
            for number, (name, kind) in enumerate(pairs)
        ]
    )


def of(kind: str, count: int) -> "list[tuple[str, str]]":
    """Several columns of one type."""
    return [(f"{kind}{number}", kind) for number in range(count)]


ODD = [("array", Array(DataType.long)), ("map", Map(DataType.long)),
       ("object", Object([Property("a", DataType.double), Property("b", DataType.string)]))]  # fmt: skip
MIXED = [(kind, kind) for kind in KINDS]
TENSORS: "dict[str, list[tuple[str, str, str, tuple[int, ...]]]]" = {
    "tensor of doubles": [("", "double", "float64", (-1, 2))],
    "tensor of floats": [("", "float", "float32", (-1, 2, 2))],
    "tensor of integers": [("", "long", "int64", (-1,))],
    "tensor of bytes": [("", "byte", "uint8", (-1, 3))],
    "tensor of booleans": [("", "boolean", "bool", (-1, 2))],
    "tensor of texts": [("", "string", "str", (-1,))],
    "named tensors": [("a", "double", "float64", (-1, 2)), ("b", "integer", "int32", (-1,))],
    "one named tensor": [("a", "float", "float32", (-1, -1))],
}
SCHEMAS: "dict[str, tuple[Any, dict[str, Any]]]" = {
    **{f"columns of {kind}": (columns(*of(kind, 2)), {"columns": of(kind, 2)}) for kind in KINDS},
    "one column": (columns(("x", "double")), {"columns": [("x", "double")]}),
    "one column of text": (columns(("x", "string")), {"columns": [("x", "string")]}),
    "mixed": (columns(*MIXED), {"columns": MIXED}),
    "optional": (columns(*MIXED, required=False), {"columns": MIXED}),
    "many": (columns(*of("double", 5)), {"columns": of("double", 5)}),
    "datetime and binary": (
        columns(("d", "datetime"), ("b", "binary")), {"columns": [("d", "datetime"), ("b", "binary")]},
    ),
    "nested": (columns(*ODD), {"columns": [(name, name) for name, _ in ODD]}),
    "without names": (columns((None, "double"), (None, "long")), {"columns": [("0", "double"), ("1", "long")]}),
    "without a signature": (None, {"columns": MIXED}),
    "parameters": (columns(*of("double", 2)), {"columns": of("double", 2), "params": ["p", "q"]}),
    **{
        name: (
            Schema([TensorSpec(np.dtype(dtype), shape, part or None) for part, _, dtype, shape in specs]),
            {"tensors": [(part, kind, shape) for part, kind, _, shape in specs]},
        )
        for name, specs in TENSORS.items()
    },
}  # fmt: skip


def seen(given: Any) -> Any:
    """Everything about an input, so that two that differ in anything are told apart."""
    if isinstance(given, pd.DataFrame):
        blocks = sorted(
            (str(block.dtype), seen(block.values), str(block.mgr_locs.as_array.tolist())) for block in given._mgr.blocks
        )
        return ["frame", repr(given.columns), repr(given.index), seen(given.to_numpy()), blocks, str(given.attrs)]
    if isinstance(given, np.ndarray):
        flags = given.flags
        layout = [flags.c_contiguous, flags.f_contiguous, flags.writeable, flags.aligned, list(given.strides)]
        values = seen(given.tolist()) if given.dtype.kind == "O" else given.tobytes().hex()
        return ["array", str(given.dtype), list(given.shape), layout, values]
    if isinstance(given, dict):
        return [[name, seen(value)] for name, value in given.items()]
    if isinstance(given, list):
        return [seen(value) for value in given]
    return [type(given).__name__, repr(given)]


def spoil(given: Any) -> None:
    """Change an input in place, as careless models do."""
    if isinstance(given, pd.DataFrame):
        given.columns.name = given.index.name = "spoilt"
        given.insert(0, "spoilt", 1)
        given.iloc[:, -1] = given.iloc[0, -1]
    elif isinstance(given, np.ndarray):
        given.fill(0)


class Witness:
    """A model that answers with what it saw, or in another of several ways."""

    turn = 0

    def predict(self, given: Any, params: Any = None) -> Any:
        """The answer of this turn."""
        table = pd.DataFrame({"x": [1.5, None, 1 / 3], "s": ["a", None, "é"], "n": [1, 2, 3]})
        match self.turn:
            case 0:
                raise ValueError(json.dumps(seen(given)))
            case 1:
                spoil(given)
                raise MlflowException(json.dumps(seen(given)))
            case 2:
                return table
            case 3:
                return table["x"]
            case 4:
                return given
            case 5:
                return {"a": np.float32(0.1), "b": [np.int64(3), dt.date(2020, 1, 2)], 1: b"x", None: np.array([1.5])}
            case 6:
                return [object()]
            case 7:
                return {np.int64(1): 2}
            case 8:
                return np.array([[0.1, np.nan], [np.inf, 1e22]])
            case 9:
                return given.to_numpy() if isinstance(given, pd.DataFrame) else given
            case 10:
                return given.iloc[:, 0] if isinstance(given, pd.DataFrame) else pd.Series([1, 2])
            case number if number >= GENERATED:
                return answers["answer"](Random(number))
            case number if number >= ANSWERED:
                return answers["KEPT"][number - ANSWERED]
            case _:
                return [seen(given), seen(params)]


PLAIN_REQUEST = b'{"inputs": {"x": [1]}}'
ANSWERS_PER_TURN = 2  # generated answers for each request to every model
TURNS = 24  # beyond 10 the model answers with what it saw
ANSWERED = 100  # from this turn on it answers with a kept answer
GENERATED = 1_000  # and from this one on with a generated one


class Bench:
    """The models, and both sets of functions."""

    def __init__(self) -> None:
        self.witness = Witness()
        self.read = Counter[str]()
        self.models: dict[str, PyFuncModel] = {}
        self.fast: dict[str, list[Any]] = {}
        self.own = [getattr(module, name) for module, name in fast_path.REPLACED]
        for name, (schema, _) in SCHEMAS.items():
            params = ParamSchema([ParamSpec("p", DataType.double, 1.0), ParamSpec("q", DataType.string, "q")])
            with_params = params if name == "parameters" else None
            signature = None if schema is None else ModelSignature(inputs=schema, params=with_params)
            metadata = Model(signature=signature, flavors={"python_function": {"loader_module": "witness"}})
            self.models[name] = PyFuncModel(model_meta=metadata, model_impl=self.witness)
            fast_path.install(metadata, lambda path, name=name: self.read.update([f"{path}: {name}"]))
            self.fast[name] = [getattr(module, function) for module, function in fast_path.REPLACED]
            self.switch(self.own)

    def switch(self, functions: "list[Any]") -> None:
        """Put these functions where MLflow has its own."""
        for (module, name), function in zip(fast_path.REPLACED, functions, strict=True):
            setattr(module, name, function)

    def answer(self, name: str, body: bytes, media: str) -> "list[Any]":
        """What MLflow's endpoint makes of a request, with the functions that are in place."""
        model = self.models[name]
        try:
            return list(scoring_server.invocations(body, media, model, model.metadata.get_input_schema()))
        except MlflowException as error:
            return [error.get_http_status_code(), error.serialize_as_json()]
        except Exception as error:  # noqa: BLE001 - the server's own answer, see `scoring.error_response`
            return [scoring.is_client_error(error), type(error).__name__, str(error)]

    def difference(self, name: str, turn: int, body: bytes, media: str) -> "list[Any] | None":
        """Both answers, if they differ in a byte."""
        self.witness.turn = turn
        own = self.answer(name, body, media)
        self.switch(self.fast[name])
        try:
            fast = self.answer(name, body, media)
        finally:
            self.switch(self.own)
        return None if own == fast else [name, turn, body.decode("latin-1"), media, own, fast]


@contextmanager
def planted(fault: "tuple[Any, str, Any] | None") -> "Iterator[None]":
    """Replace a part of the fast path by what the fault makes of it."""
    if fault is None:
        yield
        return
    module, name, change = fault
    own = getattr(module, name)
    setattr(module, name, change(own))
    yield
    setattr(module, name, own)


def compare(command: "dict[str, Any]") -> "dict[str, Any]":
    """The result of a command."""
    if command.get("describe"):
        return {"models": {name: described for name, (_, described) in SCHEMAS.items()}, "faults": list(FAULTS)}
    version = command.get("version")
    fault = (scoring_server, "VERSION", lambda _own: version) if version else FAULTS.get(command.get("fault", ""))
    with planted(fault):
        bench = Bench()
        given = command["given"] if "given" in command else generated(command["seed"], command["requests"])
        differences, count = [], 0
        for name, turn, body, media in given:
            count += 1
            content = body if isinstance(body, bytes) else body.encode("latin-1")
            if found := bench.difference(name, turn, content, media):
                differences.append(found)
                if fault or len(differences) == SHOWN:
                    break
    return {"requests": count, "read": dict(bench.read), "differences": differences}


def generated(seed: int, count: int) -> "Iterator[tuple[str, int, bytes, str]]":
    """The kept requests, then as many new ones for each model."""
    for name, turn, body in requests["KEPT"]:
        yield name, turn, json.dumps(body).encode(), requests["JSON"]
    for number in range(len(answers["KEPT"])):
        yield "one column", ANSWERED + number, PLAIN_REQUEST, requests["JSON"]
    random = Random(seed)
    for number in range(count // len(SCHEMAS)):
        for _ in range(ANSWERS_PER_TURN):
            yield "one column", GENERATED + random.getrandbits(32), PLAIN_REQUEST, requests["JSON"]
        for name, (_, described) in SCHEMAS.items():
            yield name, number % TURNS, *requests["request"](random, described)


def main() -> None:
    """Answer one command, or one for each line."""
    warnings.simplefilter("ignore")
    logging.disable()
    commands = sys.stdin if sys.argv[2] == "--converse" else sys.argv[2:3]
    for line in commands:
        print(json.dumps(compare(json.loads(line))), flush=True)


if __name__ == "__main__":
    main()
