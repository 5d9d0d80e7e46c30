"""Describes the formats that models are converted to: their files, runtimes and converters, and what is converted."""

from collections.abc import Mapping

from ...payloads.messages.conversion import LOADERS, NETWORK_LOADERS, NO_NETWORK, OTHER_FLAVOR
from ...payloads.messages.lazy_dataclass import lazy_dataclass


@lazy_dataclass
class ModelFormat:
    """
    A format of converted models.

    `file` is the name of the converted file, `logged` its path in MLflow's model. `runtime` is the package that runs
    it, `runtime_group` and `conversion_group` are the groups of our lock with it and with the converters. `packages`
    are those that MLflow imports for the converted model. `loaders` are the libraries that are converted, by the module
    with which MLflow loads a model, and `other_flavor` is the reason for others. `converter` names the converter in
    advice, and `difference` is advice where numbers differ. `alternatives` are packages that have the files of one in
    the group, by its name.
    """

    name: str
    file: str
    logged: str
    runtime: str
    runtime_group: str
    conversion_group: str
    packages: tuple[str, ...]
    loaders: Mapping[str, str]
    other_flavor: str
    converter: str
    difference: str
    alternatives: Mapping[str, tuple[str, ...]]


_MLFLOW = ("mlflow", "mlflow-skinny", "numpy", "pandas")
ONNX = ModelFormat(
    name="onnx",
    file="model.onnx",
    logged="model.onnx",
    runtime="onnxruntime",
    runtime_group="onnx-runtime",
    conversion_group="onnx-conversion",
    packages=(*_MLFLOW, "onnx", "onnxruntime", "protobuf"),
    loaders=LOADERS,
    other_flavor=OTHER_FLAVOR,
    converter="skl2onnx",
    difference="remove the step whose result 32 bits change, as a scaler before trees, which need none",
    alternatives={},
)
TFLITE = ModelFormat(
    name="tflite",
    file="model.tflite",
    logged="data/tflite/model.tflite",
    runtime="ai-edge-litert",
    runtime_group="tflite-runtime",
    conversion_group="tflite-conversion",
    packages=(*_MLFLOW, "ai-edge-litert"),
    loaders=NETWORK_LOADERS,
    other_flavor=NO_NETWORK,
    converter="TensorFlow Lite's converter",
    difference="train it with numbers of 32 bits, as Keras does by default, and scale its inputs before",
    alternatives=dict.fromkeys(
        ("tensorflow", "tensorflow-cpu"),
        ("tensorflow", "tensorflow-cpu", "tensorflow-intel", "tensorflow-macos", "tf-nightly"),
    ),
)
FORMATS = {format_.name: format_ for format_ in (ONNX, TFLITE)}
