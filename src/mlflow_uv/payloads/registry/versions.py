"""Describes versions and registered models, and finds the versions of a model."""

import json
import re
from collections.abc import Iterable, Iterator
from dataclasses import replace
from typing import Any

from mlflow import MlflowClient
from mlflow.entities import Run
from mlflow.entities.model_registry import ModelVersion
from mlflow.exceptions import MlflowException

from ..messages.registry import (
    DescribeName,
    DescribeVersion,
    FindVersions,
    FoundVersions,
    RegisteredName,
    RegisteredVersion,
)
from ..problems import ProblemKind, kind_of, mask
from ..stores import mlflow2
from ..stores.searches import LoggedModel, equals, pages, texts
from .audit_entries import entries_of
from .clients import open_registry

# MLflow keeps the versions of a logged model in this tag of it.
VERSIONS_OF_MODEL = "mlflow.modelVersions"
_NAMES = 100
# `models:/m-<id>`, or an artifact location below `…/models/m-<id>/artifacts`. SQL stores leave `model_id` empty, so
# only the source identifies the model.
_MODEL_ID = re.compile(r"(?:^|/)(m-[0-9a-f]{32})(?=/|$)")


def describe(request: DescribeVersion) -> RegisteredVersion:
    """Describe a version in the registry."""
    return summary(open_registry().get_model_version(request.name, request.version))


def find(request: FindVersions) -> FoundVersions:
    """Find the versions of a registered model, or of one of its sources."""
    client = open_registry()
    versions = of_name(client, request.name)
    # Search results have no aliases.
    aliases = client.get_registered_model(request.name).aliases if versions else {}
    return FoundVersions(
        versions=tuple(
            replace(
                summary(version),
                aliases=tuple(sorted(name for name, number in aliases.items() if str(number) == str(version.version))),
            )
            for version in versions
            if request.model_id is None or source_model(version) == request.model_id
        )
    )


def describe_name(request: DescribeName) -> RegisteredName:
    """Describe a registered model."""
    client = open_registry()
    try:
        registered = client.get_registered_model(request.name)
    except MlflowException as error:
        if kind_of(error) is not ProblemKind.NOT_FOUND:
            raise
        return RegisteredName(exists=False, names=tuple(_some_names(client)))
    return RegisteredName(
        exists=True,
        aliases={alias: str(version) for alias, version in registered.aliases.items()},
        tags=texts(registered.tags),
        description=registered.description or None,
        created=int(registered.creation_timestamp) if registered.creation_timestamp else None,
    )


def _some_names(client: MlflowClient) -> list[str]:
    """The names of registered models on the first page of a search; none if the store refuses the search."""
    try:
        return [str(registered.name) for registered in client.search_registered_models(max_results=_NAMES)]
    except MlflowException:
        return []


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


def summary(version: ModelVersion) -> RegisteredVersion:
    """The description of a version that every verb returns."""
    return RegisteredVersion(created=int(version.creation_timestamp), **parts_of(version))


def parts_of(version: ModelVersion) -> dict[str, Any]:
    """The parts that every description of a version has."""
    return {
        "name": str(version.name),
        "version": str(version.version),
        "status": str(version.status),
        "message": version.status_message or None,
        "source": mask(version.source or ""),
        "model_id": source_model(version),
        "run_id": version.run_id or None,
        "description": version.description or None,
        "tags": texts(version.tags),
        "aliases": tuple(map(str, version.aliases)),
        "entries": tuple(entries_of(version.tags).values()),
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
