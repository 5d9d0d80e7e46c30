"""Which model does a function of the project return, and which flavor of MLflow logs it?"""

import importlib
import inspect
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib.machinery import ModuleSpec
from pathlib import Path
from typing import Any

import cloudpickle
import mlflow
from mlflow.models.model import ModelInfo

from .problems import Problem, ProblemKind

# Which flavor logs a class of which package. The first class of the MRO that is of one of them decides: XGBoost's
# classifier is scikit-learn's too.
FLAVORS = {
    "catboost": "catboost",
    "keras": "keras",
    "lightgbm": "lightgbm",
    "onnx": "onnx",
    "prophet": "prophet",
    "sklearn": "sklearn",
    "spacy": "spacy",
    "statsmodels": "statsmodels",
    "tensorflow": "tensorflow",
    "torch": "pytorch",
    "xgboost": "xgboost",
}
# By default newer ones write skops, which refuses to load trees again, or export a graph, which needs an example of a
# fixed shape. Models of our own training need no protection from themselves. What a function returns beside its model
# decides otherwise.
FORMATS = {"lightgbm": "cloudpickle", "pytorch": "pickle", "sklearn": "cloudpickle"}
_PYFUNC = ("mlflow.pyfunc", "PythonModel")
_WITH_EXAMPLE, _WITH_CHOICES = 2, 3
# What the release says itself.
_OURS = frozenset({"name", "artifact_path", "input_example"})


def call(request: dict[str, Any]) -> dict[str, Any]:
    """
    Call a function of the project and log the model that it returns.

    It may return the model alone, before an input example, or before an example (or None) and a dict of what else the
    flavor's `log_model` is told.
    {function: package.module:function, folder, name: of the model} -> {model_id}. This runs as the project's own
    program would: not isolated, and the project's folder is where imports are looked for first.
    """
    folder = request["folder"]
    sys.path.insert(0, folder)
    function = function_of(request["function"])
    _let_travel(folder)  # for a function that logs by itself
    try:
        made = function()
    except (Exception, SystemExit) as error:  # a project's code may raise anything
        raise Problem(ProblemKind.TRAINING, f"{type(error).__name__}: {error}") from error
    model, example, choices = _parts(made)
    if isinstance(model, ModelInfo):
        return {"model_id": _model_id(model)}
    _let_travel(folder)  # it may have imported more
    log, options = _logging(model, returned_by=request["function"])
    options |= _checked(choices, log, options, returned_by=request["function"])
    options["name" if "name" in inspect.signature(log).parameters else "artifact_path"] = request["name"]
    with _its_run():
        return {"model_id": _model_id(log(**options, input_example=example))}


def _parts(made: Any) -> "tuple[Any, Any, dict[str, Any]]":
    """A model, its example, and what its flavor is told, of whatever a function returned."""
    if isinstance(made, tuple) and len(made) == _WITH_CHOICES and isinstance(made[2], dict):
        return made
    if isinstance(made, tuple) and len(made) == _WITH_EXAMPLE:
        return (*made, {})
    return made, None, {}


def _checked(
    choices: "dict[str, Any]", log: "Callable[..., ModelInfo]", options: "dict[str, Any]", *, returned_by: str
) -> "dict[str, Any]":
    """The choices, where the flavor knows all of them and none is the model itself or what the release says."""
    fixed = _OURS | {name for name in options if name != "serialization_format"}
    known = _parameters(log)
    if inspect.Parameter.VAR_KEYWORD in known.values():  # it hands them on
        known = {**known, **_parameters(importlib.import_module(log.__module__).save_model)}
    for name in choices:
        if name in fixed or name not in known:
            why = (
                "which the release says itself" if name in fixed else f"which {log.__module__}.log_model does not take"
            )
            raise Problem(ProblemKind.INVALID, f"`{returned_by}` returned `{name}` beside its model, {why}")
    return choices


def _parameters(function: "Callable[..., Any]") -> "dict[str, Any]":
    """The kinds of a function's parameters by their names."""
    return {name: one.kind for name, one in inspect.signature(function).parameters.items()}


def function_of(name: str) -> Callable[[], Any]:
    """What `package.module:function` names."""
    module_name, _, path = name.partition(":")
    if not module_name or not path:
        raise Problem(ProblemKind.INVALID, f"`{name}` is not of the form package.module:function")
    try:
        found: Any = importlib.import_module(module_name)
    except ModuleNotFoundError as error:
        if error.name is not None and f"{module_name}.".startswith(f"{error.name}."):
            raise Problem(ProblemKind.INVALID, f"there is no module called `{error.name}`") from error
        raise Problem(ProblemKind.TRAINING, f"{type(error).__name__}: {error}") from error
    except (Exception, SystemExit) as error:  # a project's code may raise anything
        raise Problem(ProblemKind.TRAINING, f"{type(error).__name__}: {error}") from error
    for part in path.split("."):
        found = getattr(found, part, None)
    if not callable(found):
        raise Problem(ProblemKind.INVALID, f"`{module_name}` has no function called `{path}`")
    return found  # type: ignore[no-any-return]


def _logging(model: Any, *, returned_by: str) -> "tuple[Callable[..., ModelInfo], dict[str, Any]]":
    """What logs a model, and the model under the name that it goes by there; nothing that is not there is imported."""
    for base in type(model).__mro__:
        if base.__module__.startswith(_PYFUNC[0]) and base.__name__ == _PYFUNC[1]:
            return mlflow.pyfunc.log_model, {"python_model": model}
        flavor = FLAVORS.get(base.__module__.split(".")[0])
        if flavor is not None:
            return _of_flavor(flavor, model)
    if inspect.isroutine(model):
        return mlflow.pyfunc.log_model, {"python_model": model}
    told = type(model).__qualname__
    if type(model).__module__ != "builtins":
        told = f"{type(model).__module__}.{told}"
    raise Problem(ProblemKind.INVALID, f"`{returned_by}` returned a {told}, and it is not known which flavor logs that")


def _of_flavor(flavor: str, model: Any) -> "tuple[Callable[..., ModelInfo], dict[str, Any]]":
    log = importlib.import_module(f"mlflow.{flavor}").log_model
    parameters = inspect.signature(log).parameters
    options = {next(iter(parameters)): model}
    if flavor in FORMATS and "serialization_format" in parameters:
        options["serialization_format"] = FORMATS[flavor]
    return log, options


def _let_travel(folder: str) -> None:
    """
    Let pickles hold the code that only the project's folder brings, as they do that of a program that is run.

    What is installed stays a reference: it is installed where the model is served too.
    """
    while folder in sys.path:
        sys.path.remove(folder)
    try:
        for name, module in tuple(sys.modules.items()):
            file = getattr(module, "__file__", None)
            own = "." not in name and file is not None and Path(file).is_relative_to(folder)
            if own and name != "__main__" and _installed(name) is None:
                cloudpickle.register_pickle_by_value(module)
    finally:
        sys.path.insert(0, folder)


def _installed(name: str) -> "ModuleSpec | None":
    found = (finder.find_spec(name, None) for finder in sys.meta_path)
    return next((spec for spec in found if spec is not None), None)


@contextmanager
def _its_run() -> Iterator[None]:
    """The run that the function opened, if it did, so that its numbers and the model are of one run."""
    if mlflow.active_run() is None:
        before = mlflow.last_active_run()
        resumed = before is not None and before.info.status == "FINISHED"
        mlflow.start_run(run_id=before.info.run_id if resumed else None)
    with mlflow.active_run():
        yield


def _model_id(logged: ModelInfo) -> str:
    """The id of the model; before MLflow 3 it is the place below its run."""
    return str(getattr(logged, "model_id", None) or logged.model_uri)
