"""Who may talk to the store about a model, where no record says which environment did?"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Protocol

from ...command.errors import BadInput, BadProject
from ...command.wording import option
from ...core.lock.selection import Selection
from ...tools.mlflow.mlflow import Store, StoreKind
from ...tools.project.files import Project, read_project
from ...tools.toolbox import Tools
from ..lock.served_selection import require_mlflow


class RegistryInputs(Protocol):
    """What every step that asks the registry is told: the project, what of it is served, and the store."""

    @property
    def project(self) -> Path:
        """Folder of the project, which need not be here for a server."""

    @property
    def package(self) -> str | None:
        """The workspace member that is served."""

    @property
    def extras(self) -> tuple[str, ...]:
        """Extras that are served."""

    @property
    def groups(self) -> tuple[str, ...]:
        """Groups that are served."""

    @property
    def tracking_uri(self) -> str | None:
        """The store, if one was named."""

    @property
    def embedded(self) -> bool:
        """Whether a store that vanishes will do."""


@dataclass(frozen=True, kw_only=True, slots=True)
class RegistryClient:
    """A store, the interpreter that may talk to it, the project, if it is here, and what of the project is served."""

    store: Store
    python: Path
    project: Project | None
    selection: Selection
    tools: Tools

    def ask(self, verb: str, **request: object) -> dict[str, Any]:
        """Ask one payload. Raises the StepError that fits the kind of its error."""
        return self.tools.mlflow.ask(self.python, self.store, verb, **request)

    def version(self, name: str, version: str) -> Mapping[str, Any]:
        """A registered version, as the payload `describe-version` tells it."""
        return self.ask("describe-version", name=name, version=version)

    def model_name(self, given: str | None) -> str:
        """The name of the registered model: the one given, else the project's. Raises BadInput without either."""
        if given is None and self.project is None:
            raise BadInput(
                what="no model was named", why="the project folder was not found", fix=option("model-name", "NAME")
            )
        return given or str(self.project and self.project.name)


def contact(question: RegistryInputs, tools: Tools) -> RegistryClient:
    """
    Choose the interpreter that may talk to the named store.

    Raises BadProject for a database without a project or whose project serves no MLflow, StoreUnreachable where no
    store was named, ToolFailed.
    """
    store = tools.mlflow.store(question.tracking_uri, embedded=question.embedded)
    project = project_here(question.project)
    selection = Selection(package=question.package, extras=question.extras, groups=question.groups)
    python = tools.environments.registry_client(store, project, selection)
    if project is not None and store.kind is not StoreKind.SERVER:
        _require_mlflow_in(python, project, selection, tools)
    store = tools.mlflow.resolve_embedded(store, python, question.project)
    return RegistryClient(store=store, python=python, project=project, selection=selection, tools=tools)


def _require_mlflow_in(python: Path, project: Project, selection: Selection, tools: Tools) -> None:
    """Name the group or extra that has MLflow, if a release was made with one that is not selected now."""
    if tools.mlflow.describe_environment(python)["mlflow"] is None:
        require_mlflow(tools.uv.export(project, selection), selection, project)


def author(tools: Tools) -> dict[str, str]:
    """Who asks, when (UTC), and in which run of a workflow, for whoever looks at a version later."""
    variables = tools.host.variables
    when = datetime.fromtimestamp(tools.clock.date_s(), UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    if tools.host.ci:
        where = [variables.get(f"GITHUB_{part}", "") for part in ("SERVER_URL", "REPOSITORY", "RUN_ID")]
        server, repository, run = where
        address = f"{server}/{repository}/actions/runs/{run}" if all(where) else ""
        return {"who": variables.get("GITHUB_ACTOR", "unknown"), "when": when, "run": address}
    return {"who": tools.host.who, "when": when, "run": ""}


def project_here(folder: Path) -> Project | None:
    """The project of a folder, None where there is none: a server can be asked from anywhere."""
    try:
        return read_project(folder)
    except BadProject:
        return None
