"""Reads commits, tracked files and changes of a repository."""

import hashlib
import os
import shlex
from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path

from ...command.errors import NotCommitted, ToolFailed, ToolMissing
from ...command.lazy_pattern import lazy_pattern
from ...command.wording import local
from ...core.release.commit import Commit, History, LastChange
from ...core.security.masking import mask
from ..system.process import Completed
from .bare_repository import bare_repository_at
from .contents import contents_at, contents_now
from .listing import NOT_IGNORED, names_in, not_ignored
from .messages import (
    BARE,
    OTHER_ENTRIES,
    GitEntry,
    OtherEntry,
    bytes_of,
    entry_of,
    headers,
    link_blob,
    link_target,
    path_of,
)
from .missing_files import SUBMODULE, GitFiles

# Overrides every user setting that changes the output, so that equal differences have equal headers. Changes inside
# a submodule are read from the submodule: git would only print `-dirty`.
_DIFF = (
    "diff", "--full-index", "--no-renames", "--no-ext-diff", "--no-textconv", "--no-color", "--src-prefix=a/",
    "--dst-prefix=b/", "--submodule=short", "--ignore-submodules=dirty", "--unified=0", "-O/dev/null",
)  # fmt: skip
_LIST = ("ls-files", "-z", "-v", "--stage", *NOT_IGNORED)
# A commit may come from a server, so it must not be read as an option.
_COMMIT = lazy_pattern(r"HEAD|[0-9a-f]{4,64}")
_AT_ONCE = 500  # names in one argv
_SHORT_COMMIT = 12


def unreadable(name: str, commit: str, why: str) -> ToolFailed:
    """The error for a file of a commit that git cannot read."""
    return ToolFailed(
        what=f"git cannot read `{name}` of commit {commit[:_SHORT_COMMIT]}",
        why=f"the clone is partial, or its objects are damaged: {mask(why.encode(errors='replace').decode(), ())}",
        fix=local("git fetch --refetch --no-filter origin", "give actions/checkout no `filter` and no sparse checkout"),
    )


class Git(GitFiles):
    """Read-only access: nothing changes a repository or its index."""

    def commit(self, folder: Path) -> Commit:
        """
        HEAD, the folder's path in the repository, and a digest of all uncommitted changes in it.

        Raises NotCommitted outside of a repository or before its first commit, ToolMissing without git.
        """
        head = self._head(folder)
        if head.code != 0:
            fix = local("git init && git add -A && git commit", "put a step with actions/checkout before this one")
            raise NotCommitted(what=f"`{folder}` has no commit", why=head.last_line, fix=fix)
        prefix = self._git.run(folder, "rev-parse", "--show-prefix").stdout.rstrip("\n").rstrip("/")
        return Commit(sha=head.stdout.strip(), project=prefix or ".", dirty=self._dirty(folder, "HEAD"))

    def blob(self, folder: Path, commit: str, name: str) -> bytes | None:
        """
        The bytes of a file of this folder at a commit; None if git does not have the commit, or it has no such file.

        Raises ToolFailed if git has the commit and cannot read the file: see `committed_file`.
        """
        if not _COMMIT.fullmatch(commit):
            return None
        done = self._git.run(folder, "show", "--no-textconv", f"{commit}:./{name}", verbatim=True)
        if done.code == 0:
            return bytes_of(done.stdout)
        if self._git.run(folder, "cat-file", "-e", f"{commit}^{{commit}}").code != 0:
            return None
        listed = self._git.run(folder, "ls-tree", "-z", commit, "--", f":(literal){name}", verbatim=True)
        if listed.code != 0 or listed.stdout:
            raise unreadable(name, commit, listed.last_line or done.last_line)
        return None

    def committed_file(self, folder: Path, commit: str, name: str) -> bytes | OtherEntry | None:
        """
        The bytes of a file of this folder at a commit; None if the commit has nothing there.

        Raises ToolFailed if git has the commit and not the file: a partial clone has no contents, and objects get lost.
        """
        if not _COMMIT.fullmatch(commit):
            return None
        listed = self._git.run(folder, "ls-tree", "-z", commit, "--", f":(literal){name}", verbatim=True)
        if listed.code != 0:
            raise unreadable(name, commit, listed.last_line)
        words = listed.stdout.partition("\t")[0].split(" ")
        if len(words) != 3:  # noqa: PLR2004  # mode, type and id
            return None
        mode, _, blob = words
        if mode in OTHER_ENTRIES:
            return OTHER_ENTRIES[mode]
        done = self._git.run(folder, "cat-file", "blob", blob, verbatim=True)
        if done.code != 0:
            raise unreadable(name, commit, done.last_line)
        return bytes_of(done.stdout)

    def is_shallow(self, folder: Path) -> bool:
        """Whether the clone lacks older commits."""
        return _output(self._git.run(folder, "rev-parse", "--is-shallow-repository")) == "true"

    def resolved(self, folder: Path, revision: str) -> str | None:
        """The commit of a branch, tag or other revision; None if git does not have it."""
        argv = ("rev-parse", "--verify", "--quiet", "--end-of-options", f"{revision}^{{commit}}")
        return _output(self._git.run(folder, *argv)) or None

    def parents(self, folder: Path, commit: str) -> tuple[str, ...]:
        """The parents of a commit that git has; a shallow clone has none of its oldest commits."""
        if not _COMMIT.fullmatch(commit):
            return ()
        return tuple(_output(self._git.run(folder, "rev-list", "-1", "--parents", commit)).split()[1:])

    def merge_base(self, folder: Path, one: str, other: str) -> str | None:
        """The best common ancestor of two commits; None if git does not have it."""
        if not (_COMMIT.fullmatch(one) and _COMMIT.fullmatch(other)):
            return None
        return _output(self._git.run(folder, "merge-base", one, other)) or None

    def export(self, folder: Path, commit: str, archive: Path) -> bool:
        """Write the files of a commit to a tar archive; false if git does not have it. Raises ToolFailed."""
        if not _COMMIT.fullmatch(commit):
            return False
        top = self._git.top(folder)
        if self._git.run(top, "cat-file", "-e", f"{commit}^{{commit}}").code != 0:
            return False
        argv = ("archive", "--format=tar", f"--output={archive}", commit)
        self._git.output(top, *argv, variables=self._git.filters(top))
        return True

    def blob_of_origin(self, folder: Path, commit: str, name: str) -> bytes | None:
        """
        The same from the `origin` of the repository; None if it does not respond or does not have the file.

        The commit is fetched into a temporary repository: this one stays unchanged, and shallow if it is. There is no
        password prompt.
        """
        if not _COMMIT.fullmatch(commit):
            return None
        inside = self._git.run(folder, "rev-parse", "--show-prefix", verbatim=True)
        if inside.code != 0:
            return None
        prefix, _, _ = inside.stdout.rpartition("\n")
        origin = self._git.origin(folder)
        from ..system.partial_folders import scratch_folder  # noqa: PLC0415  # a hook imports this module

        with scratch_folder() as private:
            self._git.output(private, "init", "--quiet", "--template=", ".")
            self._git.fetch(private, "--depth=1", "origin", commit, origin=origin)
            path = f"{commit}:{prefix}{name}"
            blob = self._git.run(private, "rev-parse", "--verify", "--quiet", path).stdout.strip()
            if blob and self._git.run(private, "cat-file", "-e", blob).code != 0:  # the blob itself was not fetched
                self._git.fetch(private, "origin", blob, origin=origin)
            done = self._git.run(private, "cat-file", "blob", blob, verbatim=True)
            return bytes_of(done.stdout) if done.code == 0 else None

    def blob_from_anywhere(self, folder: Path, commit: str, name: str) -> bytes | None:
        """The bytes of a file at a commit from here or, if they are lost, from the `origin`; None without any."""
        with suppress(ToolFailed):
            if (data := self.blob(folder, commit, name)) is not None:
                return data
        return self.blob_of_origin(folder, commit, name)

    def provenance(self, folder: Path, commit: str) -> tuple[str, str]:
        """The date of a commit (RFC 3339) and the URL of `origin`; each is empty if unknown."""
        address = _output(self._git.run(folder, "remote", "get-url", "origin"))
        if not _COMMIT.fullmatch(commit):
            return "", address
        return _output(self._git.run(folder, "show", "--no-patch", "--format=%cI", commit)), address

    def contents(self, folder: Path, scopes: tuple[Path, ...]) -> dict[str, str]:
        """The blob ids of tracked and untracked files on disk in some folders, by their path in the repository."""
        return contents_now(self._git, self._state, folder, scopes)

    def contents_at(self, folder: Path, commit: str, scopes: tuple[Path, ...]) -> dict[str, str] | None:
        """The same for the files of a commit, None if git does not have it."""
        return contents_at(self._git, folder, commit, scopes) if _COMMIT.fullmatch(commit) else None

    def files_below(self, folder: Path, patterns: tuple[str, ...]) -> tuple[Path, ...] | None:
        """Tracked and untracked files that match pathspecs, without ignored ones; None without a repository."""
        names = self._names_below(folder, *not_ignored(*patterns))
        return None if names is None else tuple(path_of(folder, name) for name in names)

    def names_below(self, folder: Path, *, tracked: bool) -> tuple[str, ...] | None:
        """The paths below a folder of the files in the index or, unless only `tracked`, also of new ones; see above."""
        return self._names_below(
            folder, "ls-files", "-z", *(("--cached",) if tracked else NOT_IGNORED), "--deduplicate"
        )

    def _names_below(self, folder: Path, *argv: str) -> tuple[str, ...] | None:
        try:
            done = self._git.run(folder, *argv, verbatim=True)
        except (ToolMissing, ToolFailed):
            return None
        if done.code != 0:
            return None
        return names_in(done.stdout)

    def top(self, folder: Path) -> Path | None:
        """The root of the repository that contains a folder; None without one."""
        try:
            return self._git.top(folder)
        except (ToolMissing, ToolFailed):
            return None

    def default_branch(self, folder: Path) -> str | None:
        """
        The branch that `origin` names as its default, else the current one, else the only one.

        The last is for a commit that is checked out without a branch. None if git knows none of them.
        """
        local, remote = "refs/heads/", "refs/remotes/origin/"
        try:
            default = _output(self._git.run(folder, "symbolic-ref", "--quiet", f"{remote}HEAD"))
            current = _output(self._git.run(folder, "symbolic-ref", "--quiet", "HEAD"))
            refs = _output(self._git.run(folder, "for-each-ref", "--format=%(refname)", local, remote)).splitlines()
        except (ToolMissing, ToolFailed):
            return None
        if name := default.removeprefix(remote) or current.removeprefix(local):
            return name
        names = {ref.removeprefix(local).removeprefix(remote) for ref in refs} - {"HEAD"}
        return names.pop() if len(names) == 1 else None

    def tracks(self, path: Path) -> bool:
        """Whether git tracks a path or anything below it; true if git fails, to be on the safe side."""
        try:
            done = self._git.run(path.parent, "ls-files", "-z", "--", path.name)
        except (ToolMissing, ToolFailed):
            return True
        return done.code != 0 or bool(done.stdout)

    def patch(self, folder: Path, before: Path, after: Path) -> bytes:
        """
        The difference between two files below a folder, as a patch for `git apply`; the first may be missing.

        The patch contains their paths, so the first part of each takes the place of the usual `a` and `b`.
        """
        names = (str(before) if (folder / before).exists() else os.devnull, str(after))
        flags = ("--no-index", "--no-ext-diff", "--no-textconv", "--no-color", "--no-prefix", "--text")
        done = self._git.run(folder, "diff", *flags, "--", *names, verbatim=True, variables=self._git.filters(folder))
        if done.code not in (0, 1):
            raise ToolFailed(what="`git diff` failed", why=done.last_line)
        return bytes_of(done.stdout)

    def last_change(self, file: Path) -> LastChange:
        """When a file last changed; unknown without git, for an ignored file, or if git distrusts the owner."""
        try:
            return self._last_change(file.parent, file.name)
        except (ToolMissing, ToolFailed) as error:
            return LastChange(history=History.UNKNOWN, reason=str(error))

    def _last_change(self, folder: Path, name: str) -> LastChange:
        flags = ("--porcelain", "--ignored", "--untracked-files=normal", "--ignore-submodules=all")
        state = self._git.run(folder, "status", *flags, "--", name, variables=self._git.filters(folder))
        if state.code != 0 or state.stdout.startswith("!!"):
            reason = "git ignores it" if state.code == 0 else state.last_line
            return LastChange(history=History.UNKNOWN, reason=reason)
        if state.stdout:
            return LastChange(history=History.UNCOMMITTED)
        changed = self._git.output(folder, "rev-list", "-1", "--timestamp", "HEAD", "--", name).split()
        if not changed:
            return LastChange(history=History.UNKNOWN, reason="no commit has it")
        at, commit = changed
        # At the boundary of a shallow clone, a commit has no parents and seems to have added all of its files.
        seen = self._git.output(folder, "rev-list", "-1", "--parents", commit).split()[1:]
        cut = not seen and "\nparent " in self._git.output(folder, "cat-file", "commit", commit).partition("\n\n")[0]
        return LastChange(history=History.CUT_OFF if cut else History.COMMITTED, at_s=float(at))

    def version(self) -> str | None:
        """The version of git, None without git."""
        try:
            return self._git.run(Path("/"), "version").stdout.strip().removeprefix("git version ")
        except ToolMissing:
            return None

    def _head(self, folder: Path) -> Completed:
        try:
            head = self._git.run(folder, "rev-parse", "--verify", "HEAD")
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
            place = bare_repository_at(str(folder)) or str(folder)
            why = "it looks like a bare repository, whose settings may start programs"
            fix = shlex.join(("mv", f"{place}/HEAD", f"{place}/HEAD.txt"))
            raise NotCommitted(what=f"git does not run in `{place}`", why=why, fix=fix)
        return head

    def _dirty(self, folder: Path, base: str) -> str | None:
        """
        A digest of all differences from `base`, in files and in nested repositories; None if there are none.

        Files that git skips (--assume-unchanged, --skip-worktree) are compared by content. Files that a sparse checkout
        leaves out, and ignored files, are no difference.
        """
        top = self._git.top(folder)
        filters = self._git.filters(top)
        listed = list(filter(None, self._git.output(top, *_LIST).split("\0")))
        new = [line[2:] for line in listed if line.startswith("? ")]
        entries = [entry_of(line) for line in listed if not line.startswith("? ")]
        changed = "\n".join(headers(self._git.output(top, *_DIFF, base, "--", variables=filters)))
        others = {
            *(f"{name}\0new {self._content(path_of(top, name))}" for name in new),
            *self._submodules(top, [entry for entry in entries if entry.mode == SUBMODULE]),
            *self._hidden(top, [entry for entry in entries if entry.hidden and entry.mode != SUBMODULE], filters),
        }
        if not changed and not others:
            return None
        # Neither a header nor a name holds a NUL.
        return hashlib.sha256(bytes_of("\0".join((changed, *sorted(others))))).hexdigest()

    def _content(self, path: Path) -> str:
        """The state of an untracked path: a digest of a file, also the target of a link, HEAD of a repository."""
        link = f"{link_target(path).decode(errors='surrogateescape')} " if path.is_symlink() else ""
        if path.is_file():
            with path.open("rb") as file:
                return link + hashlib.file_digest(file, "sha256").hexdigest()
        return link or " ".join(filter(None, self._state(path)))

    def _state(self, folder: Path) -> tuple[str, str | None]:
        """HEAD of the repository in this folder, empty before its first commit, and the digest of its changes."""
        if not (folder / ".git").exists() or self._git.run(folder, "rev-parse", "--show-cdup").stdout.strip():
            return "", None  # git would use the repository around it
        head = self._head(folder)
        base = "HEAD" if head.code == 0 else self._git.output(folder, "hash-object", "-t", "tree", "--stdin").strip()
        return head.stdout.strip() if head.code == 0 else "", self._dirty(folder, base)

    def _submodules(self, top: Path, entries: list[GitEntry]) -> Iterator[str]:
        """Submodules with changes; one at another commit is in the diff already, unless git skips it."""
        for entry in entries:
            head, dirty = self._state(path_of(top, entry.name))
            moved = head if entry.hidden and head != entry.blob else ""
            if moved or dirty:
                yield f"{entry.name}\0submodule {moved} {dirty}"

    def _hidden(self, top: Path, entries: list[GitEntry], filters: Mapping[str, str]) -> Iterator[str]:
        """Files that git skips and whose contents differ from the index."""
        files = []
        for entry in entries:
            path = path_of(top, entry.name)
            if path.is_symlink():
                if (blob := link_blob(path, like=entry.blob)) != entry.blob:
                    yield f"{entry.name}\0hidden {blob}"
            elif path.is_file():
                files.append(entry)
            elif entry.tag.upper() != "S":
                yield f"{entry.name}\0hidden, deleted"
        for first in range(0, len(files), _AT_ONCE):
            batch = files[first : first + _AT_ONCE]
            names = (entry.name for entry in batch)
            blobs = self._git.output(top, "hash-object", "--", *names, variables=filters).split()
            for entry, blob in zip(batch, blobs, strict=True):
                if blob != entry.blob:
                    yield f"{entry.name}\0hidden {blob}"


def _output(done: Completed) -> str:
    return done.stdout.strip() if done.code == 0 else ""
