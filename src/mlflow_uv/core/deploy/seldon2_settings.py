"""Defines the settings of the target seldon2."""

from typing import Annotated

from ...command.errors import BadInput
from ...command.limits import Limits
from ...command.step import Doc, Matching
from ...payloads.messages.lazy_dataclass import lazy_dataclass
from ..release.record import ModelLink
from .target_settings import LABEL, CanarySettings


@lazy_dataclass
class Seldon2Settings(CanarySettings):
    """Settings of the target seldon2: Models, which servers of Seldon Core 2 load."""

    namespace: Annotated[
        str, Doc("Namespace of the Models, with servers of Seldon."), Matching(LABEL, "the name of a namespace")
    ] = "default"
    replicas: Annotated[int, Limits(least=1), Doc("Number of servers that load a version.")] = 1
    max_replicas: Annotated[int | None, Limits(least=1), Doc("Largest number of them, if Seldon scales models.")] = None
    memory: Annotated[int, Limits(least=6), Doc("Memory in MiB that the model needs on a server.")] = 1024
    storage_uri: Annotated[
        str | None,
        Doc(
            "Address of the model's files, with `{model-id}`, `{run-id}`, `{name}` and `{version}`, which must be set."
        ),
        Matching(r"[a-z][a-z0-9+.-]*://[^\s@\x00-\x1f]+", "an address such as s3://BUCKET/{model-id}/artifacts"),
    ] = None
    storage_secret: Annotated[
        str | None,
        Doc("Secret with the access to the files, as Seldon reads it."),
        Matching(LABEL, "the name of a Secret"),
    ] = None
    server: Annotated[
        str | None,
        Doc("Server that loads the model; by default one that has the capability `mlflow`."),
        Matching(LABEL, "the name of a Server"),
    ] = None
    url: Annotated[
        str | None,
        Doc("URL at which this machine reaches the mesh of Seldon; without it, it is reached by the API server."),
        Matching(r"https?://[^\s@]+", "an HTTP address"),
    ] = None


def stored_at(settings: Seldon2Settings, model: ModelLink, name: str, version: str) -> str:
    """The address of the files of a version. Raises BadInput without one in the settings."""
    if settings.storage_uri is None:
        raise BadInput(
            what="the deployment has no `storage-uri`",
            why="servers of Seldon Core 2 run the files of a model, and no image",
            fix='storage-uri = "s3://BUCKET/{model-id}/artifacts" in the table of the deployment',
        )
    return with_parts(settings.storage_uri, model, name, version)


def with_parts(address: str, model: ModelLink, name: str, version: str) -> str:
    """An address of files with the parts that differ between versions."""
    parts = {"model-id": model.model_id, "run-id": model.run_id, "name": name, "version": version}
    for part, value in parts.items():
        address = address.replace(f"{{{part}}}", value)
    return address
