"""
Deploys by a commit: a file of a git repository names the image and the version, and something else applies it.

A new version replaces the one before in the file, and is asked once the endpoint says that it has it. Returning is a
commit with the values as they were, on the file as it is by then.
"""

from collections.abc import Iterator
from contextlib import contextmanager

from ...command.errors import BadInput, NotServing, PlanOutdated, ToolFailed
from ...command.wording import Wording, option, step_call
from ...core.deploy.changed_lines import changed_lines
from ...core.deploy.difference import DeploymentChange, changes_between
from ...core.deploy.repository_files import (
    NamedVersion,
    file_naming,
    file_naming_as,
    named_version,
    names_the_same,
)
from ...core.deploy.repository_settings import RepositorySettings
from ...core.deploy.running import RUNNING
from ...core.release.digests import sha256
from ...core.security.documents import parse_json
from ...core.security.toml_documents import Unparsable
from ...tools.git.remote_branch import FileBranch, FileChange, RemoteBranch, require_github
from ...tools.github.api import GithubApi
from ...tools.github.pull_requests import PERMISSION, NewPullRequest, PullRequests
from ...tools.system.web import WebRequest, WebUnreachable
from ...tools.toolbox import Tools
from ..image.serving_check import Expected, ObservedServer
from .target import (
    IMAGE,
    MODEL,
    NOT_DEPLOYED,
    STATE,
    VERSION,
    DeployedVersion,
    DeploymentOptions,
    WantedVersion,
    models_of,
    require_own_model,
    require_same_model,
)

_PROPOSALS = "mlflow-uv/"  # how the branches of pull requests begin
_POLL_S = 2.0
_ATTEMPTS = 4  # to return, while others change the file
_LONGEST_LINE = 200  # characters of a changed line that are shown


class RepositoryDeployment:
    """See target.DeploymentTarget and target.Proposal."""

    def __init__(
        self, options: DeploymentOptions, branch: FileBranch, pull_requests: PullRequests | None, tools: Tools
    ) -> None:
        """With `pull_requests` a change is proposed, and without it pushed to the branch."""
        assert isinstance(options.settings, RepositorySettings)  # noqa: S101  # those of its kind
        self._options = options
        self._settings = options.settings
        self._branch = branch
        self._pull_requests = pull_requests
        self._tools = tools
        self._path = str(options.settings.file).replace("{name}", options.name)
        self._planned: FileChange | None = None
        self._wanted: NamedVersion | None = None
        self._pushed = False
        self.proposed: str | None = None

    def observe(self) -> DeployedVersion:
        """See DeploymentTarget; what the file says, whatever a cluster has made of it."""
        data = self._branch.read(self._path).data
        return NOT_DEPLOYED if data is None else self._deployed(self._named(data))

    def plan(self, wanted: WantedVersion) -> tuple[DeploymentChange, ...]:
        """See DeploymentTarget; shows the lines of the file that would change."""
        image = wanted.record.image
        if image is None or not image.digest:
            raise BadInput(
                what=f"the image of {wanted.model} version {wanted.version} is in no registry",
                why="the repository names it by its digest there",
                fix=step_call("release", push=True, image="REGISTRY/NAME"),
            )
        state = self._branch.read(self._path)
        if state.data is None:
            raise BadInput(
                what=f"{self._path} is not on `{self._settings.branch}` of {self._settings.repository}",
                why="a file that is there is changed, and none is made",
                fix="add the manifests of the service to the repository, with an image of any version",
            )
        now = self._deployed(self._named(state.data))
        require_same_model(self._options.name, "in this repository", now, wanted)
        self._wanted = NamedVersion(model=wanted.model, version=wanted.version, image=wanted.address)
        after = file_naming(state.data, self._wanted, self._settings, self._path)
        replaced = f", instead of version {now.version}" if now.version else ""
        title = f"Deploy {wanted.model} version {wanted.version} as {self._options.name}{replaced}"
        message = f"{title}\n\n{wanted.address}\n"
        self._planned = FileChange(path=self._path, before=state.data, after=after, message=message)
        self._show(state.data, after)
        facts = {MODEL: wanted.model, VERSION: wanted.version, IMAGE: wanted.address, STATE: RUNNING}
        return changes_between(now.facts, facts)

    def restore(self, version: str) -> bool:
        """See DeploymentTarget; by a commit with the values that named that version in an earlier one."""
        data = self._branch.read(self._path).data
        if data is None or self._named(data).version == version:
            return data is not None
        earlier = next((old for old in self._earlier() if self._named(old).version == version), None)
        if earlier is None or self._pull_requests is not None:
            return False
        self._write_back(earlier, instead_of=data, message=f"Return {self._options.name} to version {version}\n")
        return True

    def apply(self, wanted: WantedVersion) -> None:
        """See DeploymentTarget; there is no place beside what runs."""
        del wanted  # planned

    def wait(self) -> None:
        """See DeploymentTarget; nothing has changed yet."""

    def ask_new(self, expected: Expected) -> ObservedServer | None:
        """See DeploymentTarget; it cannot be asked before it replaced what runs."""
        del expected
        return None

    def shift(self) -> None:
        """See DeploymentTarget; pushes the commit, or opens or updates the pull request."""
        change = self._change()
        if self._pull_requests is None:
            commit = self._branch.push(change, to=self._settings.branch)
            self._pushed = True
            self._tools.console.say(f"  commit {commit[:12]} is on `{self._settings.branch}`")
            return
        # Another project may have a deployment of this name in the same repository, in a file of its own.
        own = f"{_PROPOSALS}{self._options.name}-{sha256(self._path.encode())[:8]}"
        self._branch.push(change, to=own)
        title, _, body = change.message.partition("\n")
        new = NewPullRequest(branch=own, base=self._settings.branch, title=title, body=body.strip())
        self.proposed = self._pull_requests.propose(new)

    @contextmanager
    def live(self) -> Iterator[str]:
        """See DeploymentTarget; empty without `url`. Raises NotServing if it does not get the version in time."""
        if self._settings.url is not None:
            self._await_version(self._settings.url)
        yield self._settings.url or ""

    def settle(self) -> None:
        """See DeploymentTarget; whatever applies the file removes what ran before."""

    def undo(self) -> None:
        """See DeploymentTarget; without a push of this run, to the version before in the history of the file."""
        data = self._branch.read(self._path).data
        if self._planned is None or data is None:
            raise ToolFailed(what="there is nothing to return to", why=f"{self._path} is gone")
        before, ours = self._planned.before, self._planned.after
        if not self._pushed and not self._is_named_as_in(ours, data):  # nothing of this run is there
            return
        named = self._named(ours)
        if before == ours:  # an earlier run led to it, and was killed
            found = next((old for old in self._earlier() if self._named(old).version not in ("", named.version)), None)
            if found is None:
                raise ToolFailed(what="there is nothing to return to", why="no earlier commit names another version")
            before = found
        if self._pull_requests is not None:
            raise ToolFailed(
                what=f"a pull request does not return {self._path} at once",
                why=f"`{self._settings.branch}` names version {named.version}, and only a merge changes it",
                fix="revert the merge of the pull request",
            )
        message = f"Return {self._options.name} to what was before version {named.version}\n"
        self._write_back(before, instead_of=ours, message=message)

    def remove(self) -> None:
        """See DeploymentTarget; only somebody who removes the manifests removes the service."""
        now = self.observe()
        if now == NOT_DEPLOYED:
            return
        require_own_model(self._options, now)
        self.require_removable()

    def require_removable(self) -> None:
        """See PartOfOthers."""
        raise BadInput(
            what=f"`{self._options.name}` is not removed from {self._settings.repository}",
            why=f"{self._path} is a part of manifests that others wrote",
            fix=f"delete what belongs to it in the repository, with {self._path}",
        )

    # what runs

    def _named(self, data: bytes) -> NamedVersion:
        return named_version(data, self._settings, self._path)

    def _deployed(self, named: NamedVersion) -> DeployedVersion:
        if not named.version:  # nobody has deployed to the file yet
            return NOT_DEPLOYED
        facts = {MODEL: named.model, VERSION: named.version, IMAGE: named.image, STATE: RUNNING}
        endpoint = self._settings.url or ""
        return DeployedVersion(facts=facts, endpoint=endpoint, models=models_of(self._options, facts))

    def _earlier(self) -> Iterator[bytes]:
        """The earlier contents of the file that can be read."""
        for data in self._branch.earlier(self._path):
            try:
                self._named(data)
            except BadInput:
                continue
            yield data

    def _await_version(self, url: str) -> None:
        """Wait until the metadata of the V2 protocol has the version. Raises NotServing."""
        assert self._wanted is not None  # noqa: S101  # planned
        version, until = self._wanted.version, self._tools.clock.now_s() + self._options.deadline_s
        accepted = {version, f"{self._wanted.model}/{version}"}
        while not accepted & {*(seen := _versions_at(url, self._wanted.model, self._tools))}:
            if self._tools.clock.now_s() >= until:
                raise NotServing(
                    what=f"{url} does not have version {version} after {self._options.deadline_s:.0f} s",
                    why=f"its metadata has {', '.join(seen)}" if seen else "its metadata (V2) has no version",
                    fix=Wording(option("deadline", "SECONDS"), ", or the variable MODEL_VERSION of the container"),
                )
            self._tools.clock.wait(_POLL_S)

    # changes

    def _change(self) -> FileChange:
        assert self._planned is not None  # noqa: S101  # plan made it
        return self._planned

    def _write_back(self, earlier: bytes, *, instead_of: bytes, message: str) -> None:
        """
        Push the values of an earlier content on the file as it is now, if it still has those of another content.

        Raises ToolFailed if somebody else changed these values, and BadInput if the file cannot be changed alone.
        """
        for _ in range(_ATTEMPTS):
            data = self._branch.read(self._path).data
            if data is None:
                raise ToolFailed(what=f"{self._path} is gone", why="somebody else removed it")
            if names_the_same(data, earlier, self._settings, self._path):
                return
            if not names_the_same(data, instead_of, self._settings, self._path):
                named = self._named(data)
                raise ToolFailed(
                    what=f"{self._path} was changed by somebody else",
                    why=f"it names version {named.version or 'none'} and the image {named.image or 'none'} now",
                )
            after = file_naming_as(data, earlier, self._settings, self._path)
            try:
                change = FileChange(path=self._path, before=data, after=after, message=message)
                self._branch.push(change, to=self._settings.branch)
            except PlanOutdated:  # of other lines, or of these: what there is by now is looked at again
                continue
            return
        raise ToolFailed(what=f"{self._path} is changed all the time", why="no commit could be made on it")

    def _is_named_as_in(self, content: bytes, data: bytes) -> bool:
        """Whether a file has the values of another content; False for one that cannot be read any more."""
        try:
            return names_the_same(data, content, self._settings, self._path)
        except BadInput:
            return False

    def _show(self, before: bytes, after: bytes) -> None:
        """The changed lines of the file; each begins with a sign, so that none is a command of a workflow."""
        for line in changed_lines(before.decode(), after.decode()):
            self._tools.console.say(f"  {line[:_LONGEST_LINE]}")


def open_target(options: DeploymentOptions, tools: Tools) -> RepositoryDeployment:
    """See target.OpenTarget."""
    settings, variables = options.settings, tools.host.variables
    assert isinstance(settings, RepositorySettings)  # noqa: S101  # those of its kind
    for name, example in (("repository", "https://HOST/OWNER/NAME.git"), ("file", "PATH/kustomization.yaml")):
        if getattr(settings, name) is None:
            raise BadInput(
                what=f"the deployment has no `{name}`",
                why="the version is written into a file of a repository",
                fix=f'{name} = "{example}" in the table of the deployment',
            )
    address = str(settings.repository)
    branch = RemoteBranch(tools.runner, variables, address, settings.branch)
    if not settings.pull_request:
        return RepositoryDeployment(options, branch, None, tools)
    require_github(address, variables)
    if settings.branch.startswith(_PROPOSALS):
        raise BadInput(
            what=f"`branch` is `{settings.branch}`, and pull requests are made from branches below `{_PROPOSALS}`",
            why="one of them is not the branch that a cluster applies",
            fix='branch = "main" in the table of the deployment',
        )
    owner_and_name = "/".join(address.removesuffix(".git").split("/")[-2:])
    api = GithubApi(tools.web, tools.clock, {**variables, "GITHUB_REPOSITORY": owner_and_name}, permission=PERMISSION)
    return RepositoryDeployment(options, branch, PullRequests(api), tools)


def _versions_at(url: str, model: str, tools: Tools) -> tuple[str, ...]:
    """The versions that the metadata of a model has; none where it does not answer."""
    base = url.rstrip("/").removesuffix("/invocations")
    try:
        reply = tools.web.send(WebRequest(url=f"{base}/v2/models/{model}"))
        found = parse_json(reply.body).get("versions") if reply.status == 200 else None  # noqa: PLR2004
    except (WebUnreachable, Unparsable, AttributeError):
        return ()
    return tuple(map(str, found)) if isinstance(found, list) else ()
