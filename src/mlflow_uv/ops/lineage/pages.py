"""Lists the pages about a version on the tracking server: its run, its model and its place in the registry."""

from urllib.parse import quote

from ...command.report import WebLink
from ...core.release.record import Record
from ...tools.mlflow.store import StoreKind
from .registry_client import RegistryClient


def pages_about(record: Record, registry: RegistryClient) -> tuple[WebLink, ...]:
    """
    Return the pages of MLflow's UI about a version; none for a store without a web server.

    Raises StoreUnreachable, and ToolFailed if the run was deleted.
    """
    server = registry.client.store.shown.rstrip("/")
    if registry.client.store.kind is not StoreKind.SERVER or not server.startswith(("http://", "https://")):
        return ()
    pages = []
    if record.version is not None:
        name, version = quote(record.version.name, safe=""), quote(record.version.version, safe="")
        pages += [
            WebLink(title=f"Version {record.version.version}", address=f"{server}/#/models/{name}/versions/{version}"),
            WebLink(title=f"Registered model {record.version.name}", address=f"{server}/#/models/{name}"),
        ]
    if record.model.run_id:
        experiment = quote(registry.client.describe_run(record.model.run_id).experiment_id, safe="")
        run = quote(record.model.run_id, safe="")
        pages.append(WebLink(title="Training run", address=f"{server}/#/experiments/{experiment}/runs/{run}"))
    return tuple(pages)
