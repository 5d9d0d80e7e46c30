"""Calls a function of the project and logs the model that it returns with the matching MLflow flavor."""

import importlib
import inspect
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib.machinery import ModuleSpec
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import cloudpickle
import mlflow
from mlflow.models.model import ModelInfo

from ..messages.models import CallFunction, FunctionModel
from ..problems import Problem, ProblemKind

# Flavors by the top-level package of a model's class. The first match along the MRO decides: XGBoost's classifier is
# also one of scikit-learn.
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
# Formats for models that newer flavors do not load again in their default format: skops rejects trees on load.
# Pickles are safe here, because the project trained the model itself. The function's options come first.
FORMATS = {"lightgbm": "cloudpickle", "pytorch": "pickle", "sklearn": "cloudpickle"}
# Flavors whose default format is not tried, and why.
_NOT_TRIED = {"pytorch": "MLflow would export a graph, which needs an example of a fixed shape"}
_SHOWN_CHARACTERS = 400
_PYFUNC = ("mlflow.pyfunc", "PythonModel")
_WITH_EXAMPLE, _WITH_OPTIONS = 2, 3
# Parameters of `log_model` that the release sets.
_RESERVED = frozenset({"name", "artifact_path", "input_example"})


def call(request: CallFunction) -> FunctionModel:
    """
    Call a function of the project and log the model that it returns.

    It returns the model, (model, input example), or (model, input example or None, options of the flavor's log_model).
    Imports work as in a program of the project: not isolated, with the project's folder first on `sys.path`.
    """
    folder = request.folder
    sys.path.insert(0, folder)
    function = function_of(request.function)
    _pickle_by_value(folder)  # for a function that logs the model itself
    try:
        result = function()
    except (Exception, SystemExit) as error:  # a project's code may raise anything
        raise Problem(ProblemKind.TRAINING, f"{type(error).__name__}: {error}") from error
    model, example, log_options = _parts(result)
    if isinstance(model, ModelInfo):
        return FunctionModel(model_id=_model_id(model))
    _pickle_by_value(folder)  # it may have imported further modules
    log, options = _logging(model, returned_by=request.function)
    options |= _checked(log_options, log, options, returned_by=request.function)
    saved_as, reason = _other_format(log, model, options)
    if saved_as:
        options["serialization_format"] = saved_as
    options["name" if "name" in inspect.signature(log).parameters else "artifact_path"] = request.name
    with _run_of_function():
        logged = log(**options, input_example=example)
    return FunctionModel(model_id=_model_id(logged), saved_as=saved_as, reason=reason)


def _parts(result: Any) -> "tuple[Any, Any, dict[str, Any]]":
    """Model, input example and `log_model` options of a function's return value."""
    if isinstance(result, tuple) and len(result) == _WITH_OPTIONS and isinstance(result[2], dict):
        return result
    if isinstance(result, tuple) and len(result) == _WITH_EXAMPLE:
        return (*result, {})
    return result, None, {}


def _checked(
    log_options: "dict[str, Any]", log: "Callable[..., ModelInfo]", options: "dict[str, Any]", *, returned_by: str
) -> "dict[str, Any]":
    """The options, if the flavor accepts all of them and none is reserved. Raises Problem otherwise."""
    fixed = _RESERVED | options.keys()
    known = _parameters(log)
    if inspect.Parameter.VAR_KEYWORD in known.values():  # it passes them to save_model
        known = {**known, **_parameters(importlib.import_module(log.__module__).save_model)}
    for name in log_options:
        if name in fixed or name not in known:
            why = (
                "which the release sets itself" if name in fixed else f"which {log.__module__}.log_model does not take"
            )
            raise Problem(ProblemKind.INVALID, f"`{returned_by}` returned `{name}` beside its model, {why}")
    return log_options


def _parameters(function: "Callable[..., Any]") -> "dict[str, Any]":
    """The kinds of a function's parameters by their names."""
    return {name: parameter.kind for name, parameter in inspect.signature(function).parameters.items()}


def function_of(name: str) -> Callable[[], Any]:
    """The function that `package.module:function` names. Raises Problem."""
    module_name, _, path = name.partition(":")
    if not module_name or not path:
        raise Problem(ProblemKind.INVALID, f"`{name}` is not of the form package.module:function")
    try:
        target: Any = importlib.import_module(module_name)
    except ModuleNotFoundError as error:
        if error.name is not None and f"{module_name}.".startswith(f"{error.name}."):
            raise Problem(ProblemKind.INVALID, f"there is no module called `{error.name}`") from error
        raise Problem(ProblemKind.TRAINING, f"{type(error).__name__}: {error}") from error
    except (Exception, SystemExit) as error:  # a project's code may raise anything
        raise Problem(ProblemKind.TRAINING, f"{type(error).__name__}: {error}") from error
    for part in path.split("."):
        target = getattr(target, part, None)
    if not callable(target):
        raise Problem(ProblemKind.INVALID, f"`{module_name}` has no function called `{path}`")
    return target  # type: ignore[no-any-return]


def _logging(model: Any, *, returned_by: str) -> "tuple[Callable[..., ModelInfo], dict[str, Any]]":
    """The flavor's `log_model` and the keyword argument for the model; no flavor is imported without its package."""
    for base in type(model).__mro__:
        if base.__module__.startswith(_PYFUNC[0]) and base.__name__ == _PYFUNC[1]:
            return mlflow.pyfunc.log_model, {"python_model": model}
        flavor = FLAVORS.get(base.__module__.split(".")[0])
        if flavor is not None:
            return _of_flavor(flavor, model)
    if inspect.isroutine(model):
        return mlflow.pyfunc.log_model, {"python_model": model}
    class_name = type(model).__qualname__
    if type(model).__module__ != "builtins":
        class_name = f"{type(model).__module__}.{class_name}"
    raise Problem(ProblemKind.INVALID, f"`{returned_by}` returned a {class_name}, which no known flavor logs")


def _of_flavor(flavor: str, model: Any) -> "tuple[Callable[..., ModelInfo], dict[str, Any]]":
    log = importlib.import_module(f"mlflow.{flavor}").log_model
    parameters = inspect.signature(log).parameters
    return log, {next(iter(parameters)): model}


def _other_format(log: "Callable[..., ModelInfo]", model: Any, options: "dict[str, Any]") -> "tuple[str, str]":
    """
    The format in which a model is logged because its flavor does not load it again in MLflow's default, and why.

    Both are empty if it does, if the function chose a format, and if the flavor has one format.
    """
    flavor = log.__module__.removeprefix("mlflow.").partition(".")[0]
    parameter = inspect.signature(log).parameters.get("serialization_format")
    if flavor not in FORMATS or parameter is None or "serialization_format" in options:
        return "", ""
    if parameter.default == FORMATS[flavor]:  # of an older MLflow
        return "", ""
    reason = _NOT_TRIED.get(flavor) or _load_problem(importlib.import_module(f"mlflow.{flavor}"), model, options)
    return (FORMATS[flavor], reason) if reason else ("", "")


def _load_problem(flavor: Any, model: Any, options: "dict[str, Any]") -> str:
    """Why a flavor does not load a model again that it saves in its default format; empty if it does."""
    trusted = {name: options[name] for name in ("skops_trusted_types",) if name in options}
    with TemporaryDirectory(prefix="mlflow-uv-") as scratch:
        folder = str(Path(scratch, "model"))
        try:
            # With requirements MLflow does not look for them, which would load the model once more.
            flavor.save_model(model, folder, pip_requirements=["mlflow"], **trusted)
            flavor.load_model(folder)
        except Exception as error:  # noqa: BLE001 - the model's classes may raise anything
            cause = error.__cause__ or error.__context__ or error
            return f"{type(cause).__name__}: {' '.join(str(cause).split())}"[:_SHOWN_CHARACTERS]
    return ""


def _pickle_by_value(folder: str) -> None:
    """
    Let pickles include the modules that exist only in the project's folder, as they do for `__main__`.

    Installed modules stay references: they are installed where the model is served, too.
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
    specs = (finder.find_spec(name, None) for finder in sys.meta_path)
    return next((spec for spec in specs if spec is not None), None)


@contextmanager
def _run_of_function() -> Iterator[None]:
    """Log in the run that the function used, if any, so that its metrics and the model belong to one run."""
    if mlflow.active_run() is None:
        last = mlflow.last_active_run()
        resumed = last is not None and last.info.status == "FINISHED"
        mlflow.start_run(run_id=last.info.run_id if resumed else None)
    with mlflow.active_run():
        yield


def _model_id(logged: ModelInfo) -> str:
    """The id of the model; before MLflow 3 its `runs:/` URI."""
    return str(getattr(logged, "model_id", None) or logged.model_uri)
