"""Connects to the model registry, with the project's environment or a server client."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from ...command.errors import BadInput, BadProject
from ...command.inputs import RegistryInputs
from ...command.wording import option
from ...core.lock.selection import Selection
from ...tools.mlflow.mlflow import Store, StoreKind
from ...tools.project.files import Project, read_project
from ...tools.toolbox import Tools
from ..lock.served_selection import require_mlflow


@dataclass(frozen=True, kw_only=True, slots=True)
class RegistryClient:
    """A store, the interpreter to access it, and the project with its selection, if there is one."""

    store: Store
    python: Path
    project: Project | None
    selection: Selection
    tools: Tools

    def ask(self, verb: str, **request: object) -> dict[str, Any]:
        """Run one payload. Raises the StepError that matches the kind of its error."""
        return self.tools.mlflow.ask(self.python, self.store, verb, **request)

    def version(self, name: str, version: str) -> Mapping[str, Any]:
        """Return a registered version, as described by the payload `describe-version`."""
        return self.ask("describe-version", name=name, version=version)

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

    Raises BadProject for a database without a project or whose project serves no MLflow, StoreUnreachable if no store
    is configured, ToolFailed.
    """
    store = tools.mlflow.store(inputs.tracking_uri, embedded=inputs.embedded)
    project = project_here(inputs.project)
    selection = Selection(package=inputs.package, extras=inputs.extras, groups=inputs.groups)
    python = tools.environments.registry_client(store, project, selection)
    if project is not None and store.kind is not StoreKind.SERVER:
        _require_mlflow_in(python, project, selection, tools)
    store = tools.mlflow.resolve_embedded(store, python, inputs.project)
    return RegistryClient(store=store, python=python, project=project, selection=selection, tools=tools)


def _require_mlflow_in(python: Path, project: Project, selection: Selection, tools: Tools) -> None:
    """Raise BadProject with the group or extra that has MLflow, if the selection has none."""
    if tools.mlflow.describe_environment(python)["mlflow"] is None:
        require_mlflow(tools.uv.export(project, selection), selection, project)


def author(tools: Tools) -> dict[str, str]:
    """Return author, time (UTC) and workflow run for the audit entry."""
    variables = tools.host.variables
    when = datetime.fromtimestamp(tools.clock.date_s(), UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    if tools.host.ci:
        where = [variables.get(f"GITHUB_{part}", "") for part in ("SERVER_URL", "REPOSITORY", "RUN_ID")]
        server, repository, run = where
        address = f"{server}/{repository}/actions/runs/{run}" if all(where) else ""
        return {"who": variables.get("GITHUB_ACTOR", "unknown"), "when": when, "run": address}
    return {"who": tools.host.who, "when": when, "run": ""}


def project_here(folder: Path) -> Project | None:
    """Return the project of a folder, None if there is none: a server can be used from anywhere."""
    try:
        return read_project(folder)
    except BadProject:
        return None
