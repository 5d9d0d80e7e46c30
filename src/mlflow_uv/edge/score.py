"""Scores requests with the model beside this file: python score.py REQUEST.json, or --check for the whole bundle."""

import hashlib
import importlib
import json
import math
import os
import sys
from pathlib import Path
from typing import Any

import numpy as np

ONNX, TFLITE = "model.onnx", "model.tflite"
FILES = ("requests.json", "score.py", "signature.json")
TYPES = {"double": np.float64, "float": np.float64, "long": np.int64, "integer": np.int32, "boolean": np.bool_,
         "string": np.object_, "uint8": np.uint8}  # fmt: skip


class OnnxModel:
    """A model that onnxruntime runs: each column is an input."""

    def __init__(self, file: Path, signature: "dict[str, Any]") -> None:
        # onnxruntime 1.32 sends telemetry otherwise.
        os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")  # noqa: TID251  # a program of its own
        onnxruntime = importlib.import_module("onnxruntime")  # a bundle has one of two runtimes
        options = onnxruntime.SessionOptions()
        options.log_severity_level = 4  # errors are raised
        self.session = onnxruntime.InferenceSession(str(file), options, providers=["CPUExecutionProvider"])
        self.ranks = {port.name: len(port.shape) for port in self.session.get_inputs()}
        self.names = [port["name"] for port in signature["outputs"]]

    def run(self, feeds: "dict[str, Any]") -> "list[Any]":
        """The outputs for all rows."""
        shaped = {name: feed.reshape(-1, 1) if feed.ndim < self.ranks[name] else feed for name, feed in feeds.items()}
        outputs: list[Any] = self.session.run(self.names, shaped)
        return outputs


class TfliteModel:
    """A model that ai-edge-litert runs, a row at a time: each tensor is an input."""

    def __init__(self, file: Path, signature: "dict[str, Any]") -> None:
        self.shape = tuple(signature["outputs"][0]["shape"])
        self.interpreter = importlib.import_module("ai_edge_litert.interpreter").Interpreter(model_path=str(file))
        self.interpreter.allocate_tensors()
        inputs = sorted(self.interpreter.get_input_details(), key=lambda item: place(item["name"]))
        self.inputs = [(item["index"], item["dtype"], tuple(item["shape"])) for item in inputs]
        self.output = self.interpreter.get_output_details()[0]["index"]

    def run(self, feeds: "dict[str, Any]") -> "list[Any]":
        """The output for all rows."""
        parts = list(feeds.values())
        for part, (_, kind, shape) in zip(parts, self.inputs, strict=True):
            if part.shape[1:] != shape[1:] or part.dtype != kind:
                raise ValueError(f"a row has the shape {part.shape[1:]}, and the model takes {shape[1:]}")
            if part.dtype.kind == "f" and not np.isfinite(part).all():
                raise ValueError("a number is missing or infinite, for which runtimes give different results")
        rows = []
        for number in range(len(parts[0])):
            for part, (index, _, _) in zip(parts, self.inputs, strict=True):
                self.interpreter.set_tensor(index, part[number : number + 1])
            self.interpreter.invoke()
            rows.append(self.interpreter.get_tensor(self.output).reshape(self.shape))
        return [np.array(rows).reshape(len(rows), *self.shape)]


def place(name: str) -> int:
    """The number at the end of the name of an input, such as `serving_default_input_1:0`."""
    return int(name.partition(":")[0].rpartition("_")[2])


class Scorer:
    """A model with its signature; `score` takes a request of MLflow's server as JSON."""

    def __init__(self, folder: Path) -> None:
        self.signature = json.loads((folder / "signature.json").read_text(encoding="utf-8"))
        kind = TfliteModel if model_file(folder) == TFLITE else OnnxModel
        self.model = kind(folder / model_file(folder), self.signature)

    def score(self, request: "dict[str, Any]") -> "dict[str, list[Any]]":
        """Return a list of values for each output. Raises ValueError for a request that the model cannot read."""
        names = [port["name"] for port in self.signature["outputs"]]
        outputs = self.model.run(self.feeds(request))
        return {name: part.tolist() for name, part in zip(names, outputs, strict=True)}

    def feeds(self, request: "dict[str, Any]") -> "dict[str, Any]":
        """An array for each input."""
        inputs = self.signature["inputs"]
        if self.signature["layout"] == "tensor":
            table = {inputs[0]["name"]: request["inputs"]}
        elif self.signature["layout"] == "tensors":
            table = request["inputs"]
        else:
            table = columns(request)
        if missing := [port["name"] for port in inputs if port["name"] not in table]:
            raise ValueError(f"the request lacks the columns {missing}")
        return {port["name"]: array(port["name"], port["type"], table[port["name"]]) for port in inputs}


def model_file(folder: Path) -> str:
    """The name of the model in a bundle."""
    return TFLITE if (folder / TFLITE).is_file() else ONNX


def columns(request: "dict[str, Any]") -> "dict[str, list[Any]]":
    """The values of each column in a request, as `dataframe_split` or `dataframe_records`."""
    if "dataframe_split" in request:
        split = request["dataframe_split"]
        return {name: [row[at] for row in split["data"]] for at, name in enumerate(split["columns"])}
    records = request["dataframe_records"]
    return {name: [record[name] for record in records] for name in (records[0] if records else ())}


def array(name: str, kind: str, values: "list[Any]") -> Any:
    """Values as an input of the model: null is NaN in a column of floats, and refused elsewhere."""
    if kind in ("double", "float"):
        wide = np.array(values, dtype=np.float64)
        with np.errstate(over="ignore"):
            narrow = wide.astype(np.float32)
        if (np.isinf(narrow) & np.isfinite(wide)).any():
            raise ValueError(f"{name!r} has a number that 32 bits cannot hold")
        return narrow
    if any(value is None for value in values):  # of a tensor, NumPy refuses it
        raise ValueError(f"{name!r} has no value in some row")
    return np.array(values, dtype=TYPES[kind])


def close(left: object, right: object, tolerance: float) -> bool:
    """Whether two values are equal, numbers within a relative and absolute tolerance."""
    if isinstance(left, float) and isinstance(right, float):
        return left == right or (math.isnan(left) and math.isnan(right)) or (
            abs(left - right) / (1 + abs(left)) <= tolerance)  # fmt: skip  # nothing is near an infinite number
    if isinstance(left, list) and isinstance(right, list):
        return len(left) == len(right) and all(close(*pair, tolerance) for pair in zip(left, right, strict=True))
    return left == right


def changed_files(folder: Path) -> "list[str]":
    """Compare the files with their checksums; each file of a bundle has to have one."""
    listed = folder / "SHA256SUMS"
    text = listed.read_text(encoding="utf-8") if listed.is_file() else ""
    rows = [(name, digest) for digest, _, name in (line.partition("  ") for line in text.splitlines())]
    required = sorted((model_file(folder), *FILES))
    failures = [f"{name} has no checksum in SHA256SUMS" for name in required if name not in dict(rows)]
    for name, digest in rows:
        file = folder / name
        if not file.is_file():
            failures.append(f"{name} is missing")
        elif hashlib.sha256(file.read_bytes()).hexdigest() != digest:
            failures.append(f"{name} is not the file that was exported")
    return failures


def other_answers(folder: Path) -> "list[str]":
    """Compare the answers to the recorded requests, of which there is at least one, with the recorded ones."""
    scorer = Scorer(folder)
    tolerance = scorer.signature["tolerance"]
    requests = json.loads((folder / "requests.json").read_text(encoding="utf-8"))
    failures = [] if requests else ["requests.json has no request, so that no answer was compared"]
    for item in requests:
        outputs, recorded = scorer.score(item["request"]), item["response"]
        for name in sorted({*outputs, *recorded}):
            left, right = recorded.get(name, []), outputs.get(name, [])
            equal = [close(*pair, tolerance) for pair in zip(left, right, strict=False)]
            if not (equal and all(equal)) or len(left) != len(right):
                failures.append(f"{item['name']}: `{name}` differs from the original model")
    return failures


def check(folder: Path) -> "list[str]":
    """Return what is wrong with the files or, if nothing is, with the answers."""
    return changed_files(folder) or other_answers(folder)


if __name__ == "__main__":
    here = Path(__file__).resolve().parent
    if sys.argv[1:] == ["--check"]:
        found = check(here)
        print("\n".join(found) or "all equal")
        sys.exit(1 if found else 0)
    given = sys.stdin.read() if sys.argv[1:] in ([], ["-"]) else Path(sys.argv[1]).read_text(encoding="utf-8")
    print(json.dumps({"predictions": Scorer(here).score(json.loads(given))}))
