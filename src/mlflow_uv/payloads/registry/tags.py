"""Sets tags on runs, logged models, versions and registered models."""

from ..messages.registry import SetTags, TaggedRecord, TagRecord
from ..messages.request import Done
from ..messages.tags import RECORD_DIGEST
from ..stores import mlflow2
from .clients import open_registry
from .lease import hold_lease


def tag(request: SetTags) -> Done:
    """Set tags on each of the given objects."""
    client, tags = open_registry(), dict(request.tags)
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


def tag_record(request: TagRecord) -> TaggedRecord:
    """
    Set tags on a version under the lease of its registered model, if its record is the one that is replaced.

    MLflow has no compare-and-set: without the lease, of two machines that read one record the second would overwrite
    what the first wrote.
    """
    client = open_registry()
    about = {"what": f"the record of version {request.version}"}
    with hold_lease(client, request.name, lease_s=request.lease_s, about=about) as lease:
        digest = client.get_model_version(request.name, request.version).tags.get(RECORD_DIGEST)
        if digest == request.replaces:
            lease.read()
            for key, value in request.tags.items():
                client.set_model_version_tag(request.name, request.version, key, value)
            digest = request.tags[RECORD_DIGEST]
    return TaggedRecord(digest=digest)
