"""A stand-in for the models of Unity Catalog in memory, by the requests that MLflow's client of it sends."""

import re
import time
from dataclasses import dataclass, field
from typing import Any

from tests.stand_ins.refusal import Refused

PREFIX = "/api/2.0/mlflow/unity-catalog/"
# https://docs.databricks.com/en/database-objects/tags.html; the message is that of the service.
RESERVED = re.compile(r"[.,\-=/:]")
MOST_TAGS, LONGEST_KEY, LONGEST_VALUE = 50, 255, 1000
_PAGE = 2  # versions on a page of a search
_OBJECT = re.compile(r"[^.\s/\x00-\x1f\x7f]{1,255}")
# What each request must and may have.
REQUESTS: dict[tuple[str, str], tuple[str, tuple[str, ...], tuple[str, ...]]] = {
    ("POST", "registered-models/create"): ("create_model", ("name",), ("tags", "description", "deployment_job_id")),
    ("PATCH", "registered-models/update"): ("update_model", ("name",), ("description",)),
    ("DELETE", "registered-models/delete"): ("delete_model", ("name",), ()),
    ("GET", "registered-models/get"): ("get_model", ("name",), ()),
    ("GET", "registered-models/search"): ("search_models", (), ("max_results", "page_token")),
    ("POST", "registered-models/set-tag"): ("set_model_tag", ("name", "key", "value"), ()),
    ("DELETE", "registered-models/delete-tag"): ("delete_model_tag", ("name", "key"), ()),
    ("POST", "registered-models/alias"): ("set_alias", ("name", "alias", "version"), ()),
    ("DELETE", "registered-models/alias"): ("delete_alias", ("name", "alias"), ()),
    ("GET", "registered-models/alias"): ("get_by_alias", ("name", "alias"), ()),
    ("POST", "model-versions/create"): (
        "create_version",
        ("name", "source"),
        ("run_id", "description", "run_tracking_server_id", "feature_deps", "tags", "model_version_dependencies",
         "model_id"),
    ),
    ("POST", "model-versions/finalize"): ("finalize", ("name", "version"), ()),
    ("PATCH", "model-versions/update"): ("update_version", ("name", "version"), ("description",)),
    ("DELETE", "model-versions/delete"): ("delete_version", ("name", "version"), ()),
    ("GET", "model-versions/get"): ("get_version", ("name", "version"), ()),
    ("GET", "model-versions/search"): ("search_versions", ("filter",), ("max_results", "page_token")),
    ("GET", "model-versions/get-download-uri"): ("download_uri", ("name", "version"), ()),
    ("POST", "model-versions/set-tag"): ("set_version_tag", ("name", "version", "key", "value"), ()),
    ("DELETE", "model-versions/delete-tag"): ("delete_version_tag", ("name", "version", "key"), ()),
    ("POST", "model-versions/generate-temporary-credentials"): ("credentials", ("name", "version", "operation"), ()),
    ("POST", "model-versions/emit-lineage"): (
        "emit_lineage", ("name", "version", "model_version_lineage_info"), ("securable",),
    ),
    ("GET", "registered-models:is-databricks-sdk-models-artifact-repository-enabled"): ("by_sdk", (), ()),
}  # fmt: skip


@dataclass
class CatalogModel:
    """A registered model: tags, aliases, and versions by their numbers, which are never given twice."""

    name: str
    description: str = ""
    tags: dict[str, str] = field(default_factory=dict)
    aliases: dict[str, str] = field(default_factory=dict)
    versions: dict[str, dict[str, Any]] = field(default_factory=dict)
    last: int = 0


@dataclass
class UnityCatalog:
    """
    The models of one schema; `requests` are the names of what was asked.

    With `bucket`, clients get temporary credentials for a location there, else the files API of the workspace.
    """

    schema: str = "main.models"
    bucket: str = ""
    keys: tuple[str, str, str] = ("ASIA-temporary", "temporary-secret", "temporary-session")
    models: dict[str, CatalogModel] = field(default_factory=dict)
    requests: list[str] = field(default_factory=list)

    def answer(self, method: str, path: str, values: dict[str, Any]) -> tuple[int, dict[str, Any]]:
        """The status and the document of the response to a request below PREFIX."""
        try:
            if (method, path) not in REQUESTS:
                raise Refused("ENDPOINT_NOT_FOUND", f"No API found for '{method} {PREFIX}{path}'")
            name, required, optional = REQUESTS[method, path]
            self.requests.append(name)
            if unknown := sorted(set(values) - {*required, *optional}):
                raise Refused("INVALID_PARAMETER_VALUE", f"Unknown fields: {unknown}")
            if missing := [part for part in required if part != "value" and not values.get(part)]:
                raise Refused("INVALID_PARAMETER_VALUE", f"Missing required field: {missing[0]}")
            return 200, dict(getattr(self, f"_{name}")(**values))
        except Refused as error:
            status = 404 if error.code.endswith(("DOES_NOT_EXIST", "NOT_FOUND")) else 400
            return status, {"error_code": error.code, "message": error.message}

    def _create_model(self, name: str, description: str = "", tags: Any = (), **_: Any) -> dict[str, Any]:
        parts = name.split(".")
        if len(parts) != len(("catalog", "schema", "model")):
            raise Refused(
                "INVALID_PARAMETER_VALUE",
                f"{name} is not a valid name. Please specify all three levels of the model in the form"
                " `catalog_name`.`schema_name`.`model_name`",
            )
        if not all(map(_OBJECT.fullmatch, parts)):
            raise Refused("INVALID_PARAMETER_VALUE", f"{name} is not a valid name.")
        name = name.lower()  # names are stored in lower case
        if name.rpartition(".")[0] != self.schema:
            raise Refused("NOT_FOUND", f"Schema '{name.rpartition('.')[0]}' does not exist.")
        if name in self.models:
            raise Refused("ALREADY_EXISTS", f"Routine or Model '{name}' already exists")
        model = CatalogModel(name=name, description=description)
        _tag(model.tags, {tag["key"]: tag["value"] for tag in tags})
        self.models[name] = model
        return {"registered_model": _described(model)}

    def _update_model(self, name: str, description: str = "") -> dict[str, Any]:
        self._model(name).description = description
        return {"registered_model": _described(self._model(name))}

    def _delete_model(self, name: str) -> dict[str, Any]:
        if self._model(name).versions:
            raise Refused("INVALID_PARAMETER_VALUE", f"{name} has versions")
        del self.models[name.lower()]
        return {}

    def _get_model(self, name: str) -> dict[str, Any]:
        return {"registered_model": _described(self._model(name))}

    def _search_models(self, **_: Any) -> dict[str, Any]:
        return {"registered_models": [{"name": name} for name in sorted(self.models)]}

    def _set_model_tag(self, name: str, key: str, value: str = "") -> dict[str, Any]:
        _tag(self._model(name).tags, {key: value})
        return {}

    def _delete_model_tag(self, name: str, key: str) -> dict[str, Any]:
        if self._model(name).tags.pop(key, None) is None:
            raise Refused("RESOURCE_DOES_NOT_EXIST", f"Tag {key} does not exist on {name}")
        return {}

    def _set_alias(self, name: str, alias: str, version: str) -> dict[str, Any]:
        self._version(name, version)
        self._model(name).aliases[alias] = version
        return {}

    def _delete_alias(self, name: str, alias: str) -> dict[str, Any]:
        self._model(name).aliases.pop(alias, None)
        return {}

    def _get_by_alias(self, name: str, alias: str) -> dict[str, Any]:
        if alias not in self._model(name).aliases:
            raise Refused("RESOURCE_DOES_NOT_EXIST", f"Alias {alias} does not exist on {name}")
        return self._get_version(name, self._model(name).aliases[alias])

    def _create_version(self, name: str, tags: Any = (), **values: Any) -> dict[str, Any]:
        model = self._model(name)
        written: dict[str, str] = {}
        _tag(written, {tag["key"]: tag["value"] for tag in tags})
        model.last += 1
        number = str(model.last)
        kept = {key: values[key] for key in ("source", "run_id", "description", "model_id") if values.get(key)}
        model.versions[number] = {
            **kept, "name": model.name, "version": number, "status": "PENDING_REGISTRATION", "tags": written,
            "creation_timestamp": int(time.time() * 1000), "storage_location": self._location(model.name, number),
        }  # fmt: skip
        return self._get_version(name, number)

    def _finalize(self, name: str, version: str) -> dict[str, Any]:
        self._version(name, version)["status"] = "READY"
        return self._get_version(name, version)

    def _update_version(self, name: str, version: str, description: str = "") -> dict[str, Any]:
        self._version(name, version)["description"] = description
        return self._get_version(name, version)

    def _delete_version(self, name: str, version: str) -> dict[str, Any]:
        self._version(name, version)
        del self._model(name).versions[version]
        aliases = self._model(name).aliases
        self._model(name).aliases = {alias: number for alias, number in aliases.items() if number != version}
        return {}

    def _get_version(self, name: str, version: str) -> dict[str, Any]:
        found, aliases = self._version(name, version), self._model(name).aliases
        return {
            "model_version": {
                **found,
                "tags": [{"key": key, "value": value} for key, value in found["tags"].items()],
                "aliases": [
                    {"alias": alias, "version": number} for alias, number in aliases.items() if number == version
                ],
            }
        }

    def _search_versions(self, filter: str, page_token: str = "", **_: Any) -> dict[str, Any]:  # noqa: A002  # its name
        clause = re.fullmatch(r"(name|run_id)\s*=\s*'([^']*)'", filter)
        if clause is None:
            raise Refused("INVALID_PARAMETER_VALUE", f"Unsupported filter query : `{filter}`")
        versions = [version for model in self.models.values() for version in model.versions.values()]
        wanted = clause[2].lower() if clause[1] == "name" else clause[2]
        found = [version for version in versions if version.get(clause[1]) == wanted]
        start = int(page_token or 0)
        # Results have neither tags nor aliases.
        page = [{key: value for key, value in version.items() if key != "tags"} for version in found[start:][:_PAGE]]
        more = {"next_page_token": str(start + _PAGE)} if len(found) > start + _PAGE else {}
        return {"model_versions": page, **more}

    def _download_uri(self, name: str, version: str) -> dict[str, Any]:
        return {"artifact_uri": self._version(name, version)["storage_location"]}

    def _set_version_tag(self, name: str, version: str, key: str, value: str = "") -> dict[str, Any]:
        _tag(self._version(name, version)["tags"], {key: value})
        return {}

    def _delete_version_tag(self, name: str, version: str, key: str) -> dict[str, Any]:
        if self._version(name, version)["tags"].pop(key, None) is None:
            raise Refused("RESOURCE_DOES_NOT_EXIST", f"Tag {key} does not exist on version {version} of {name}")
        return {}

    def _credentials(self, name: str, version: str, operation: str) -> dict[str, Any]:
        found = self._version(name, version)
        if operation == "MODEL_VERSION_OPERATION_READ_WRITE" and found["status"] == "READY":
            raise Refused("INVALID_PARAMETER_VALUE", f"Version {version} of {name} is finalized, and cannot be written")
        key, secret, session = self.keys
        temporary = {"access_key_id": key, "secret_access_key": secret, "session_token": session}
        return {"credentials": {"aws_temp_credentials": temporary}}

    def _emit_lineage(self, name: str, version: str, **_: Any) -> dict[str, Any]:
        self._version(name, version)
        return {}

    def _by_sdk(self) -> dict[str, Any]:
        return {"is_databricks_sdk_models_artifact_repository_enabled": not self.bucket}

    def _location(self, name: str, version: str) -> str:
        place = f"{name.replace('.', '/')}/{version}"
        return f"s3://{self.bucket}/managed/{place}" if self.bucket else f"dbfs:/Models/{place}"

    def _model(self, name: str) -> CatalogModel:
        if name.lower() not in self.models:
            raise Refused("RESOURCE_DOES_NOT_EXIST", f"Routine or Model '{name}' does not exist.")
        return self.models[name.lower()]

    def _version(self, name: str, version: str) -> dict[str, Any]:
        if version not in self._model(name).versions:
            raise Refused("RESOURCE_DOES_NOT_EXIST", f"Model version {version} of '{name}' does not exist.")
        return self._model(name).versions[version]


def _tag(tags: dict[str, str], more: dict[str, str]) -> None:
    """Add tags, all or none. Raises Refused."""
    for key, value in more.items():
        if RESERVED.search(key):
            characters = "List(., ,, -, =, /, :)"
            raise Refused(
                "INVALID_PARAMETER_VALUE",
                f"Tag name {key} contains one or more of the reserved characters: {characters}",
            )
        if not key or key != key.strip() or len(key) > LONGEST_KEY:
            raise Refused("INVALID_PARAMETER_VALUE", f"Tag name {key!r} is not valid")
        if len(value) > LONGEST_VALUE:
            raise Refused("INVALID_PARAMETER_VALUE", f"The value of tag {key} has more than {LONGEST_VALUE} characters")
    if len({**tags, **more}) > MOST_TAGS:
        raise Refused("INVALID_PARAMETER_VALUE", f"An object has at most {MOST_TAGS} tags")
    tags.update(more)


def _described(model: CatalogModel) -> dict[str, Any]:
    return {
        "name": model.name,
        "description": model.description,
        "aliases": [{"alias": alias, "version": version} for alias, version in model.aliases.items()],
        "tags": [{"key": key, "value": value} for key, value in model.tags.items()],
    }
