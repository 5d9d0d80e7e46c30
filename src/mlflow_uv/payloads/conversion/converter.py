"""Converts a model to ONNX with skl2onnx and onnxmltools, or says which operator cannot be converted and why."""

import copy
import importlib
import json
import warnings
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import mlflow
import numpy as np
import onnx
import skl2onnx
from mlflow.models import Model, ModelSignature
from mlflow.types import ColSpec, DataType, Schema, TensorSpec
from skl2onnx.common import data_types

from ..distributions import version_of
from ..messages.conversion import ConversionResult, ConvertModel, ModelPort, PortableSignature
from ..problems import last_line
from .conversion_source import answered_frames, require_signature, write_sample
from .installed_closure import closure_pins
from .missing_values import missing_values_kept
from .native_models import Inconvertible, NativeModel, load_native, ports, require_answer_for_each_row
from .onnx_graph import TENSOR_TYPES, GraphOutputs, exact_thresholds, operators, wrapped
from .refusing import converted_or_refused, refusing
from .request_frames import required_inputs
from .threshold_samples import sample_requests, thresholds_of

_MATRICES = {"float64": "double", "float32": "float", "int64": "long", "int32": "integer"}
_BOOSTER_OPSET = 15
_OPSETS = {"": 18, "ai.onnx.ml": 3}
_BOOSTERS = {"XGBClassifier": "xgboost", "XGBRegressor": "xgboost", "LGBMClassifier": "lightgbm",
             "LGBMRegressor": "lightgbm"}  # fmt: skip
_PACKAGES = ("skl2onnx", "onnxmltools", "onnx")
# The token pattern that vectorizers of scikit-learn have by default, and the same one for onnxruntime's expressions
# (RE2), whose own letters are ASCII.
_WORDS = r"(?u)\b\w\w+\b"
_WORDS_OF_RE2 = r"[\p{L}\p{N}_]{2,}"
ONNX_FILE = "model.onnx"


def convert(request: ConvertModel) -> ConversionResult:
    """Convert a model, save it with MLflow's flavor onnx, and generate requests near its thresholds."""
    return converted_or_refused(lambda: _converted(request))


def _converted(request: ConvertModel) -> ConversionResult:
    native = load_native(request.model)
    schema = Model.load(request.model).get_input_schema()
    layout, inputs = _inputs(schema, native)
    frames = answered_frames(request.model, request.requests, native.operator)
    with refusing(native.operator):
        outputs = native.outputs(frames[0])
        require_answer_for_each_row(native, frames[0])
    inner, sources = _inner(native, inputs, layout, frames[0])
    names = _apart(ports(outputs), {port.name for port in inputs})
    if len(names) != len(sources):
        raise Inconvertible(native.operator, f"the converter wrote {len(sources)} outputs, the model has {len(names)}")
    with refusing(native.operator):
        graph = wrapped(inner, inputs, layout, GraphOutputs(ports=names, sources=sources))
    signature = PortableSignature(
        layout=layout,
        inputs=inputs,
        outputs=names,
        served=tuple(
            port.name
            for port, name in zip(names, outputs, strict=True)
            if name.rpartition("_")[0] == native.served or name == native.served
        ),
        classes=tuple(map(str, native.classes)),
    )
    destination = Path(request.destination)
    found = thresholds_of(native.model)
    write_sample(destination, native.operator, lambda: sample_requests(native, frames, found, rows=request.sample_rows))
    _save(graph, destination / "model", schema, names, request.packages)
    return ConversionResult(
        signature=signature,
        operators=operators(inner),
        thresholds=len(found),
        converters=tuple(f"{name} {version_of(name)}" for name in _PACKAGES),
    )


def _inputs(schema: Any, native: NativeModel) -> "tuple[str, tuple[ModelPort, ...]]":
    """The layout of the inputs, and the inputs. Raises Inconvertible for types that ONNX or its converters lack."""
    require_signature(schema, native.operator)
    first = schema.inputs[0]
    if isinstance(first, TensorSpec):
        kind = _MATRICES.get(first.type.name)
        if len(schema.inputs) > 1 or len(first.shape) != 2 or kind is None:  # noqa: PLR2004
            raise Inconvertible(native.operator, f"its input is {schema}, and one matrix of numbers is converted")
        if first.name:
            reason = f"its input is a matrix with the name `{first.name}`, which a model gets as a dictionary"
            raise Inconvertible(native.operator, reason)
        return "tensor", (ModelPort(name="input", type=kind),)
    inputs = []
    for number, spec in enumerate(schema.inputs):
        if not isinstance(spec.name, (str, type(None))):
            reason = f"column {number} has a number as its name, {spec.name!r}, and inputs of ONNX are named by texts"
            raise Inconvertible(native.operator, reason)
        kind = str(getattr(spec.type, "name", spec.type))
        if kind not in TENSOR_TYPES or spec.name is None:
            shown = f"column {spec.name!r}" if spec.name is not None else f"column {number}, which has no name,"
            raise Inconvertible(native.operator, f"{shown} has the type {kind}, and numbers and texts are converted")
        inputs.append(ModelPort(name=spec.name, type=kind))
    return "columns", tuple(inputs)


def _apart(outputs: "Sequence[ModelPort]", taken: "set[str]") -> "tuple[ModelPort, ...]":
    """The outputs with names that no input has: the names of a graph are unique."""
    found = []
    for port in outputs:
        name = port.name
        while name in taken:
            name += "_"
        found.append(ModelPort(name=name, type=port.type))
    return tuple(found)


def _inner(
    native: NativeModel, inputs: "Sequence[ModelPort]", layout: str, example: Any
) -> "tuple[Any, tuple[tuple[str, int], ...]]":
    """The graph that a converter writes, and where in it the outputs are. Raises Inconvertible."""
    with refusing(native.operator), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        _require_missing_is_nan(native.model)
        _require_kept_columns(native.model)
        if native.kind == "booster":
            model = _convert_booster(native, len(inputs) if layout == "columns" else example.shape[1])
        else:
            model = _convert_estimator(native, inputs, layout, example)
    _require_known_operators(model, native)
    return model, tuple(_sources(native, model, example))


def _require_known_operators(model: Any, native: NativeModel) -> None:
    """Refuse operators that neither ONNX nor onnxruntime's own wheel has."""
    domains = {node.domain for node in model.graph.node} - {"", "ai.onnx", "ai.onnx.ml", "com.microsoft"}
    if domains:
        raise Inconvertible(
            native.operator, f"it needs operators of {', '.join(sorted(domains))}, which onnxruntime lacks"
        )


def _sources(native: NativeModel, model: Any, example: Any) -> "Iterator[tuple[str, int]]":
    """Where in the outputs of a converter those of the model are: the name, and a column or -1 for a vector."""
    names = [output.name for output in model.graph.output]
    outputs = native.outputs(example)
    if native.kind == "booster" and len(names) > 1:
        # Label and probabilities; a booster returns the latter, of two classes only that of the second.
        yield from ((names[1], position if len(outputs) > 1 else 1) for position in range(len(outputs)))
        return
    counts: dict[str, int] = {}
    for name in outputs:
        stem = name if name in native.methods else name.rpartition("_")[0]
        counts[stem] = counts.get(stem, 0) + 1
    if native.kind == "classifier" and len(counts) == 1 < len(names):
        names = names[:1]  # shares of votes, which the model does not return
    if len(counts) != len(names):
        raise Inconvertible(native.operator, f"the converter wrote the outputs {', '.join(names)}")
    for name, (stem, count) in zip(names, counts.items(), strict=True):
        if count == 1 and stem in outputs:
            yield name, -1
        else:
            yield from ((name, position) for position in range(count))


def _convert_booster(native: NativeModel, width: int) -> Any:
    tools = importlib.import_module("onnxmltools")
    floats = importlib.import_module("onnxmltools.convert.common.data_types").FloatTensorType
    initial = [("input", floats([None, width]))]
    if native.library == "lightgbm":
        found = tools.convert_lightgbm(native.model, initial_types=initial, zipmap=False, target_opset=_BOOSTER_OPSET)
        return exact_thresholds(found, thresholds_of(native.model))
    model = native.model.copy()
    if "c" in (model.feature_types or ()):
        raise Inconvertible("Booster (categorical)", "categorical columns of XGBoost are not converted")
    model.feature_names = None  # the converter reads the position of a column from a name such as f3
    return tools.convert_xgboost(model, initial_types=initial, target_opset=_BOOSTER_OPSET)


def _convert_estimator(native: NativeModel, inputs: "Sequence[ModelPort]", layout: str, example: Any) -> Any:
    _register_boosters()
    model = copy.deepcopy(native.model)
    for estimator in _estimators_with_names(model):
        estimator.get_booster().feature_names = None
    if hasattr(model, "flatten_transform"):
        model.flatten_transform = False  # of the output of `transform`, which is not converted
    columns = _first_transformer(model)
    if layout == "columns" and columns is not None:
        _rename(columns, [port.name for port in inputs])
        initial = [(f"c{number}", _column_type(port)) for number, port in enumerate(inputs)]
    else:
        texts = {port.type == "string" for port in inputs}
        if texts == {True, False}:
            raise Inconvertible(native.operator, "it gets numbers and texts without a ColumnTransformer as first step")
        kind = data_types.StringTensorType if texts == {True} else data_types.FloatTensorType
        initial = [("input", kind([None, len(inputs) if layout == "columns" else example.shape[1]]))]
    options: dict[int, dict[str, Any]] = {id(model): {"zipmap": False}} if native.kind == "classifier" else {}
    for vectorizer in (part for part in _parts(model) if getattr(part, "token_pattern", None) == _WORDS):
        options[id(vectorizer)] = {"tokenexp": _WORDS_OF_RE2}
    with missing_values_kept():
        found = skl2onnx.convert_sklearn(model, "model", initial, target_opset=_OPSETS, options=options)
    trees = _lightgbm_in(model)
    return found if trees is None else exact_thresholds(found, thresholds_of(trees))


def _require_missing_is_nan(model: Any) -> None:
    """Raise Inconvertible for trees of LightGBM that take zero for a missing number: those of ONNX take NaN alone."""
    for part in _parts(model):
        booster = getattr(part, "booster_", part)
        of_lightgbm = type(booster).__module__.startswith("lightgbm") and hasattr(booster, "dump_model")
        if of_lightgbm and '"missing_type": "Zero"' in json.dumps(booster.dump_model()["tree_info"]):
            raise Inconvertible(type(part).__name__, "its trees take zero for a missing number (zero_as_missing)")


def _require_kept_columns(model: Any) -> None:
    """Raise Inconvertible for imputers whose output has other columns than their input: the converter keeps those."""
    for part in _parts(model):
        if len(getattr(getattr(part, "indicator_", None), "features_", ())):
            reason = "it adds columns that say where numbers are missing (add_indicator=True)"
            raise Inconvertible(type(part).__name__, reason)
        numbers = getattr(part, "statistics_", None)
        empty = isinstance(numbers, np.ndarray) and numbers.dtype.kind == "f" and np.isnan(numbers).any()
        if empty and not getattr(part, "keep_empty_features", True):
            reason = "it leaves out columns without a number in the data of training (keep_empty_features=False)"
            raise Inconvertible(type(part).__name__, reason)


def _lightgbm_in(model: Any) -> Any:
    """The model of LightGBM that a model is, or that is its last step; None without one."""
    last = model.steps[-1][1] if hasattr(model, "steps") else model
    return last if type(last).__name__.startswith("LGBM") else None


def _column_type(port: ModelPort) -> Any:
    if port.type == "string":
        return data_types.StringTensorType([None, 1])
    return (data_types.FloatTensorType if port.type in ("double", "float") else data_types.Int64TensorType)([None, 1])


def _first_transformer(model: Any) -> Any:
    """The ColumnTransformer that gets the columns of the model; None without one."""
    while hasattr(model, "steps"):
        model = model.steps[0][1]
    return model if hasattr(model, "transformers_") else None


def _rename(columns: Any, names: "list[str]") -> None:
    """Let a ColumnTransformer name columns as the converter does, which knows no other characters than letters."""
    positions = {name: f"c{number}" for number, name in enumerate(names)}
    renamed = []
    for name, transformer, chosen in columns.transformers_:
        if isinstance(chosen, str):
            new: Any = [positions[chosen]] if not _takes_text(transformer) else positions[chosen]
        else:
            new = [
                positions[names[item] if isinstance(item, (int, np.integer)) else item]
                for item in _listed(chosen, names)
            ]
        renamed.append((name, transformer, new))
    columns.transformers_ = renamed


def _listed(chosen: Any, names: "list[str]") -> "list[Any]":
    if isinstance(chosen, slice):
        if any(isinstance(end, str) for end in (chosen.start, chosen.stop)):
            raise Inconvertible("ColumnTransformer", f"it selects columns by {chosen}")
        return list(range(len(names)))[chosen]
    array = np.asarray(chosen)
    if array.dtype == bool:
        return [position for position, wanted in enumerate(array) if wanted]
    return array.tolist() if array.ndim else [array.item()]


def _takes_text(transformer: Any) -> bool:
    return hasattr(transformer, "build_analyzer") or hasattr(transformer, "tokenizer")


def _estimators_with_names(model: Any) -> "Iterator[Any]":
    """The models of XGBoost in a model: the converter reads the position of a column from a name such as f3."""
    for item in _parts(model):
        if type(item).__name__ in ("XGBClassifier", "XGBRegressor"):
            kind = str(json.loads(item.get_booster().save_config())["learner"]["gradient_booster"]["name"])
            if kind != "gbtree":
                raise Inconvertible(
                    f"{type(item).__name__} ({kind})", "only trees of the booster `gbtree` are converted"
                )
            if "c" in (item.get_booster().feature_types or ()):
                raise Inconvertible(f"{type(item).__name__} (categorical)", "categorical columns are not converted")
            yield item


def _parts(model: Any) -> "Iterator[Any]":
    """A model and what is in it: steps, transformers, estimators of an ensemble."""
    pending, seen = [model], set()
    while pending:
        item = pending.pop()
        if id(item) in seen:
            continue
        seen.add(id(item))
        yield item
        if isinstance(item, (list, tuple)):
            pending.extend(item)
        elif type(item).__module__.startswith("sklearn."):
            parts = getattr(item, "__dict__", {}).values()
            pending.extend(part for part in parts if not isinstance(part, (str, int, float)))
        elif isinstance(item, np.ndarray) and item.dtype == object:
            pending.extend(item.ravel().tolist())


def _register_boosters() -> None:
    """Let skl2onnx convert XGBoost and LightGBM as steps, by the converters of onnxmltools."""
    shapes = importlib.import_module("skl2onnx.common.shape_calculator")
    for name, library in _BOOSTERS.items():
        try:
            model = getattr(importlib.import_module(library), name)
        except ImportError:
            continue
        modules = {
            "xgboost": "xgboost.operator_converters.XGBoost",
            "lightgbm": "lightgbm.operator_converters.LightGbm",
        }
        function = {"xgboost": "convert_xgboost", "lightgbm": "convert_lightgbm"}[library]
        converter = getattr(importlib.import_module(f"onnxmltools.convert.{modules[library]}"), function)
        classifier = name.endswith("Classifier")
        skl2onnx.update_registered_converter(
            model,
            name,
            shapes.calculate_linear_classifier_output_shapes
            if classifier
            else shapes.calculate_linear_regressor_output_shapes,
            converter,
            options={"nocl": [True, False], "zipmap": [True, False, "columns"]} if classifier else {},
            overwrite=True,
        )


def _save(graph: Any, folder: Path, schema: Any, outputs: "Sequence[ModelPort]", packages: "Sequence[str]") -> None:
    """Save a graph as a model of MLflow, with the inputs of the original, all required, and the graph's outputs."""
    returned = Schema([ColSpec(type=DataType[port.type], name=port.name) for port in outputs])
    try:
        mlflow.onnx.save_model(
            graph,
            str(folder),
            signature=ModelSignature(inputs=required_inputs(schema), outputs=returned),
            pip_requirements=closure_pins(packages),
            save_as_external_data=False,
        )
    except Exception as error:  # protobuf cannot write more than 2 GiB
        raise Inconvertible("ModelProto", f"it cannot be written as one file: {last_line(error)}") from error
    onnx.checker.check_model(str(folder / ONNX_FILE))
