"""Describes versions and registered models, and finds the versions of a model."""

import json
import re
from collections.abc import Iterable, Iterator
from dataclasses import asdict
from typing import Any

from mlflow import MlflowClient
from mlflow.entities import Run
from mlflow.entities.model_registry import ModelVersion
from mlflow.exceptions import MlflowException

from . import mlflow2
from .audit_entries import entries_of
from .problems import ProblemKind, kind_of, mask
from .stores import LoggedModel, equals, pages

# MLflow keeps the versions of a logged model in this tag of it.
VERSIONS_OF_MODEL = "mlflow.modelVersions"
# `models:/m-<id>`, or an artifact location below `…/models/m-<id>/artifacts`. SQL stores leave `model_id` empty, so
# only the source identifies the model.
_MODEL_ID = re.compile(r"(?:^|/)(m-[0-9a-f]{32})(?=/|$)")


def describe(request: dict[str, Any]) -> dict[str, Any]:
    """
    Describe a version in the registry.

    {name, version} -> {name, version, status, message, created: ms since 1970, source, model_id, run_id, description,
    tags, aliases, entries: audit entries, newest first}
    """
    return summary(MlflowClient().get_model_version(request["name"], str(request["version"])))


def find(request: dict[str, Any]) -> dict[str, Any]:
    """
    Find the versions of a registered model, or of one of its sources.

    {name, model_id?} -> {versions}, lowest number first
    """
    client = MlflowClient()
    versions = of_name(client, request["name"])
    # Search results have no aliases.
    aliases = client.get_registered_model(request["name"]).aliases if versions else {}
    model_id = request.get("model_id")
    return {
        "versions": [
            {
                **summary(version),
                "aliases": sorted(name for name, number in aliases.items() if str(number) == str(version.version)),
            }
            for version in versions
            if model_id is None or source_model(version) == model_id
        ]
    }


def describe_name(request: dict[str, Any]) -> dict[str, Any]:
    """Describe a registered model: {name} -> {exists, aliases: {alias: version}, tags, description}."""
    try:
        registered = MlflowClient().get_registered_model(request["name"])
    except MlflowException as error:
        if kind_of(error) is not ProblemKind.NOT_FOUND:
            raise
        return {"exists": False, "aliases": {}, "tags": {}, "description": None}
    return {
        "exists": True,
        "aliases": {alias: str(version) for alias, version in registered.aliases.items()},
        "tags": dict(registered.tags),
        "description": registered.description or None,
    }


def of_name(client: MlflowClient, name: str) -> tuple[ModelVersion, ...]:
    """Every version of a registered model, lowest number first; empty if there is no such model."""
    clause = equals("name", name)
    return tuple(sorted(pages(lambda token: client.search_model_versions(clause, page_token=token)), key=_number))


def made_from(client: MlflowClient, runs: Iterable[Run], models: Iterable[LoggedModel]) -> tuple[ModelVersion, ...]:
    """Every version whose source is one of the models, under any name."""
    known = {str(model.model_id): model for model in models}
    by_number: dict[tuple[str, int], ModelVersion] = {}
    for version in (*_of_runs(client, runs), *_noted_on(client, known.values())):
        if source_model(version) in known:
            by_number[str(version.name), _number(version)] = version
    return tuple(by_number[key] for key in sorted(by_number))


def source_model(version: ModelVersion) -> str | None:
    """The id of the logged model that a version is made from."""
    model_id = getattr(version, "model_id", None)
    if model_id:
        return str(model_id)
    matches = _MODEL_ID.findall(version.source or "")
    return str(matches[-1]) if matches else mlflow2.source_model(version)


def summary(version: ModelVersion) -> dict[str, Any]:
    """The description of a version that every verb returns."""
    return {
        "name": version.name,
        "version": str(version.version),
        "status": str(version.status),
        "message": version.status_message or None,
        "created": version.creation_timestamp,
        "source": mask(version.source or ""),
        "model_id": source_model(version),
        "run_id": version.run_id or None,
        "description": version.description or None,
        "tags": dict(version.tags),
        "aliases": list(version.aliases),
        "entries": [asdict(entry) for entry in entries_of(version.tags).values()],
    }


def _of_runs(client: MlflowClient, runs: Iterable[Run]) -> Iterator[ModelVersion]:
    for run in runs:
        clause = equals("run_id", run.info.run_id)
        try:
            yield from pages(lambda token, clause=clause: client.search_model_versions(clause, page_token=token))  # type: ignore[misc]
        except MlflowException as error:
            # Unity Catalog searches by name only; the tag on the model is used there.
            if kind_of(error) is not ProblemKind.INVALID:
                raise


def _noted_on(client: MlflowClient, models: Iterable[LoggedModel]) -> Iterator[ModelVersion]:
    for model in models:
        for entry in json.loads(model.tags.get(VERSIONS_OF_MODEL, "[]")):
            try:
                yield client.get_model_version(entry["name"], str(entry["version"]))
            except MlflowException as error:
                if kind_of(error) is not ProblemKind.NOT_FOUND:  # deleted since
                    raise


def _number(version: ModelVersion) -> int:
    return int(version.version)
