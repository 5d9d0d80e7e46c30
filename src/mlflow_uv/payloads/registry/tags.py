"""Sets tags on runs, logged models, versions and registered models."""

from mlflow import MlflowClient

from ..messages.registry import SetTags
from ..messages.request import Done
from ..stores import mlflow2


def tag(request: SetTags) -> Done:
    """Set tags on each of the given objects."""
    client, tags = MlflowClient(), dict(request.tags)
    if request.run_id is not None:
        for key, value in tags.items():
            client.set_tag(request.run_id, key, value)
    if request.model_id is not None and mlflow2.is_of_run(request.model_id):
        mlflow2.tag(client, request.model_id, tags)
    elif request.model_id is not None:
        client.set_logged_model_tags(request.model_id, tags)
    if request.version is not None:
        name, version = request.version
        for key, value in tags.items():
            client.set_model_version_tag(name, version, key, value)
    if request.name is not None:
        for key, value in tags.items():
            client.set_registered_model_tag(request.name, key, value)
    return Done()
