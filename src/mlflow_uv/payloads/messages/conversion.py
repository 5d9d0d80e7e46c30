"""Defines the verbs that convert a model to ONNX and measure the original."""

from typing import ClassVar

from .lazy_dataclass import lazy_dataclass
from .request import Request

# The flavors that are converted, by the module with which MLflow's server loads a model.
LOADERS = {"mlflow.sklearn": "sklearn", "mlflow.xgboost": "xgboost", "mlflow.lightgbm": "lightgbm"}
OTHER_FLAVOR = "it is not a model of scikit-learn, XGBoost or LightGBM"


@lazy_dataclass
class ModelPort:
    """An input or an output of a converted model: its name, and its type in words of an MLflow signature."""

    name: str
    type: str


@lazy_dataclass
class PortableSignature:
    """
    What a converted model takes and returns.

    `layout` is `columns`, one vector for each column, or `tensor`, one matrix. `served` are the outputs that MLflow's
    server returns for the original. `classes` are the labels of a classifier, in the order of the probabilities.
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
