"""Loads a model of scikit-learn, XGBoost or LightGBM, and computes each of its outputs."""

import importlib
import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import yaml

from ..messages.conversion import LOADERS, OTHER_FLAVOR, ModelPort
from ..problems import Problem, ProblemKind, last_line

_LABEL, _PREDICTION, _PROBABILITY, _SCORE = "label", "prediction", "probability", "score"
_MOST_OUTPUTS = 256
Outputs = Mapping[str, Any]  # a vector for each output


class Inconvertible(Exception):
    """A model that is not converted; `operator` is the class that is the reason."""

    def __init__(self, operator: str, reason: str) -> None:
        super().__init__(reason)
        self.operator = operator
        self.reason = reason


@dataclass(frozen=True, kw_only=True)
class NativeModel:
    """
    A model as its own library loads it.

    `kind` is `classifier`, `regressor`, `detector` (of outliers) or `booster`. `methods` compute a matrix or a vector
    for each name of outputs, `served` is the name of those that MLflow's server returns.
    """

    library: str
    kind: str
    model: Any
    methods: "Mapping[str, Callable[[Any], Any]]"
    served: str
    classes: "tuple[Any, ...]" = ()

    @property
    def operator(self) -> str:
        """The class of the model."""
        return type(self.model).__name__

    def outputs(self, data: Any) -> "dict[str, Any]":
        """A vector for each output. Raises what the model raises."""
        found: dict[str, Any] = {}
        for name, method in self.methods.items():
            found.update(vectors(name, np.asarray(method(data))))
        return found


def require_answer_for_each_row(native: NativeModel, data: Any) -> None:
    """Raise Inconvertible unless a model has a value for each row, if it gets the rows of an example twice."""
    twice = pd.concat([data, data]) if isinstance(data, pd.DataFrame) else np.concatenate([data, data])
    for name, values in native.outputs(twice).items():
        if len(values) != len(twice):
            raise Inconvertible(native.operator, f"`{name}` has {len(values)} values for {len(twice)} rows")


def vectors(name: str, array: Any) -> "Iterator[tuple[str, Any]]":
    """The columns of a matrix, or a vector as it is, by the names of outputs."""
    if array.ndim == 1 or (array.ndim == 2 and array.shape[1] == 1 and name in (_LABEL, _PREDICTION, _SCORE)):  # noqa: PLR2004
        yield name, array.reshape(-1)
        return
    if array.ndim != 2 or array.shape[1] > _MOST_OUTPUTS:  # noqa: PLR2004
        raise Inconvertible("", f"an output has the shape {array.shape}, and at most {_MOST_OUTPUTS} columns are read")
    for position in range(array.shape[1]):
        yield f"{name}_{position}", array[:, position]


def type_of(values: Any) -> str:
    """The type of an output in the words of a signature."""
    if values.dtype.kind in "iub":
        return "long"
    return "double" if values.dtype.kind == "f" else "string"


def ports(outputs: Outputs) -> "tuple[ModelPort, ...]":
    """The outputs with their types."""
    return tuple(ModelPort(name=name, type=type_of(values)) for name, values in outputs.items())


def flavors_in(folder: str) -> Any:
    """The flavors of the model in a folder."""
    return yaml.safe_load((Path(folder) / "MLmodel").read_text(encoding="utf-8")).get("flavors", {})


def loader_in(flavors: Any) -> str:
    """The module with which MLflow's server loads a model."""
    return str(flavors.get("python_function", {}).get("loader_module", "none"))


def loaded(folder: str, loaders: Mapping[str, str], other_flavor: str) -> "tuple[str, Any]":
    """Return the library of the model in a folder, and the model. Raises Inconvertible for a loader that is no key."""
    loader = loader_in(flavors_in(folder))
    if loader not in loaders:
        raise Inconvertible(loader, other_flavor)
    try:
        return loaders[loader], importlib.import_module(loader).load_model(folder)
    except (Exception, SystemExit) as error:  # a model's code may raise anything
        raise Problem(ProblemKind.CANNOT_LOAD, f"the model cannot be loaded: {last_line(error)}") from error


def load_native(folder: str) -> NativeModel:
    """Load the model in a folder. Raises Inconvertible for another kind of model, and Problem if it does not load."""
    library, model = loaded(folder, LOADERS, OTHER_FLAVOR)
    flavors = flavors_in(folder)
    predict_fn = str(flavors.get(library, {}).get("predict_fn") or flavors["python_function"].get("predict_fn"))
    if type(model).__name__ == "Booster":
        return _booster(library, model)
    return _estimator(library, model, predict_fn)


def _estimator(library: str, model: Any, predict_fn: str) -> NativeModel:
    operator = type(model).__name__
    base = importlib.import_module("sklearn.base")
    if predict_fn not in ("None", "predict", "predict_proba"):
        raise Inconvertible(operator, f"its server calls `{predict_fn}`, and only predict and predict_proba are read")
    if base.is_classifier(model):
        if getattr(model, "n_outputs_", 1) != 1 or not hasattr(model, "classes_"):
            raise Inconvertible(operator, "it predicts several labels for a row")
        if len(model.classes_) < 2:  # noqa: PLR2004  # converters write a second one, and onnxruntime crashes on texts
            raise Inconvertible(operator, "it was trained with one class, which is its answer to everything")
        methods = {_LABEL: model.predict}
        if hasattr(model, "predict_proba"):
            methods[_PROBABILITY] = model.predict_proba
        served = _PROBABILITY if predict_fn == "predict_proba" else _LABEL
        return NativeModel(
            library=library, kind="classifier", model=model, methods=methods, served=served,
            classes=tuple(np.asarray(model.classes_).tolist()),
        )  # fmt: skip
    if predict_fn == "predict_proba":
        raise Inconvertible(operator, "its server calls `predict_proba`, and it is no classifier")
    if base.is_regressor(model):
        return _with(library, "regressor", model, {_PREDICTION: model.predict})
    if base.is_outlier_detector(model):
        return _with(library, "detector", model, {_LABEL: model.predict, _SCORE: model.decision_function})
    raise Inconvertible(operator, "it is neither a classifier nor a regressor nor a detector of outliers")


def _with(library: str, kind: str, model: Any, methods: "Mapping[str, Callable[[Any], Any]]") -> NativeModel:
    return NativeModel(library=library, kind=kind, model=model, methods=methods, served=next(iter(methods)))


def _booster(library: str, model: Any) -> NativeModel:
    objective, booster = described(library, model)
    if booster in ("dart", "gblinear"):
        raise Inconvertible(f"Booster ({booster})", "only trees of the booster `gbtree` are converted")
    known = ("reg:", "binary:logistic", "multi:softprob", "regression", "binary", "multiclass")
    if not objective.startswith(known):
        raise Inconvertible(f"Booster ({objective})", "its objective is neither regression nor a probability")
    if library == "lightgbm":
        return _with(library, "booster", model, {_PREDICTION: model.predict})
    matrix = importlib.import_module("xgboost").DMatrix
    return _with(library, "booster", model, {_PREDICTION: lambda data: model.predict(matrix(data))})


def described(library: str, model: Any) -> "tuple[str, str]":
    """The objective of a Booster, and the kind of its trees."""
    if library == "lightgbm":
        return str(model.dump_model(num_iteration=1)["objective"]).split()[0], "gbtree"
    learner = json.loads(model.save_config())["learner"]
    return str(learner["objective"]["name"]), str(learner["gradient_booster"]["name"])
