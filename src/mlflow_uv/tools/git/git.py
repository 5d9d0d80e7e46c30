"""Reads commits, tracked files and changes of a repository."""

import hashlib
import os
import re
import shlex
from collections.abc import Iterator, Mapping
from pathlib import Path

from ...command.errors import NotCommitted, ToolFailed, ToolMissing
from ...command.wording import local
from ...core.release.commit import Commit, History, LastChange
from ..system.process import Completed
from .contents import contents_at, contents_now
from .guarded import lookalike
from .messages import BARE, GitEntry, bytes_of, entry_of, headers, link_blob, link_target, path_of
from .missing_files import SUBMODULE, GitFiles

# Every setting of a user that would change the words is set, so that the same difference has the same headers. What
# differs inside a submodule we ask the submodule: git would only say `-dirty`.
_DIFF = (
    "diff", "--full-index", "--no-renames", "--no-ext-diff", "--no-textconv", "--no-color", "--src-prefix=a/",
    "--dst-prefix=b/", "--submodule=short", "--ignore-submodules=dirty", "--unified=0", "-O/dev/null",
)  # fmt: skip
_NOT_IGNORED = ("--cached", "--others", "--exclude-standard")
_LIST = ("ls-files", "-z", "-v", "--stage", *_NOT_IGNORED)
# A commit may be what a server says: nothing else may stand where git takes options.
_COMMIT = re.compile(r"HEAD|[0-9a-f]{4,64}")
_AT_ONCE = 500  # names in one argv


class Git(GitFiles):
    """Read-only questions: nothing here changes a repository, its index included."""

    def commit(self, folder: Path) -> Commit:
        """
        HEAD, the folder's path in the repository, and a digest of what differs anywhere in it.

        Raises NotCommitted outside a repository or before its first commit, ToolMissing without git.
        """
        head = self._head(folder)
        if head.code != 0:
            fix = local("git init && git add -A && git commit", "put a step with actions/checkout before this one")
            raise NotCommitted(what=f"`{folder}` has no commit", why=head.last_line, fix=fix)
        prefix = self._git.ask(folder, "rev-parse", "--show-prefix").stdout.rstrip("\n").rstrip("/")
        return Commit(sha=head.stdout.strip(), project=prefix or ".", dirty=self._dirty(folder, "HEAD"))

    def blob(self, folder: Path, commit: str, name: str) -> bytes | None:
        """The bytes of a file of this folder at a commit, None where git has no such thing."""
        if not _COMMIT.fullmatch(commit):
            return None
        done = self._git.ask(folder, "show", "--no-textconv", f"{commit}:./{name}", verbatim=True)
        return done.stdout.encode(errors="surrogateescape") if done.code == 0 else None

    def blob_of_origin(self, folder: Path, commit: str, name: str) -> bytes | None:
        """
        The same from the repository that this one came from; None where it does not answer or does not have it.

        What is fetched lies in a private folder and is gone afterwards: this repository stays as it is, and perhaps
        shallow. Nobody is asked for a password.
        """
        from tempfile import TemporaryDirectory  # noqa: PLC0415  # hooks never fetch

        if not _COMMIT.fullmatch(commit):
            return None
        inside = self._git.ask(folder, "rev-parse", "--show-prefix", verbatim=True)
        if inside.code != 0:
            return None
        prefix, _, _ = inside.stdout.rpartition("\n")
        origin = self._git.origin(folder)
        with TemporaryDirectory(prefix="mlflow-uv-git-") as scratch:
            private = Path(scratch)
            self._git.answer(private, "init", "--quiet", "--template=", ".")
            self._git.fetch(private, "--depth=1", "origin", commit, origin=origin)
            path = f"{commit}:{prefix}{name}"
            blob = self._git.ask(private, "rev-parse", "--verify", "--quiet", path).stdout.strip()
            if blob and self._git.ask(private, "cat-file", "-e", blob).code != 0:  # all that came was its name
                self._git.fetch(private, "origin", blob, origin=origin)
            done = self._git.ask(private, "cat-file", "blob", blob, verbatim=True)
            return bytes_of(done.stdout) if done.code == 0 else None

    def provenance(self, folder: Path, commit: str) -> tuple[str, str]:
        """When a commit was made (RFC 3339), and the address its repository came from; empty where git cannot tell."""
        address = _if_well(self._git.ask(folder, "remote", "get-url", "origin"))
        if not _COMMIT.fullmatch(commit):
            return "", address
        return _if_well(self._git.ask(folder, "show", "--no-patch", "--format=%cI", commit)), address

    def contents(self, folder: Path, scopes: tuple[Path, ...]) -> dict[str, str]:
        """The id of each tracked or new file of some folders, as it is now, by its path in the repository."""
        return contents_now(self._git, self._state, folder, scopes)

    def contents_at(self, folder: Path, commit: str, scopes: tuple[Path, ...]) -> dict[str, str] | None:
        """The same of the files of a commit, None where git does not have it."""
        return contents_at(self._git, folder, commit, scopes) if _COMMIT.fullmatch(commit) else None

    def files_below(self, folder: Path, patterns: tuple[str, ...]) -> tuple[Path, ...] | None:
        """Tracked and new files that match a pathspec, without what git ignores; None where git has no answer."""
        try:
            done = self._git.ask(
                folder, "ls-files", "-z", *_NOT_IGNORED, "--deduplicate", "--", *patterns, verbatim=True
            )
        except (ToolMissing, ToolFailed):
            return None
        if done.code != 0:
            return None
        # An index that git did not write may name what lies outside.
        names = (name for name in done.stdout.split("\0") if name and ".." not in name.split("/"))
        return tuple(path_of(folder, name) for name in names)

    def top(self, folder: Path) -> Path | None:
        """The root of the repository that a folder is in; None where git has no answer."""
        try:
            return self._git.top(folder)
        except (ToolMissing, ToolFailed):
            return None

    def tracks(self, path: Path) -> bool:
        """Whether a path, or anything below it, came with the checkout; so it is where git has no answer."""
        try:
            done = self._git.ask(path.parent, "ls-files", "-z", "--", path.name)
        except (ToolMissing, ToolFailed):
            return True
        return done.code != 0 or bool(done.stdout)

    def patch(self, folder: Path, before: Path, after: Path) -> bytes:
        """
        What differs between two files below a folder, in the form that `git apply` takes; the first may be missing.

        Their own paths are the names in it, so the first part of each stands for the usual `a` and `b`.
        """
        names = (str(before) if (folder / before).exists() else os.devnull, str(after))
        flags = ("--no-index", "--no-ext-diff", "--no-textconv", "--no-color", "--no-prefix", "--text")
        done = self._git.ask(folder, "diff", *flags, "--", *names, verbatim=True, variables=self._git.filters(folder))
        if done.code not in (0, 1):
            raise ToolFailed(what="`git diff` failed", why=done.last_line)
        return bytes_of(done.stdout)

    def last_change(self, file: Path) -> LastChange:
        """When a file last changed; unknown without git, and where git ignores the file or does not trust us."""
        try:
            return self._last_change(file.parent, file.name)
        except (ToolMissing, ToolFailed) as error:
            return LastChange(history=History.UNKNOWN, reason=str(error))

    def _last_change(self, folder: Path, name: str) -> LastChange:
        flags = ("--porcelain", "--ignored", "--untracked-files=normal", "--ignore-submodules=all")
        state = self._git.ask(folder, "status", *flags, "--", name, variables=self._git.filters(folder))
        if state.code != 0 or state.stdout.startswith("!!"):
            reason = "git ignores it" if state.code == 0 else state.last_line
            return LastChange(history=History.UNKNOWN, reason=reason)
        if state.stdout:
            return LastChange(history=History.UNCOMMITTED)
        changed = self._git.answer(folder, "rev-list", "-1", "--timestamp", "HEAD", "--", name).split()
        if not changed:
            return LastChange(history=History.UNKNOWN, reason="no commit has it")
        at, commit = changed
        # Where a shallow clone ends, a commit seems to have no parents and to have added all that it holds.
        seen = self._git.answer(folder, "rev-list", "-1", "--parents", commit).split()[1:]
        cut = not seen and "\nparent " in self._git.answer(folder, "cat-file", "commit", commit).partition("\n\n")[0]
        return LastChange(history=History.CUT_OFF if cut else History.COMMITTED, at_s=float(at))

    def version(self) -> str | None:
        """What git calls itself, None without git."""
        try:
            return self._git.ask(Path("/"), "version").stdout.strip().removeprefix("git version ")
        except ToolMissing:
            return None

    def _head(self, folder: Path) -> Completed:
        try:
            head = self._git.ask(folder, "rev-parse", "--verify", "HEAD")
        except ToolMissing as error:
            raise ToolMissing(
                what="git is not installed",
                why=error.why,
                fix=local("apt-get install git", "an image or a step before this one that installs git"),
            ) from error
        if "dubious ownership" in head.stderr:
            fix = local(
                trust := f"git config --global --add safe.directory {shlex.quote(str(folder))}",
                f"a step before this one with `{trust}`",
            )
            raise NotCommitted(what=f"git does not trust `{folder}`", why="another user owns it", fix=fix)
        if BARE in head.stderr:
            place = lookalike(folder) or folder
            why = "it looks like a bare repository, whose settings may start programs"
            fix = shlex.join(("mv", str(place / "HEAD"), str(place / "HEAD.txt")))
            raise NotCommitted(what=f"git does not run in `{place}`", why=why, fix=fix)
        return head

    def _dirty(self, folder: Path, base: str) -> str | None:
        """
        A digest of what differs from `base`: tracked files, new ones, and the same in every repository inside.

        Files that git was told not to look at (--assume-unchanged, --skip-worktree) are compared by their contents;
        that a sparse checkout leaves files out is no difference. What git ignores is none either.
        """
        top = self._git.top(folder)
        filters = self._git.filters(top)
        listed = list(filter(None, self._git.answer(top, *_LIST).split("\0")))
        new = [line[2:] for line in listed if line.startswith("? ")]
        known = [entry_of(line) for line in listed if not line.startswith("? ")]
        changed = "\n".join(headers(self._git.answer(top, *_DIFF, base, "--", variables=filters)))
        others = {
            *(f"{name}\0new {self._content(path_of(top, name))}" for name in new),
            *self._submodules(top, [entry for entry in known if entry.mode == SUBMODULE]),
            *self._hidden(top, [entry for entry in known if entry.hidden and entry.mode != SUBMODULE], filters),
        }
        if not changed and not others:
            return None
        # Neither a header nor a name holds a NUL.
        return hashlib.sha256(bytes_of("\0".join((changed, *sorted(others))))).hexdigest()

    def _content(self, path: Path) -> str:
        """What stands for something that git does not know: a link has its target too, a repository its state."""
        link = f"{link_target(path).decode(errors='surrogateescape')} " if path.is_symlink() else ""
        if path.is_file():
            with path.open("rb") as file:
                return link + hashlib.file_digest(file, "sha256").hexdigest()
        return link or " ".join(filter(None, self._state(path)))

    def _state(self, folder: Path) -> tuple[str, str | None]:
        """HEAD of the repository in this folder, empty before its first commit, and what differs from it."""
        if not (folder / ".git").exists() or self._git.ask(folder, "rev-parse", "--show-cdup").stdout.strip():
            return "", None  # git would answer for the repository around it
        head = self._head(folder)
        base = "HEAD" if head.code == 0 else self._git.answer(folder, "hash-object", "-t", "tree", "--stdin").strip()
        return head.stdout.strip() if head.code == 0 else "", self._dirty(folder, base)

    def _submodules(self, top: Path, entries: list[GitEntry]) -> Iterator[str]:
        """Submodules that differ from their own commit; another commit is in the diff, unless it was hidden."""
        for entry in entries:
            head, dirty = self._state(path_of(top, entry.name))
            moved = head if entry.hidden and head != entry.blob else ""
            if moved or dirty:
                yield f"{entry.name}\0submodule {moved} {dirty}"

    def _hidden(self, top: Path, entries: list[GitEntry], filters: Mapping[str, str]) -> Iterator[str]:
        """Files whose contents are not those of the index, although git says nothing of them."""
        files = []
        for entry in entries:
            path = path_of(top, entry.name)
            if path.is_symlink():
                if (found := link_blob(path, like=entry.blob)) != entry.blob:
                    yield f"{entry.name}\0hidden {found}"
            elif path.is_file():
                files.append(entry)
            elif entry.tag.upper() != "S":
                yield f"{entry.name}\0hidden, deleted"
        for first in range(0, len(files), _AT_ONCE):
            some = files[first : first + _AT_ONCE]
            names = (entry.name for entry in some)
            blobs = self._git.answer(top, "hash-object", "--", *names, variables=filters).split()
            for entry, found in zip(some, blobs, strict=True):
                if found != entry.blob:
                    yield f"{entry.name}\0hidden {found}"


def _if_well(done: Completed) -> str:
    return done.stdout.strip() if done.code == 0 else ""
