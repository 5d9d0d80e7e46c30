"""Resolves a `models:/` or `runs:/` reference to the id of a logged model."""

import re

from mlflow import MlflowClient
from mlflow.entities.model_registry import ModelVersion

from ..messages.models import FindReferencedModel, LoggedModelId
from ..problems import Problem, ProblemKind
from ..registry.clients import open_registry
from ..registry.versions import of_name, source_model
from ..stores import mlflow2
from ..stores.searches import equals, pages
from .logged_models import keeps_models

_MODEL = re.compile(r"models:/(m-[0-9a-f]{32})/?")
_ALIAS = re.compile(r"models:/([^/@]+)@([^/@]+)/?")
_VERSION = re.compile(r"models:/([^/@]+)/(\d+|latest)/?")
_RUN = re.compile(r"runs:/([0-9a-zA-Z-]+)/(.+?)/?")
_FORMS = "models:/NAME@ALIAS, models:/NAME/VERSION, models:/m-ID or runs:/RUN/NAME"
# A version may be a copy of a copy.
_COPIES = 10


def find(request: FindReferencedModel) -> LoggedModelId:
    """Find the id of the model that a URI refers to."""
    return LoggedModelId(model_id=_model_of(open_registry(), request.reference, copies=_COPIES))


def _model_of(client: MlflowClient, reference: str, *, copies: int) -> str:
    if match := _MODEL.fullmatch(reference):
        return match[1]
    if match := _RUN.fullmatch(reference):
        return _of_run(client, match[1], match[2])
    version = _version(client, reference)
    if (model_id := source_model(version)) is not None:
        return model_id
    if copies and _VERSION.fullmatch(version.source or ""):
        return _model_of(client, str(version.source), copies=copies - 1)
    raise Problem(
        ProblemKind.NOT_FOUND,
        f"version {version.version} of `{version.name}` was created from files that belong to no logged model",
    )


def _version(client: MlflowClient, reference: str) -> ModelVersion:
    if match := _ALIAS.fullmatch(reference):
        return client.get_model_version_by_alias(match[1], match[2])
    if match := _VERSION.fullmatch(reference):
        if match[2] != "latest":
            return client.get_model_version(match[1], match[2])
        if known := of_name(client, match[1]):
            return known[-1]
        raise Problem(ProblemKind.NOT_FOUND, f"there is no version of `{match[1]}`")
    raise Problem(ProblemKind.INVALID, f"`{reference}` is not a reference to a model: known are {_FORMS}")


def _of_run(client: MlflowClient, run_id: str, path: str) -> str:
    """The run's model of that name; without logged models in the store, the folder of the run."""
    run = client.get_run(run_id)
    if not keeps_models(client):
        return f"{mlflow2.SCHEME}{run_id}/{path}"
    clause = equals("source_run_id", run_id)
    experiment = [str(run.info.experiment_id)]
    logged_models = pages(lambda token: client.search_logged_models(experiment, filter_string=clause, page_token=token))
    matches = [str(model.model_id) for model in logged_models if model.name == path]
    if len(matches) > 1:
        raise Problem(
            ProblemKind.INVALID,
            f"run {run_id} has {len(matches)} models called `{path}`: {', '.join(sorted(matches))}; name one",
        )
    return matches[0] if matches else f"{mlflow2.SCHEME}{run_id}/{path}"
