"""Defines the verbs that convert a model to ONNX or TFLite and measure the original."""

from typing import ClassVar

from .lazy_dataclass import lazy_dataclass
from .registry import LEASE_S
from .request import Request

# The flavors that are converted, by the module with which MLflow's server loads a model.
LOADERS = {"mlflow.sklearn": "sklearn", "mlflow.xgboost": "xgboost", "mlflow.lightgbm": "lightgbm"}
OTHER_FLAVOR = "it is not a model of scikit-learn, XGBoost or LightGBM"
NETWORK_LOADERS = {"mlflow.keras": "keras", "mlflow.tensorflow": "tensorflow"}
NO_NETWORK = "it is not a model of Keras or TensorFlow"


@lazy_dataclass
class ModelPort:
    """
    An input or an output of a converted model: its name, and its type in words of an MLflow signature.

    `shape` is that of a row of a tensor. An output decides on labels by its `activation`: `softmax`, of the greatest
    number of a row, or `sigmoid`, of a number above one half.
    """

    name: str
    type: str
    shape: tuple[int, ...] = ()
    activation: str = ""


@lazy_dataclass
class PortableSignature:
    """
    What a converted model takes and returns.

    `layout` is `columns`, one vector for each column, `tensor`, or `tensors` with names.
    `served` are the outputs that MLflow's server returns for the original. `classes` are the labels of a classifier, in
    the order of the probabilities.
    """

    layout: str
    inputs: tuple[ModelPort, ...]
    outputs: tuple[ModelPort, ...]
    served: tuple[str, ...]
    classes: tuple[str, ...] = ()


@lazy_dataclass
class ConvertModel(Request):
    """
    Convert the model in a folder to ONNX, in an environment that has converters beside the packages of the model.

    `destination` is an existing, empty folder. It gets `model`, a model of MLflow's flavor onnx with the file
    `model.onnx`, and `sample.json`, generated requests. `requests` are bodies that the model answers, from which the
    sample is made; `sample_rows` is about the number of its rows. `packages` are imported with the new model: they
    and what they need are its requirements.
    """

    verb: ClassVar[str] = "convert"
    model: str
    destination: str
    requests: tuple[str, ...]
    sample_rows: int
    packages: tuple[str, ...]


@lazy_dataclass
class ConvertToTflite(ConvertModel):
    """
    Convert a model of Keras or TensorFlow to TFLite, as ConvertModel.

    MLflow has no flavor for it: `model` is one of Python functions, with the code in the folder `edge`.
    """

    verb: ClassVar[str] = "convert-to-tflite"
    edge: str


@lazy_dataclass
class ConversionRefusal:
    """Why a model is not converted: the operator, which is the class of a step or of the model, and the reason."""

    operator: str
    reason: str


@lazy_dataclass
class ConversionResult:
    """A converted model, or a refusal. `operators` are those of the graph, `converters` the versions that wrote it."""

    refusal: ConversionRefusal | None = None
    signature: PortableSignature | None = None
    operators: tuple[str, ...] = ()
    thresholds: int = 0
    converters: tuple[str, ...] = ()


@lazy_dataclass
class MeasureOriginal(Request):
    """
    Answer requests with the original model, output by output, and measure it; in the environment of the model.

    `requests` is a file with a list of `{"name", "origin", "body"}`, `destination` the file for the same list with the
    outputs of each request, or the reason of a refusal. One row is predicted `repeats` times.
    """

    verb: ClassVar[str] = "measure-original"
    model: str
    requests: str
    destination: str
    repeats: int


@lazy_dataclass
class ModelFigures:
    """Median seconds of the prediction for one row, and the peak of the memory of the process in bytes."""

    row_s: float
    memory: int


@lazy_dataclass
class FindExport(Request):
    """
    Find which of the ready models with an export key counts for a version, and let the version's tag `tag` name it.

    It is the model that the tag names already, else the first one. The registered model's lease lets one process at a
    time decide, on whatever machines they run. `model_id` is the model of the caller. It is deleted if it `is_new`,
    another one counts, and no version was made of it.
    """

    verb: ClassVar[str] = "find-export"
    name: str
    version: str
    key: str
    tag: str
    model_id: str
    is_new: bool
    lease_s: float = LEASE_S


@lazy_dataclass
class FoundExport:
    """The model that counts, the digest of its files, and the registered version of it that the tag names, if any."""

    model_id: str
    sha256: str
    name: str = ""
    version: str = ""
