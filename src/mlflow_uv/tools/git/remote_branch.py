"""
Reads a file of a branch of another repository, and pushes a commit that changes it.

Nothing is checked out, so that no filter, hook or attribute of the repository has an effect: a commit is made from
objects. A push is accepted only by a branch that is still where it was read.
"""

import base64
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Protocol
from urllib.parse import urlsplit

from ...command.errors import BadInput, PlanOutdated, ToolFailed
from ...command.wording import local
from ...core.release.digests import sha256
from ...core.security.git_guard import NETWORK, as_variables
from ...core.security.masking import mask
from ...payloads.messages.lazy_dataclass import lazy_dataclass
from ..system.partial_folders import scratch_folder
from ..system.process import Completed, Runner
from .guarded import FETCH_S, UNATTENDED, GuardedGit
from .messages import bytes_of

_HISTORY = 200  # commits that are searched for an earlier version
_ATTEMPTS = 4
_PUBLIC = "https://github.com"
_FILE_MODES = ("100644", "100755")
_FETCH = ("-c", "gc.auto=0", "fetch", "--quiet", "--no-tags", "--no-write-fetch-head", "--recurse-submodules=no")
_PROPOSED = "proposed"
_TRAILER = "Mlflow-Uv-Proposal"  # of a proposal's commit: a digest of the path and content that a run wrote
_MOVED = ("non-fast-forward", "fetch first", "stale info", "cannot lock ref")
_REJECTED = "[remote rejected]"
_AUTHOR = ("mlflow-uv", "mlflow-uv@localhost")  # where the user's settings have no name


@lazy_dataclass
class FileState:
    """A file at a commit of a branch; `data` is None where the branch or the file is not there."""

    commit: str
    data: bytes | None


@lazy_dataclass
class FileChange:
    """A commit that changes a file: what it was, `before`, what it becomes, and the message."""

    path: str
    before: bytes
    after: bytes
    message: str


class FileBranch(Protocol):
    """A branch of a repository, of which one file at a time is read and changed. Methods raise ToolFailed."""

    def read(self, path: str) -> FileState:
        """The file now."""

    def earlier(self, path: str) -> Iterator[bytes]:
        """The contents that the file had before, newest first, each in turn."""

    def push(self, change: FileChange, *, to: str) -> str:
        """
        Add a commit to the branch, or to another one `to` whose earlier proposal is replaced; returns the commit.

        Raises PlanOutdated if the file is not as it was; a change of other files meanwhile stays. Raises BadInput if
        `to` has commits that are no proposal about the file.
        """


class RemoteBranch:
    """See FileBranch. The address has no password: git's own credentials are used, or the token of a job on GitHub."""

    def __init__(self, runner: Runner, variables: Mapping[str, str], address: str, branch: str) -> None:
        self._git = GuardedGit(runner, variables=variables)
        self._address = address
        self._branch = branch
        self._access = {**UNATTENDED, **as_variables(_settings(address, variables), beside=variables)}

    def read(self, path: str) -> FileState:
        """See FileBranch."""
        with self._fetched(1) as (folder, tip):
            return FileState(commit=tip, data=self._blob(folder, tip, path))

    def earlier(self, path: str) -> Iterator[bytes]:
        """See FileBranch."""
        with self._fetched(_HISTORY) as (folder, tip):
            listed = self._git.output(folder, "rev-list", f"--max-count={_HISTORY}", tip, "--", path)
            commits = listed.split()
            for commit in commits[1:]:  # the first one made what the file is now
                if (data := self._blob(folder, commit, path)) is not None:
                    yield data

    def push(self, change: FileChange, *, to: str) -> str:
        """See FileBranch."""
        for attempt in range(_ATTEMPTS):
            proposed = None if to == self._branch else to
            with self._fetched(_HISTORY if proposed else 1, proposed) as (folder, tip):
                if self._blob(folder, tip, change.path) != change.before:
                    raise PlanOutdated(
                        what=f"{change.path} on `{self._branch}` changed after the plan",
                        why=f"commit {tip[:12]} has another content",
                        fix="run deploy again",
                    )
                commit = self._commit(folder, tip, change, is_proposal=proposed is not None)
                lease = () if proposed is None else (self._lease(folder, proposed, tip, change.path),)
                done = self._git.run(
                    folder,
                    *("push", "--quiet", "--no-verify", "--recurse-submodules=no", *lease, "--", self._address),
                    f"{commit}:refs/heads/{to}",
                    variables={**NETWORK, **self._access},
                    timeout_s=FETCH_S,
                )
                if done.code == 0:
                    return commit
                moved = any(word in done.stderr for word in _MOVED)
                if not moved or attempt + 1 == _ATTEMPTS:
                    raise self._not_pushed(folder, to, done)
        raise AssertionError  # the last attempt returns or raises

    def _lease(self, folder: Path, proposed: str, base: str, path: str) -> str:
        """The option that replaces an earlier proposal, and nothing that came after it was read. Raises BadInput."""
        ref = f"refs/remotes/{_PROPOSED}/{proposed}"
        tip = self._git.run(folder, "rev-parse", "--verify", "--quiet", ref).stdout.strip()
        foreign = self._foreign(folder, tip, base, path) if tip else None
        if foreign is not None and (folder / ".git" / "shallow").exists():
            # An old commit of the base looks like one of the proposal until the whole history is here.
            self._fetch(folder, "--unshallow", proposed)
            foreign = self._foreign(folder, tip, base, path)
        if foreign is not None:
            raise BadInput(
                what=f"`{proposed}` of {self._address} has a commit that no run of deploy made for {path}",
                why=f"commit {foreign[:12]} would be lost",
                fix=f"merge or move what is on `{proposed}`, and delete that branch",
            )
        return f"--force-with-lease=refs/heads/{proposed}:{tip}"

    def _foreign(self, folder: Path, tip: str, base: str, path: str) -> str | None:
        """The newest commit that only a branch of proposals has, and no run made; a merge without changes is none."""
        listed = self._git.output(folder, "rev-list", "--topo-order", "--parents", tip, f"^{base}")
        for line in listed.splitlines():
            commit, *parents = line.split()
            if len(parents) > 1:  # files that differ from all parents
                is_own = not self._git.output(folder, "diff-tree", "-c", "-r", "--no-commit-id", "--name-only", commit)
            else:
                is_own = self._is_proposal(folder, commit, path)
            if not is_own:
                return commit
        return None

    def _is_proposal(self, folder: Path, commit: str, path: str) -> bool:
        changed = self._git.output(folder, "diff-tree", "--root", "--no-commit-id", "--name-only", "-r", "-z", commit)
        if changed != f"{path}\0" or (data := self._blob(folder, commit, path)) is None:
            return False
        message = self._git.output(folder, "show", "--no-patch", "--format=%B", commit)
        return _trailer(path, data) in message.splitlines()

    @contextmanager
    def _fetched(self, depth: int, proposed: str | None = None) -> Iterator[tuple[Path, str]]:
        """A repository of its own with the tip of the branch, and that of proposals, as long as the block runs."""
        with scratch_folder() as folder:
            self._git.output(folder, "init", "--quiet", "--template=", ".")
            self._fetch(folder, f"--depth={depth}", proposed)
            yield folder, self._git.output(folder, "rev-parse", "--verify", "refs/remotes/origin/tip").strip()

    def _fetch(self, folder: Path, depth: str, proposed: str | None) -> None:
        tracked = [f"+refs/heads/{self._branch}:refs/remotes/origin/tip"]
        if proposed is not None:  # a pattern, which may match nothing
            tracked.append(f"+refs/heads/{proposed}*:refs/remotes/{_PROPOSED}/{proposed}*")
        done = self._git.run(
            folder,
            *(*_FETCH, depth, "--upload-pack=git-upload-pack", "--", self._address, *tracked),
            variables={**NETWORK, **self._access},
            timeout_s=FETCH_S,
        )
        if done.code != 0:
            raise self._refused(f"cannot read the branch `{self._branch}` of {self._address}", done)

    def _blob(self, folder: Path, commit: str, path: str) -> bytes | None:
        mode, blob = self._entry(folder, commit, path)
        if not blob:
            return None
        if mode not in _FILE_MODES:
            raise BadInput(what=f"{path} of {self._address} is not a file", why=f"git has it with the mode {mode}")
        return bytes_of(self._git.output(folder, "cat-file", "blob", blob))

    def _entry(self, folder: Path, commit: str, path: str) -> tuple[str, str]:
        """Mode and object of a path, empty without it. A path is taken as it is, without patterns."""
        line = self._git.output(folder, "--literal-pathspecs", "ls-tree", "-z", "--full-tree", commit, "--", path)
        mode, _, rest = line.partition(" ")
        kind, _, rest = rest.partition(" ")
        return (mode, rest.partition("\t")[0]) if kind else ("", "")

    def _commit(self, folder: Path, tip: str, change: FileChange, *, is_proposal: bool) -> str:
        """A commit on the tip, made of objects without a work tree."""
        mode, _ = self._entry(folder, tip, change.path)
        (folder / "blob").write_bytes(change.after)
        blob = self._git.output(folder, "hash-object", "-w", "--no-filters", "--", "blob").strip()
        self._git.output(folder, "read-tree", tip)
        self._git.output(folder, "update-index", "--add", "--cacheinfo", f"{mode},{blob},{change.path}")
        tree = self._git.output(folder, "write-tree").strip()
        trailer = ("-m", _trailer(change.path, change.after)) if is_proposal else ()
        argv = ("commit-tree", tree, "-p", tip, "-m", change.message, *trailer)
        return self._git.output(folder, *argv, variables=self._author(folder)).strip()

    def _author(self, folder: Path) -> dict[str, str]:
        settings = {setting.key: setting.value for setting in self._git.settings(folder, r"^user\.(name|email)$")}
        name, email = (settings.get(f"user.{key}") or own for key, own in zip(("name", "email"), _AUTHOR, strict=True))
        whom = {"NAME": name, "EMAIL": email}
        return {f"GIT_{role}_{key}": value for role in ("AUTHOR", "COMMITTER") for key, value in whom.items()}

    def _not_pushed(self, folder: Path, to: str, done: Completed) -> ToolFailed:
        what = f"cannot push to `{to}` of {self._address}"
        rejected = next((line.strip() for line in done.stderr.splitlines() if _REJECTED in line), None)
        if rejected is None:
            return self._refused(what, done)
        # The server has taken the login, and has a reason of its own.
        why = mask(rejected.encode(errors="replace").decode(), ())
        fix = "allow this login to push to the branch in the settings of the repository"
        if to == self._branch:
            fix += ", or set pull-request = true in the table of the deployment"
        elif (above := to.rpartition("/")[0]) and self._is_branch(folder, above):
            why, fix = f"there is a branch `{above}`, below which none can be made", f"rename the branch `{above}`"
        return ToolFailed(what=what, why=why, fix=fix)

    def _is_branch(self, folder: Path, name: str) -> bool:
        argv = ("ls-remote", "--upload-pack=git-upload-pack", "--", self._address, f"refs/heads/{name}")
        return bool(self._git.run(folder, *argv, variables={**NETWORK, **self._access}, timeout_s=FETCH_S).stdout)

    def _refused(self, what: str, done: Completed) -> ToolFailed:
        errors = [line for line in done.stderr.splitlines() if line.startswith(("fatal:", "error:", "remote:", " !"))]
        why = mask((errors[0] if errors else done.last_line).encode(errors="replace").decode(), ())
        fix = local(
            "give git a credential helper or an SSH key for it", "set GITHUB_TOKEN to a token that may write to it"
        )
        return ToolFailed(what=what, why=why, fix=fix)


def require_github(address: str, variables: Mapping[str, str]) -> None:
    """Raise BadInput for an address that is not on the GitHub server of the job, which would open a pull request."""
    server, ours = (urlsplit(url).hostname or "" for url in (_server(variables), address))
    if ours.removeprefix("ssh.") != server:  # GitHub takes SSH at port 443 of a host of its own
        raise BadInput(
            what=f"no pull request can be opened for {address}",
            why=f"pull requests are opened on {server}, where a repository of this name is another one",
            fix="GITHUB_SERVER_URL and GITHUB_API_URL of the server with the repository, or pull-request = false",
        )


def _trailer(path: str, data: bytes) -> str:
    """The line by which a commit of a run is known: somebody who changes the commit keeps its message."""
    return f"{_TRAILER}: {sha256(path.encode() + bytes(1) + data)}"


def _settings(address: str, variables: Mapping[str, str]) -> tuple[tuple[str, str], ...]:
    """Settings of each call for the network: no redirect, and the token of a job for its own GitHub server alone."""
    # The credentials of a person must not follow a redirect to another server.
    strict = (("http.followRedirects", "false"),)
    server = _server(variables)
    token = variables.get("GITHUB_TOKEN", "")
    if not token or _origin(address) != _origin(server) or urlsplit(address).scheme == "ssh":
        return strict
    login = base64.b64encode(f"x-access-token:{token}".encode()).decode()
    return (*strict, (f"http.{server}/.extraHeader", f"Authorization: Basic {login}"))


def _server(variables: Mapping[str, str]) -> str:
    return (variables.get("GITHUB_SERVER_URL") or _PUBLIC).rstrip("/")


def _origin(address: str) -> tuple[str, str]:
    parts = urlsplit(address)
    return parts.scheme, parts.netloc.lower()
