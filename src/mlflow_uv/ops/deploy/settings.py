"""Finds the settings of a deployment in the project that names it."""

from ...command.errors import BadInput
from ...command.wording import near_name, option, step_call
from ...core.deploy.settings import read_deployments, require_name
from ...core.deploy.target_settings import TargetSettings
from ...payloads.messages.lazy_dataclass import lazy_dataclass
from ...tools.project.files import Project
from ...tools.project.policy_table import policy_tables
from ...tools.toolbox import Tools


def settings_of(project: Project, given: str | None, tools: Tools) -> tuple[str, TargetSettings]:
    """
    The name and the settings of a deployment; without a name, those of the only one.

    Raises BadInput if the project has none of this name, or several and none was named.
    """
    deployments = read_deployments(policy_tables(project, "deploy", where=tools.host.folder))
    if given is not None and given in deployments:
        return given, deployments[given]
    if given is None and len(deployments) == 1:
        return next(iter(deployments.items()))
    if not deployments:
        raise BadInput(
            what="pyproject.toml has no deployment",
            why="`deploy` reads the target from a table such as [tool.mlflow-uv.deploy.prod]",
            fix='add [tool.mlflow-uv.deploy.prod] with target = "compose"',
        )
    known = ", ".join(deployments)
    if given is None:
        why = f"pyproject.toml has {known}"
        raise BadInput(what="`target` is not given", why=why, fix=option("target", next(iter(deployments))))
    near = near_name(given, deployments) or next(iter(deployments))
    raise BadInput(
        what=f"pyproject.toml has no deployment {given!r}", why=f"it has {known}", fix=option("target", near)
    )


@lazy_dataclass
class DeploymentName:
    """
    The name of a deployment: that of its table, and for a preview of it the preview's.

    `serve_env` are the names of the variables of its model, which a command that deploys it must name too.
    """

    table: str
    preview: str | None = None
    serve_env: tuple[str, ...] = ()

    @property
    def full(self) -> str:
        """The name in the target. Raises BadInput for the name of a preview that is not one."""
        if self.preview is None:
            return self.table
        require_name(self.preview, source="`preview`")
        together = f"{self.table}-{self.preview}"
        require_name(together, source=f"`preview` with `{self.table}` before it")
        return together

    def deploy_call(self, version_uri: str) -> str:
        """The command that deploys a version to it."""
        more = {} if self.preview is None else {"preview": self.preview}
        if self.serve_env:
            more["serve_env"] = ",".join(self.serve_env)
        return step_call("deploy", version_uri=version_uri, target=self.table, **more)
