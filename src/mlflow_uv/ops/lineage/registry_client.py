"""Connects to the model registry, with the project's environment or a server client."""

from datetime import UTC, datetime
from pathlib import Path

from ...command.errors import BadInput
from ...command.inputs import RegistryInputs
from ...command.wording import option
from ...core.lock.selection import Selection
from ...payloads.messages.lazy_dataclass import lazy_dataclass
from ...payloads.messages.registry import Author
from ...tools.mlflow.store import StoreKind
from ...tools.mlflow.store_client import StoreClient
from ...tools.project.files import NoProject, Project, read_project
from ...tools.toolbox import Tools
from ..lock.served_selection import require_mlflow


@lazy_dataclass
class RegistryClient:
    """A client of the store, and the project with its selection, if there is one."""

    client: StoreClient
    project: Project | None
    selection: Selection
    tools: Tools

    def model_name(self, given: str | None) -> str:
        """Return the given model name, else the project's name. Raises BadInput without either."""
        if given is None and self.project is None:
            raise BadInput(
                what="no model was named", why="the project folder was not found", fix=option("model-name", "NAME")
            )
        return given or str(self.project and self.project.name)


def connect(inputs: RegistryInputs, tools: Tools) -> RegistryClient:
    """
    Choose the interpreter that accesses the store.

    Raises BadProject for a project that cannot be read, and for a database without a project or whose project serves
    no MLflow; StoreUnreachable if no store is configured; ToolFailed.
    """
    project = project_here(inputs.project)
    store = tools.mlflow.store(inputs.tracking_uri, embedded=inputs.embedded)
    selection = Selection(package=inputs.package, extras=inputs.extras, groups=inputs.groups)
    python = tools.environments.registry_client(store, project, selection)
    if project is not None and store.kind is not StoreKind.SERVER:
        _require_mlflow_in(python, project, selection, tools)
    store = tools.mlflow.resolve_embedded(store, python, inputs.project)
    client = StoreClient(mlflow=tools.mlflow, python=python, store=store)
    return RegistryClient(client=client, project=project, selection=selection, tools=tools)


def _require_mlflow_in(python: Path, project: Project, selection: Selection, tools: Tools) -> None:
    """Raise BadProject with the group or extra that has MLflow, if the selection has none."""
    if tools.mlflow.describe_environment(python).mlflow is None:
        require_mlflow(tools.uv.export(project, selection), selection, project)


def author(tools: Tools) -> Author:
    """Return author, time (UTC) and workflow run for the audit entry."""
    variables = tools.host.variables
    when = datetime.fromtimestamp(tools.clock.date_s(), UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    if tools.host.ci:
        where = [variables.get(f"GITHUB_{part}", "") for part in ("SERVER_URL", "REPOSITORY", "RUN_ID")]
        server, repository, run = where
        address = f"{server}/{repository}/actions/runs/{run}" if all(where) else ""
        return Author(who=variables.get("GITHUB_ACTOR", "unknown"), when=when, run=address)
    return Author(who=tools.host.who, when=when, run="")


def project_here(folder: Path) -> Project | None:
    """
    Return the project of a folder, None if there is none: a server can be used from anywhere.

    Raises BadProject for a project that cannot be read, whose settings would be ignored.
    """
    try:
        return read_project(folder)
    except NoProject:
        return None
