"""Opens MLflow's client of the registry; that of Unity Catalog names tags otherwise and finds versions without them."""

import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import yaml
from mlflow import MlflowClient
from mlflow.artifacts import download_artifacts
from mlflow.entities.model_registry import ModelVersion, RegisteredModel
from mlflow.exceptions import MlflowException
from mlflow.store.entities.paged_list import PagedList

from ..problems import ProblemKind, kind_of
from ..stores.repositories import own_folder
from .unity_catalog_tags import catalog_name, catalog_tags, original_tags

_UNITY_CATALOG = "databricks-uc"


def open_registry() -> MlflowClient:
    """The client of the registry that the variables name."""
    client = MlflowClient()
    # With a workspace as tracking server, MLflow 3 registers in Unity Catalog.
    uri = str(client._registry_uri or "")  # noqa: SLF001  # public only as that of the process
    return UnityCatalogClient() if uri.startswith(_UNITY_CATALOG) else client


class UnityCatalogClient(MlflowClient):  # type: ignore[misc]  # not installed where types are checked
    """
    MLflow's client of Unity Catalog, with the tags of this program as in any other registry.

    The catalog refuses their names. What it finds by a search has neither tags nor aliases: `tags` of it is a method,
    which raises an exception.
    """

    def __init__(self) -> None:
        super().__init__()
        # The tags that a long value was written to, by those of its first one.
        self._parts: dict[tuple[str, str, str], list[str]] = {}

    def create_model_version(
        self,
        name: str,
        source: str,
        run_id: "str | None" = None,
        tags: "Mapping[str, Any] | None" = None,
        **options: Any,
    ) -> ModelVersion:
        """See MlflowClient; the catalog keeps a copy of the files, which the client uploads from this machine."""
        written = dict(tag for key, value in (tags or {}).items() for tag in catalog_tags(key, str(value)))
        with own_folder() as folder:
            shutil.copytree(download_artifacts(artifact_uri=source, dst_path=str(Path(folder).parent)), folder)
            with _models_read_without_numpy():
                created = self._create_model_version(
                    name, source, run_id=run_id, tags=written, local_model_path=folder, **options
                )
        return _as_set(created)

    def get_model_version(self, name: str, version: str) -> ModelVersion:
        """See MlflowClient."""
        return _as_set(super().get_model_version(name, version))

    def get_model_version_by_alias(self, name: str, alias: str) -> ModelVersion:
        """See MlflowClient."""
        return _as_set(super().get_model_version_by_alias(name, alias))

    def get_registered_model(self, name: str) -> RegisteredModel:
        """See MlflowClient."""
        return _as_set(super().get_registered_model(name))

    def search_model_versions(self, *args: Any, **options: Any) -> PagedList:
        """See MlflowClient; each version is read by itself."""
        page = super().search_model_versions(*args, **options)
        versions = []
        for found in page:
            try:
                versions.append(self.get_model_version(found.name, str(found.version)))
            except MlflowException as error:
                if kind_of(error) is not ProblemKind.NOT_FOUND:  # deleted since
                    raise
        return PagedList(versions, page.token)

    def set_model_version_tag(self, name: str, version: str, key: str, value: Any) -> None:
        """See MlflowClient."""
        for written, part in self._written(name, version, key, value):
            super().set_model_version_tag(name, version, written, part)

    def delete_model_version_tag(self, name: str, version: str, key: str) -> None:
        """See MlflowClient."""
        for written in self._names(name, version, key):
            super().delete_model_version_tag(name, version, written)

    def set_registered_model_tag(self, name: str, key: str, value: Any) -> None:
        """See MlflowClient."""
        for written, part in self._written(name, "", key, value):
            super().set_registered_model_tag(name, written, part)

    def delete_registered_model_tag(self, name: str, key: str) -> None:
        """See MlflowClient."""
        for written in self._names(name, "", key):
            super().delete_registered_model_tag(name, written)

    def _written(self, name: str, version: str, key: str, value: Any) -> "tuple[tuple[str, str], ...]":
        tags = catalog_tags(key, str(value))
        self._parts[name, version, key] = [written for written, _ in tags[:-1]]
        return tags

    def _names(self, name: str, version: str, key: str) -> "tuple[str, ...]":
        return (catalog_name(key), *self._parts.pop((name, version, key), ()))


@contextmanager
def _models_read_without_numpy() -> Iterator[None]:
    """
    Let MLflow read what it needs of a model to register it from the model's MLmodel file.

    It does so with `Model.load`, which imports numpy for a signature; the environment of the registry has none.
    """
    from mlflow.store._unity_catalog.registry import rest_store  # noqa: PLC0415  # no other registry needs it

    original = rest_store._load_model  # noqa: SLF001
    rest_store._load_model = _described_model  # noqa: SLF001
    try:
        yield
    finally:
        rest_store._load_model = original  # noqa: SLF001


def _described_model(folder: str) -> SimpleNamespace:
    parts = yaml.safe_load((Path(folder) / "MLmodel").read_text(encoding="utf-8"))
    signature = parts.get("signature")
    return SimpleNamespace(
        flavors=parts.get("flavors") or {},
        signature=None if not signature else SimpleNamespace(outputs=signature.get("outputs")),
        resources=parts.get("resources"),
        auth_policy=parts.get("auth_policy"),
    )


def _as_set(found: Any) -> Any:
    """What the catalog returned, with tags as they were set."""
    found._tags = original_tags(found.tags)  # noqa: SLF001  # has no setter
    return found
