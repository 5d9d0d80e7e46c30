"""A repository whose branch is kept in memory, for the tests that are the same for every target."""

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import Any

from mlflow_uv.command.errors import PlanOutdated
from mlflow_uv.core.deploy.repository_settings import FileFormat, RepositorySettings
from mlflow_uv.ops.deploy.gitops import RepositoryDeployment
from mlflow_uv.ops.deploy.target import DeploymentOptions, DeploymentTarget
from mlflow_uv.tools.git.remote_branch import FileChange, FileState
from mlflow_uv.tools.github.pull_requests import PullRequests

from .worlds import PROXY_IMAGE, tools_of_tests

FILE = "apps/prod.yaml"
MANIFEST = b"""# ours
kind: Deployment
metadata:
  name: prod
spec:
  template:
    spec:
      containers:
        - name: image
          image: old  # replaced
"""


@dataclass
class KeptBranch:
    """See FileBranch; `history` has the contents of the file, `proposed` those of other branches."""

    history: list[bytes] = field(default_factory=lambda: [MANIFEST])
    messages: list[str] = field(default_factory=list)
    proposed: dict[str, bytes] = field(default_factory=dict)
    is_there: bool = True

    def read(self, path: str) -> FileState:
        """See FileBranch."""
        assert path == FILE
        return FileState(commit=f"{len(self.history):040}", data=self.history[-1] if self.is_there else None)

    def earlier(self, path: str) -> Iterator[bytes]:
        """See FileBranch."""
        assert path == FILE
        yield from reversed(self.history[:-1])

    def push(self, change: FileChange, *, to: str) -> str:
        """See FileBranch."""
        if change.before != self.history[-1]:
            raise PlanOutdated(what="the file changed after the plan")
        if to == "main":
            self.history.append(change.after)
            self.messages.append(change.message)
        else:
            self.proposed[to] = change.after
        return f"{len(self.history):040}"


@dataclass
class RepositoryWorld:
    """A repository with the manifest of a service."""

    branch: KeptBranch
    options: DeploymentOptions
    pull_requests: PullRequests | None = None

    def target(self, model: str = "wine", **more: Any) -> DeploymentTarget:
        """See World."""
        options = replace(self.options, model=model, **more)
        return RepositoryDeployment(options, self.branch, self.pull_requests, tools_of_tests())

    def plant(self, version: str, fault: str) -> None:
        """See World."""
        raise NotImplementedError  # nothing of this repository runs

    def accept_deletions(self, *, without_effect: bool) -> None:
        """See World."""
        raise NotImplementedError  # nothing is deleted


def repository_world(*, pull_requests: PullRequests | None = None, **settings: Any) -> RepositoryWorld:
    """A repository to which nobody has deployed."""
    own = {"repository": "https://git.example/o/r", "file": "apps/{name}.yaml", "format": FileFormat.MANIFEST}
    options = DeploymentOptions(
        name="prod",
        settings=RepositorySettings(target="gitops", **{**own, **settings}),
        is_preview=False,
        proxy_image=PROXY_IMAGE,
        deadline_s=5,
        answer_s=60,
    )
    return RepositoryWorld(branch=KeptBranch(), options=options, pull_requests=pull_requests)
