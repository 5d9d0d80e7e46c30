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
FORMS = ("dataframe_records", "dataframe_split", "inputs", "instances")
REFUSED = 2  # the exit code if there is no answer
TYPES = {"long": np.int64, "integer": np.int32, "boolean": np.bool_, "uint8": np.uint8}


class OnnxModel:
    """A model that onnxruntime runs: each column is an input."""

    def __init__(self, file: Path, signature: "dict[str, Any]") -> None:
        # onnxruntime 1.32 sends telemetry otherwise.
        os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")  # noqa: TID251  # a program of its own
        onnxruntime = importlib.import_module("onnxruntime")  # a bundle has one of two runtimes
        options = onnxruntime.SessionOptions()
        options.log_severity_level = 4  # errors are raised
        self.session = onnxruntime.InferenceSession(str(file), options, providers=["CPUExecutionProvider"])
        self.shapes = {port.name: port.shape for port in self.session.get_inputs()}
        self.ranks = {name: len(shape) for name, shape in self.shapes.items()}
        self.names = [port["name"] for port in signature["outputs"]]
        self.tensors = signature["layout"] != "columns"

    def run(self, feeds: "dict[str, Any]") -> "list[Any]":
        """The outputs for all rows."""
        for name, feed in feeds.items() if self.tensors else ():
            row = self.shapes[name][1:]
            if len(feed.shape[1:]) != len(row) or any(
                isinstance(wanted, int) and wanted != size for wanted, size in zip(row, feed.shape[1:], strict=True)
            ):
                raise ValueError(f"a row has the shape {feed.shape[1:]}, and the model takes {tuple(row)}")
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
        """
        Return a list of values for each output.

        Raises ValueError for a request that the model cannot read, and for an answer that is no JSON.
        """
        feeds = self.feeds(request)
        for name, feed in feeds.items():
            if feed.dtype.kind == "f" and np.isinf(feed).any():
                raise ValueError(f"{name!r} has an infinite number")
        outputs = self.arrays(feeds)
        for name, part in outputs.items():
            if not len(part):
                raise ValueError("the request has no rows")
            if part.dtype.kind == "f" and not np.isfinite(part).all():
                raise ValueError(
                    f"the model computes no finite number for `{name}`: one of the request is missing or too large"
                )
        return as_lists(outputs)

    def outputs(self, request: "dict[str, Any]") -> "dict[str, list[Any]]":
        """The outputs as `score`, also for no rows, and with numbers that JSON lacks, to compare them."""
        return as_lists(self.arrays(self.feeds(request)))

    def arrays(self, feeds: "dict[str, Any]") -> "dict[str, Any]":
        """An array for each output."""
        names = [port["name"] for port in self.signature["outputs"]]
        return dict(zip(names, self.model.run(feeds), strict=True))

    def feeds(self, request: "dict[str, Any]") -> "dict[str, Any]":
        """An array for each input."""
        inputs, layout = self.signature["inputs"], self.signature["layout"]
        names = [port["name"] for port in inputs]
        form, content = form_of(request)
        if layout == "columns":
            table = columns(form, content, names)
        elif form not in {"inputs", "instances"}:
            raise ValueError(f"the model takes tensors, as `inputs` or `instances`, and not `{form}`")
        else:
            table = {names[0]: content} if layout == "tensor" else tensors(form, content, names)
        require_names(table, names)
        feeds = {port["name"]: array(port["name"], port["type"], table[port["name"]]) for port in inputs}
        for name, feed in feeds.items():
            if not feed.ndim or (feed.ndim > 1 and layout == "columns"):
                raise ValueError(f"{name!r} has lists as values" if feed.ndim else f"{name!r} is not a list of rows")
        if len({len(feed) for feed in feeds.values()}) > 1:
            raise ValueError("the inputs have different numbers of rows")
        return feeds


def as_lists(outputs: "dict[str, Any]") -> "dict[str, list[Any]]":
    """The values of arrays."""
    return {name: part.tolist() for name, part in outputs.items()}


def model_file(folder: Path) -> str:
    """The name of the model in a bundle."""
    return TFLITE if (folder / TFLITE).is_file() else ONNX


def document(text: "str | bytes") -> Any:
    """A text as JSON. Raises ValueError, also if an object has a name twice: which value counts is not defined."""

    def named_once(pairs: "list[tuple[str, Any]]") -> "dict[str, Any]":
        if repeated := twice([name for name, _ in pairs]):
            raise ValueError(f"an object has the name {repeated!r} twice")
        return dict(pairs)

    try:
        return json.loads(text, object_pairs_hook=named_once)
    except RecursionError as error:
        raise ValueError("it is nested too deeply") from error


def twice(names: "list[str]") -> "str | None":
    """A name that is in a list more than once, if there is one."""
    seen = set(names)
    return next((name for name in seen if names.count(name) > 1), None) if len(seen) != len(names) else None


def form_of(request: Any) -> "tuple[str, Any]":
    """The form of a request and what stands under its name; a model that was converted has no parameters."""
    if not isinstance(request, dict):
        raise ValueError(f"the request is not an object with one of {', '.join(FORMS)}")  # noqa: TRY004  # a bad value
    if request.get("params"):
        raise ValueError("the request has `params`, which the model does not take")
    names = [name for name in request if name != "params"]
    if len(names) != 1 or names[0] not in FORMS:
        raise ValueError(f"the request has {names}, and needs exactly one of {', '.join(FORMS)}")
    return names[0], request[names[0]]


def require_names(given: "dict[str, Any]", names: "list[str]") -> None:
    """Raise ValueError for inputs that a table, a record or tensors lack; MLflow ignores other names, too."""
    if missing := [name for name in names if name not in given]:
        raise ValueError(f"the request lacks the columns {missing}")


def columns(form: str, content: Any, names: "list[str]") -> "dict[str, list[Any]]":
    """The values of each column of a table, in any of the four forms."""
    if form == "dataframe_split":
        return split_columns(content)
    if isinstance(content, list) and (form == "dataframe_records" or any(isinstance(row, dict) for row in content)):
        return record_columns(content, names)
    if form == "dataframe_records":
        raise ValueError("`dataframe_records` is not a list of objects")
    table = by_name(form, content, names)
    if table and not any(isinstance(values, list) for values in table.values()):
        return {name: [value] for name, value in table.items()}  # one row
    if not all(isinstance(values, list) for values in table.values()):
        raise ValueError(f"`{form}` has lists and single values")
    if len({len(values) for values in table.values()}) > 1:
        raise ValueError("the columns have different numbers of values")
    return table


def split_columns(split: Any) -> "dict[str, list[Any]]":
    """The values of each column of a `dataframe_split`."""
    if not isinstance(split, dict) or not {"columns", "data"} <= set(split) <= {"columns", "data", "index"}:
        raise ValueError("`dataframe_split` is not an object with `columns` and `data`")
    named, rows, index = split["columns"], split["data"], split.get("index")
    if not isinstance(named, list) or not all(isinstance(name, str) for name in named):
        raise ValueError("`columns` is not a list of names")
    if repeated := twice(named):
        raise ValueError(f"`columns` has the name {repeated!r} twice")
    if not isinstance(rows, list) or not all(isinstance(row, list) and len(row) == len(named) for row in rows):
        raise ValueError(f"`data` is not a list of rows with {len(named)} values each")
    if index is not None and (not isinstance(index, list) or len(index) != len(rows)):
        raise ValueError("`index` is not a list with a value for each row")
    return {name: [row[at] for row in rows] for at, name in enumerate(named)}


def record_columns(records: "list[Any]", names: "list[str]") -> "dict[str, list[Any]]":
    """The values of the columns of a model in records, of which each has to have them all."""
    for record in records:
        if not isinstance(record, dict):
            raise ValueError("a row is not an object")  # noqa: TRY004  # a bad value
        require_names(record, names)
    if not records:
        raise ValueError("the request has no rows")
    return {name: [record[name] for record in records] for name in names}


def by_name(form: str, content: Any, names: "list[str]") -> "dict[str, Any]":
    """An object with the inputs by their names; a model with one input takes its values alone."""
    if isinstance(content, list) and len(names) == 1:
        return {names[0]: content}
    if not isinstance(content, dict):
        raise ValueError(f"`{form}` is not an object with {names}")  # noqa: TRY004  # a bad value
    return content


def tensors(form: str, content: Any, names: "list[str]") -> "dict[str, Any]":
    """The tensors by name: `inputs` has them whole, `instances` also row by row."""
    if isinstance(content, list) and any(isinstance(row, dict) for row in content):
        if form == "inputs":
            raise ValueError("`inputs` is not an object with a tensor for each name")
        return record_columns(content, names)
    return by_name(form, content, names)


def array(name: str, kind: str, values: Any) -> Any:
    """Values as an input of the model: null is NaN in a column of floats, and refused elsewhere. Raises ValueError."""
    if kind in {"double", "float"}:
        return floats(name, kind, values)
    return texts(name, values) if kind == "string" else integers(name, kind, values)


def read(name: str, kind: str, values: Any, dtype: Any) -> Any:
    """Values as NumPy reads them. Raises ValueError."""
    try:
        return np.array(values, dtype=dtype)
    except (OverflowError, TypeError, ValueError) as error:
        raise ValueError(f"{name!r} has a value that is not of the type {kind}: {error}") from error


def floats(name: str, kind: str, values: Any) -> Any:
    """Numbers of 32 bits."""
    wide = read(name, kind, values, np.float64)
    with np.errstate(over="ignore"):
        narrow = wide.astype(np.float32)
    if (np.isinf(narrow) & np.isfinite(wide)).any():
        raise ValueError(f"{name!r} has a number that 32 bits cannot hold")
    return narrow


def texts(name: str, values: Any) -> Any:
    """A column of texts."""
    if any(value is None for value in values):
        raise ValueError(f"{name!r} has no value in some row")
    if not all(isinstance(value, str) for value in values):
        raise ValueError(f"{name!r} has a value that is not a text")
    return np.array(values, dtype=np.object_)


def integers(name: str, kind: str, values: Any) -> Any:
    """Integers or booleans; a fraction is cut off, as MLflow does for a column of integers."""
    found = read(name, kind, values, None)
    if found.dtype.kind in "OU":  # texts, null, or integers beyond 64 bits
        found = read(name, kind, values, np.object_)
        if any(value is None for value in found.flat):
            raise ValueError(f"{name!r} has no value in some row")
        found = found if kind == "boolean" else read(name, kind, found, np.int64)
    elif found.dtype.kind == "f" and not np.isfinite(found).all():
        raise ValueError(f"{name!r} has a number that is missing or infinite")
    if kind == "boolean":
        fits = bool(((found == 0) | (found == 1)).all())
    else:
        limits = np.iinfo(TYPES[kind])
        fits = not found.size or (limits.min <= int(found.min()) and int(found.max()) <= limits.max)
    if not fits:
        raise ValueError(f"{name!r} has a value that the type {kind} cannot hold")
    return found.astype(TYPES[kind])


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
        outputs, recorded = scorer.outputs(item["request"]), item["response"]
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
    try:
        given = sys.stdin.buffer.read() if sys.argv[1:] in ([], ["-"]) else Path(sys.argv[1]).read_bytes()
        print(json.dumps({"predictions": Scorer(here).score(document(given))}, allow_nan=False))
    except Exception as error:  # noqa: BLE001  # a runtime raises anything
        kind = "" if isinstance(error, (ValueError, OSError)) else f"{type(error).__name__}: "
        print("no answer:", kind + " ".join(str(error).split()), file=sys.stderr)
        sys.exit(REFUSED)
