"""Which commit is this, and what differs from it?"""

import hashlib
import os
import shlex
from collections.abc import Iterator, Mapping
from pathlib import Path

from ..core.commit import Commit, History, LastChange
from ..core.environment import for_git, mask
from ..errors import NotCommitted, ToolFailed, ToolMissing
from .gitwords import Entry, entry_of, headers
from .process import Command, Completed, Runner

# Every setting of a user that would change the words is set, so that the same difference has the same headers. What
# differs inside a submodule we ask the submodule: git would only say `-dirty`.
_DIFF = (
    "diff", "--full-index", "--no-renames", "--no-ext-diff", "--no-textconv", "--no-color", "--src-prefix=a/",
    "--dst-prefix=b/", "--submodule=short", "--ignore-submodules=dirty", "--unified=0", "-O/dev/null",
)  # fmt: skip
_NOT_IGNORED = ("--cached", "--others", "--exclude-standard")
_LIST = ("ls-files", "-z", "-v", "--stage", *_NOT_IGNORED)
_SUBMODULE = "160000"
FETCH_S = 120.0
_NONE: Mapping[str, str] = {}
_UNATTENDED = {"GIT_TERMINAL_PROMPT": "0", "GIT_SSH_COMMAND": "ssh -o BatchMode=yes"}
_AT_ONCE = 500  # names in one argv


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
        head = self._head(folder)
        if head.code != 0:
            fix = "git init && git add -A && git commit"
            raise NotCommitted(what=f"`{folder}` has no commit", why=head.last_line, fix=fix)
        prefix = self._ask(folder, "rev-parse", "--show-prefix").stdout.rstrip("\n").rstrip("/")
        return Commit(sha=head.stdout.strip(), project=prefix or ".", dirty=self._dirty(folder, "HEAD"))

    def blob(self, folder: Path, commit: str, name: str) -> bytes | None:
        """The bytes of a file of this folder at a commit, None where git has no such thing."""
        done = self._ask(folder, "show", f"{commit}:./{name}", verbatim=True)
        return done.stdout.encode(errors="surrogateescape") if done.code == 0 else None

    def blob_of_origin(self, folder: Path, commit: str, name: str) -> bytes | None:
        """
        The same from the repository that this one came from; None where it does not answer or does not have it.

        What is fetched lies in a private folder and is gone afterwards: this repository stays as it is, and perhaps
        shallow. Nobody is asked for a password.
        """
        from tempfile import TemporaryDirectory  # noqa: PLC0415  # hooks never fetch

        inside = self._ask(folder, "rev-parse", "--path-format=absolute", "--git-common-dir", "--show-prefix")
        if inside.code != 0:
            return None
        common, prefix = (inside.stdout + "\n").split("\n")[:2]
        with TemporaryDirectory(prefix="mlflow-uv-git-") as scratch:
            private = Path(scratch)
            self._answer(private, "init", "--quiet", "--bare", ".")
            # How origin is reached and what it is told is this repository's own business.
            said = f'[include]\n\tpath = "{_quoted(str(Path(common) / "config"))}"\n'
            config = private / "config"
            config.write_text(said + config.read_text(encoding="utf-8"), encoding="utf-8", errors="surrogateescape")
            flags = ("--quiet", "--no-tags", "--depth=1", "--filter=blob:none")
            self._ask(private, "fetch", *flags, "origin", commit, variables=_UNATTENDED, timeout_s=FETCH_S)
            done = self._ask(
                private, "show", f"{commit}:{prefix}{name}", verbatim=True, variables=_UNATTENDED, timeout_s=FETCH_S
            )
            return _bytes(done.stdout) if done.code == 0 else None

    def provenance(self, folder: Path, commit: str) -> tuple[str, str]:
        """When a commit was made (RFC 3339), and the address its repository came from; empty where git cannot tell."""
        when = self._ask(folder, "show", "--no-patch", "--format=%cI", commit)
        address = self._ask(folder, "remote", "get-url", "origin")
        return _if_well(when), _if_well(address)

    def files_below(self, folder: Path, patterns: tuple[str, ...]) -> tuple[Path, ...] | None:
        """Tracked and new files that match a pathspec, without what git ignores; None where git has no answer."""
        try:
            done = self._ask(folder, "ls-files", "-z", *_NOT_IGNORED, "--deduplicate", "--", *patterns, verbatim=True)
        except (ToolMissing, ToolFailed):
            return None
        return tuple(_path(folder, name) for name in done.stdout.split("\0") if name) if done.code == 0 else None

    def top(self, folder: Path) -> Path | None:
        """The root of the repository that a folder is in; None where git has no answer."""
        try:
            done = self._ask(folder, "rev-parse", "--show-toplevel", verbatim=True)
        except (ToolMissing, ToolFailed):
            return None
        return _path(Path(), done.stdout.removesuffix("\n")) if done.code == 0 else None

    def patch(self, folder: Path, before: Path, after: Path) -> bytes:
        """
        What differs between two files below a folder, in the form that `git apply` takes; the first may be missing.

        Their own paths are the names in it, so the first part of each stands for the usual `a` and `b`.
        """
        names = (str(before) if (folder / before).exists() else os.devnull, str(after))
        flags = ("--no-index", "--no-ext-diff", "--no-textconv", "--no-color", "--no-prefix", "--text")
        done = self._ask(folder, "diff", *flags, "--", *names, verbatim=True)
        if done.code not in (0, 1):
            raise ToolFailed(what="`git diff` failed", why=done.last_line)
        return _bytes(done.stdout)

    def last_change(self, file: Path) -> LastChange:
        """When a file last changed; unknown without git, and where git ignores the file or does not trust us."""
        folder, name = file.parent, file.name
        try:
            state = self._ask(folder, "status", "--porcelain", "--ignored", "--untracked-files=normal", "--", name)
        except (ToolMissing, ToolFailed) as error:
            return LastChange(history=History.UNKNOWN, reason=str(error))
        if state.code != 0 or state.stdout.startswith("!!"):
            reason = "git ignores it" if state.code == 0 else state.last_line
            return LastChange(history=History.UNKNOWN, reason=reason)
        if state.stdout:
            return LastChange(history=History.UNCOMMITTED)
        at, commit = self._answer(folder, "rev-list", "-1", "--timestamp", "HEAD", "--", name).split()
        # Where a shallow clone ends, a commit seems to have no parents and to have added all that it holds.
        seen = self._answer(folder, "rev-list", "-1", "--parents", commit).split()[1:]
        cut = not seen and "\nparent " in self._answer(folder, "cat-file", "commit", commit).partition("\n\n")[0]
        return LastChange(history=History.CUT_OFF if cut else History.COMMITTED, at_s=float(at))

    def version(self) -> str | None:
        """What git calls itself, None without git."""
        try:
            return self._ask(Path("/"), "version").stdout.strip().removeprefix("git version ")
        except ToolMissing:
            return None

    def _head(self, folder: Path) -> Completed:
        try:
            head = self._ask(folder, "rev-parse", "--verify", "HEAD")
        except ToolMissing as error:
            raise ToolMissing(what="git is not installed", why=error.why, fix="apt-get install git") from error
        if "dubious ownership" in head.stderr:
            fix = f"git config --global --add safe.directory {shlex.quote(str(folder))}"
            raise NotCommitted(what=f"git does not trust `{folder}`", why="somebody else owns it", fix=fix)
        return head

    def _dirty(self, folder: Path, base: str) -> str | None:
        """
        A digest of what differs from `base`: tracked files, new ones, and the same in every repository inside.

        Files that git was told not to look at (--assume-unchanged, --skip-worktree) are compared by their contents;
        that a sparse checkout leaves files out is no difference. What git ignores is none either.
        """
        top = _path(Path(), self._answer(folder, "rev-parse", "--show-toplevel").removesuffix("\n"))
        listed = list(filter(None, self._answer(top, *_LIST).split("\0")))
        new = [line[2:] for line in listed if line.startswith("? ")]
        known = [entry_of(line) for line in listed if not line.startswith("? ")]
        changed = "\n".join(headers(self._answer(top, *_DIFF, base, "--")))
        others = {
            *(f"{name}\0new {self._content(_path(top, name))}" for name in new),
            *self._submodules(top, [entry for entry in known if entry.mode == _SUBMODULE]),
            *self._hidden(top, [entry for entry in known if entry.hidden and entry.mode != _SUBMODULE]),
        }
        if not changed and not others:
            return None
        # Neither a header nor a name holds a NUL.
        return hashlib.sha256(_bytes("\0".join((changed, *sorted(others))))).hexdigest()

    def _content(self, path: Path) -> str:
        """What stands for something that git does not know: a link has its target too, a repository its state."""
        link = f"{_target(path).decode(errors='surrogateescape')} " if path.is_symlink() else ""
        if path.is_file():
            with path.open("rb") as file:
                return link + hashlib.file_digest(file, "sha256").hexdigest()
        return link or " ".join(filter(None, self._state(path)))

    def _state(self, folder: Path) -> tuple[str, str | None]:
        """HEAD of the repository in this folder, empty before its first commit, and what differs from it."""
        if not (folder / ".git").exists() or self._ask(folder, "rev-parse", "--show-cdup").stdout.strip():
            return "", None  # git would answer for the repository around it
        head = self._head(folder)
        base = "HEAD" if head.code == 0 else self._answer(folder, "hash-object", "-t", "tree", "--stdin").strip()
        return head.stdout.strip() if head.code == 0 else "", self._dirty(folder, base)

    def _submodules(self, top: Path, entries: list[Entry]) -> Iterator[str]:
        """Submodules that differ from their own commit; another commit is in the diff, unless it was hidden."""
        for entry in entries:
            head, dirty = self._state(_path(top, entry.name))
            moved = head if entry.hidden and head != entry.blob else ""
            if moved or dirty:
                yield f"{entry.name}\0submodule {moved} {dirty}"

    def _hidden(self, top: Path, entries: list[Entry]) -> Iterator[str]:
        """Files whose contents are not those of the index, although git says nothing of them."""
        files = []
        for entry in entries:
            path = _path(top, entry.name)
            if path.is_symlink():
                if (found := _link_blob(path, like=entry.blob)) != entry.blob:
                    yield f"{entry.name}\0hidden {found}"
            elif path.is_file():
                files.append(entry)
            elif entry.tag.upper() != "S":
                yield f"{entry.name}\0hidden, deleted"
        for first in range(0, len(files), _AT_ONCE):
            some = files[first : first + _AT_ONCE]
            blobs = self._answer(top, "hash-object", "--", *(entry.name for entry in some)).split()
            for entry, found in zip(some, blobs, strict=True):
                if found != entry.blob:
                    yield f"{entry.name}\0hidden {found}"

    def _answer(self, folder: Path, *argv: str) -> str:
        """What git prints, byte for byte. Raises ToolFailed: no answer must not pass for "nothing differs"."""
        done = self._ask(folder, *argv, verbatim=True)
        if done.code != 0:
            why = mask(done.last_line.encode(errors="replace").decode(), ())
            raise ToolFailed(what=f"`git {argv[0]}` failed in `{folder}`", why=why)
        return done.stdout

    def _ask(
        self,
        folder: Path,
        *argv: str,
        verbatim: bool = False,
        variables: Mapping[str, str] = _NONE,
        timeout_s: float | None = None,
    ) -> Completed:
        # Without a refresh `diff` does not write the index, which a running hook may hold.
        settings = ("-c", "core.quotePath=off", "-c", "diff.autoRefreshIndex=false")
        command = Command(
            argv=("git", *settings, *argv),
            folder=folder,
            variables={**self._variables, **variables},
            verbatim=verbatim,
            timeout_s=timeout_s,
        )
        return self._runner.run(command)


def _if_well(done: Completed) -> str:
    return done.stdout.strip() if done.code == 0 else ""


def _link_blob(path: Path, *, like: str) -> str:
    """The id git gives a link, by the algorithm that made `like`; `git hash-object` would follow it."""
    target = _target(path)
    algorithm = "sha1" if len(like) == 40 else "sha256"  # noqa: PLR2004  # hexadecimal digits
    return hashlib.new(algorithm, b"blob %d\0%s" % (len(target), target), usedforsecurity=False).hexdigest()


def _path(folder: Path, name: str) -> Path:
    return folder / os.fsdecode(_bytes(name))


def _bytes(text: str) -> bytes:
    """A verbatim text of git's as the bytes that it was."""
    return text.encode(errors="surrogateescape")


def _quoted(text: str) -> str:
    """A text as it stands between quotes in git's configuration."""
    return text.replace("\\", "\\\\").replace('"', '\\"')


def _target(link: Path) -> bytes:
    """What a link holds, byte for byte: a Path would drop a trailing slash."""
    return os.readlink(os.fsencode(link))  # noqa: PTH115
