"""Sets tags on runs, logged models, versions and registered models."""

from typing import Any

from mlflow import MlflowClient

from . import mlflow2


def tag(request: dict[str, Any]) -> dict[str, Any]:
    """
    Set tags on each of the given objects.

    {run_id?, model_id?, version?: [name, version], name?: of a registered model, tags} -> {}
    """
    client = MlflowClient()
    tags: dict[str, str] = request["tags"]
    if "run_id" in request:
        for key, value in tags.items():
            client.set_tag(request["run_id"], key, value)
    if "model_id" in request and mlflow2.is_of_run(request["model_id"]):
        mlflow2.tag(client, request["model_id"], tags)
    elif "model_id" in request:
        client.set_logged_model_tags(request["model_id"], tags)
    if "version" in request:
        name, version = request["version"]
        for key, value in tags.items():
            client.set_model_version_tag(name, str(version), key, value)
    if "name" in request:
        for key, value in tags.items():
            client.set_registered_model_tag(request["name"], key, value)
    return {}
