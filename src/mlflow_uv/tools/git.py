"""Which commit is this, and what differs from it?"""

import hashlib
import shlex
from collections.abc import Mapping
from pathlib import Path

from ..core.environment import for_git
from ..core.record import Commit
from ..errors import NotCommitted, ToolMissing
from .process import Command, Completed, Runner

# Every setting of a user that would change the words is set, so that the same difference has the same headers.
_DIFF = (
    "diff", "HEAD", "--full-index", "--no-renames", "--no-ext-diff", "--no-textconv", "--no-color", "--src-prefix=a/",
    "--dst-prefix=b/", "--submodule=short", "--ignore-submodules=none", "--unified=0",
)  # fmt: skip
_HEADERS = ("diff --git ", "index ", "old mode ", "new mode ", "new file ", "deleted file ", "* Unmerged ")


class Git:
    """Read-only questions: nothing here changes a repository, its index included."""

    def __init__(self, runner: Runner, *, variables: Mapping[str, str]) -> None:
        self._runner = runner
        self._variables = for_git(variables).variables

    def commit(self, folder: Path) -> Commit:
        """
        HEAD, the folder's path in the repository, and a digest of what differs anywhere in it.

        Raises NotCommitted outside a repository or before its first commit, ToolMissing without git.
        """
        try:
            head = self._ask(folder, "rev-parse", "--verify", "HEAD")
        except ToolMissing as error:
            raise ToolMissing(what="git is not installed", why=error.why, fix="apt-get install git") from error
        if "dubious ownership" in head.stderr:
            fix = f"git config --global --add safe.directory {shlex.quote(str(folder))}"
            raise NotCommitted(what=f"git does not trust `{folder}`", why="somebody else owns it", fix=fix)
        if head.code != 0:
            fix = "git init && git add -A && git commit"
            raise NotCommitted(what=f"`{folder}` has no commit", why=head.last_line, fix=fix)
        prefix = self._ask(folder, "rev-parse", "--show-prefix").stdout.rstrip("\n").rstrip("/")
        return Commit(sha=head.stdout.strip(), project=prefix or ".", dirty=self._dirty(folder))

    def blob(self, folder: Path, commit: str, name: str) -> bytes | None:
        """The bytes of a file of this folder at a commit, None where git has no such thing."""
        done = self._ask(folder, "show", f"{commit}:./{name}", verbatim=True)
        return done.stdout.encode(errors="surrogateescape") if done.code == 0 else None

    def version(self) -> str | None:
        """What git calls itself, None without git."""
        try:
            return self._ask(Path("/"), "version").stdout.strip().removeprefix("git version ")
        except ToolMissing:
            return None

    def _dirty(self, folder: Path) -> str | None:
        top = Path(self._ask(folder, "rev-parse", "--show-toplevel").stdout.rstrip("\n"))
        changed = _headers(self._ask(top, *_DIFF).stdout)
        new = self._ask(top, "ls-files", "--others", "--exclude-standard", "-z").stdout
        if not changed and not new:
            return None
        digest = hashlib.sha256("\n".join(changed).encode())
        for name in sorted(filter(None, new.split("\0"))):
            path = top / name
            digest.update(b"\0" + name.encode() + b"\0")
            if path.is_file():
                digest.update(path.read_bytes())
        return digest.hexdigest()

    def _ask(self, folder: Path, *argv: str, verbatim: bool = False) -> Completed:
        # Without a refresh `diff` does not write the index, which a running hook may hold.
        settings = ("-c", "core.quotePath=off", "-c", "diff.autoRefreshIndex=false")
        return self._runner.run(
            Command(argv=("git", *settings, *argv), folder=folder, variables=self._variables, verbatim=verbatim)
        )


def _headers(patch: str) -> tuple[str, ...]:
    """
    What a patch says of each file above its hunks: the blob ids are the contents, whatever bytes those hold.

    A file of which only the time changed has one line and no more: it does not differ.
    """
    lines = [line for line in patch.split("\n") if line.startswith(_HEADERS)]
    following = (*lines[1:], "diff --git ")
    return tuple(
        line
        for line, after in zip(lines, following, strict=False)
        if not (line.startswith("diff --git ") and after.startswith("diff --git "))
    )
