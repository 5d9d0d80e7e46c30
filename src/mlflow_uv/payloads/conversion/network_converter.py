"""Converts a model of Keras or TensorFlow to TFLite, or says which operator cannot be converted and why."""

import importlib
import json
import os
import re
import shutil
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import mlflow
import numpy as np
from mlflow.models import Model, ModelSignature
from mlflow.types import Schema, TensorSpec

from ..messages.conversion import ConversionResult, ConvertToTflite, ModelPort, PortableSignature
from .conversion_source import answered_frames, require_signature, write_sample
from .installed_closure import closure_pins
from .native_models import Inconvertible, type_of
from .network_samples import network_requests
from .networks import OUTPUT, Network, load_network
from .refusing import converted_or_refused, refusing
from .request_frames import required_inputs

# Types of inputs by those of NumPy: TensorFlow Lite computes with numbers of 32 bits.
_TENSOR_TYPES = {
    "float64": "double", "float32": "float", "int64": "long", "int32": "integer", "uint8": "uint8", "bool": "boolean",
}  # fmt: skip
_GIVEN = {"double": "float32", "float": "float32", "long": "int64", "integer": "int32", "uint8": "uint8",
          "boolean": "bool"}  # fmt: skip
_WIDE = "xf64>"  # in the type of a tensor
_NOT_BUILT_IN = re.compile(r"'tf\.(\w+)' op is neither")
LOADER, CODE, DATA = "mlflow_uv_edge.tflite_flavor", "mlflow_uv_edge", "tflite"
_CODE_FILES = ("__init__.py", "score.py", "tflite_flavor.py")


def convert(request: ConvertToTflite) -> ConversionResult:
    """Convert a model, save it as one of MLflow's Python functions, and generate requests where its label changes."""
    os.environ["KERAS_BACKEND"] = "tensorflow"  # a file of Keras is read with any backend
    return converted_or_refused(lambda: _converted(request))


def _converted(request: ConvertToTflite) -> ConversionResult:
    network = load_network(request.model)
    schema = Model.load(request.model).get_input_schema()
    layout, inputs = inputs_of(schema, network)
    frames = answered_frames(request.model, request.requests, network.operator)
    with refusing(network.operator):
        output = network.outputs(frames[0])[OUTPUT]
    port = ModelPort(name=OUTPUT, type=type_of(output), shape=output.shape[1:], activation=network.activation)
    signature = PortableSignature(layout=layout, inputs=inputs, outputs=(port,), served=(OUTPUT,))
    content = _tflite(network, signature)
    destination = Path(request.destination)
    write_sample(destination, network.operator, lambda: network_requests(network, frames, rows=request.sample_rows))
    _save(content, destination, signature, schema, request)
    return ConversionResult(
        signature=signature,
        operators=_operators(destination / "model" / "data" / DATA / "model.tflite"),
        converters=(f"tensorflow {importlib.import_module('tensorflow').__version__}",),
    )


def inputs_of(schema: Any, network: Network) -> "tuple[str, tuple[ModelPort, ...]]":
    """The layout of the inputs, and the inputs. Raises Inconvertible for types that TensorFlow Lite lacks."""
    require_signature(schema, network.operator)
    if not all(isinstance(spec, TensorSpec) for spec in schema.inputs):
        raise Inconvertible(network.operator, "its inputs are columns, and tensors are converted")
    ports = tuple(_tensor(network, spec, number) for number, spec in enumerate(schema.inputs))
    return ("tensors" if schema.has_input_names() else "tensor"), ports


def _tensor(network: Network, spec: Any, number: int) -> ModelPort:
    kind, shape = _TENSOR_TYPES.get(spec.type.name), tuple(spec.shape)
    if kind is None:
        raise Inconvertible(network.operator, f"an input has the type {spec.type}, and numbers are converted")
    if not shape or shape[0] != -1 or any(width < 1 for width in shape[1:]):
        raise Inconvertible(network.operator, f"an input has a shape that varies, {shape}, beyond the number of rows")
    return ModelPort(name=spec.name or f"input_{number}", type=kind, shape=shape[1:])


def _tflite(network: Network, signature: PortableSignature) -> bytes:
    """The file. It takes one row, as devices do: networks with a state, such as an LSTM, are converted no other way."""
    tf = importlib.import_module("tensorflow")
    ports = signature.inputs
    given = [
        tf.TensorSpec([1, *port.shape], _GIVEN[port.type], name=f"input_{number}") for number, port in enumerate(ports)
    ]

    def served(*tensors: Any) -> Any:
        if signature.layout == "tensors":
            return network.call({port.name: tensor for port, tensor in zip(ports, tensors, strict=True)})
        return network.call(tensors[0])

    with refusing(network.operator):
        function = tf.function(served, input_signature=given, autograph=False).get_concrete_function()
        # Without the object that owns the variables they become constants: LSTM and GRU cannot be run otherwise.
        converter = tf.lite.TFLiteConverter.from_concrete_functions([function])
        converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS]
        try:
            return bytes(converter.convert())
        except Exception as error:
            names = sorted(set(_NOT_BUILT_IN.findall(str(error))))
            if not names:
                raise
            kind = "these operators of TensorFlow"
            if _WIDE in str(error):
                kind += ", whose numbers have 64 bits"
            reason = f"TensorFlow Lite has no operator for {kind}: {', '.join(names)}"
            raise Inconvertible(names[0], reason) from error


def _save(
    content: bytes, destination: Path, signature: PortableSignature, schema: Any, request: ConvertToTflite
) -> None:
    data, code = destination / DATA, destination / CODE
    data.mkdir()
    (data / "model.tflite").write_bytes(content)
    (data / "signature.json").write_text(json.dumps(asdict(signature), indent=1), encoding="utf-8")
    code.mkdir()
    for name in _CODE_FILES:
        shutil.copyfile(Path(request.edge) / name, code / name)
    (port,) = signature.outputs
    returned = Schema([TensorSpec(np.dtype(np.float32 if port.type == "double" else np.int64), (-1, *port.shape))])
    mlflow.pyfunc.save_model(
        str(destination / "model"),
        loader_module=LOADER,
        data_path=str(data),
        code_paths=[str(code)],
        signature=ModelSignature(inputs=required_inputs(schema), outputs=returned),
        pip_requirements=closure_pins(request.packages),
    )


def _operators(file: Path) -> "tuple[str, ...]":
    """The names of the operators of a converted model, each once, in their order."""
    interpreter = importlib.import_module("ai_edge_litert.interpreter").Interpreter(model_path=str(file))
    details: Sequence[Any] = interpreter._get_ops_details()  # noqa: SLF001  # no public function lists them
    return tuple(dict.fromkeys(str(item["op_name"]) for item in details))
