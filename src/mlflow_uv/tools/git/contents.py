"""Lists the files of folders with the blob ids that git has, or would compute, for their contents."""

import os
from collections.abc import Callable, Iterator
from pathlib import Path

from .guarded import GuardedGit
from .messages import entry_of, link_blob, path_of, pathspecs

_LIST = ("ls-files", "-z", "-v", "--stage", "--cached", "--others", "--exclude-standard")
_EDITED = ("diff-files", "-z", "--name-only", "--no-ext-diff", "--no-textconv", "--ignore-submodules=dirty")
_SUBMODULE = "160000"
_NO_FILTER = (":(top,exclude,attr:!filter)", ":(top,exclude,attr:-filter)")
# What Git LFS and git-crypt keep in the repository, and what lies in a checkout that was made without them.
_HEADS = (b"version https://git-lfs.github.com/", b"\0GITCRYPT\0")
_STORED_FORM = " as stored"
_AT_ONCE = 500  # names in one argv


def contents_now(
    git: GuardedGit, state: Callable[[Path], tuple[str, str | None]], folder: Path, scopes: tuple[Path, ...]
) -> dict[str, str]:
    """
    Tracked and new files as they are now, by their paths in the repository; not what git ignores.

    `state` is HEAD of a repository inside, and what differs from it. Raises ToolFailed, ToolMissing.
    """
    top = git.top(folder)
    where = pathspecs(top, scopes)
    filters = git.filters(top)
    listed = list(filter(None, git.answer(top, *_LIST, "--", *where).split("\0")))
    new = [line[2:] for line in listed if line.startswith("? ")]
    entries = [entry_of(line) for line in listed if not line.startswith("? ")]
    edited = {*git.answer(top, *_EDITED, "--", *where, variables=filters).split("\0")}
    ids = {entry.name: entry.blob for entry in entries}
    doubtful = [entry.name for entry in entries if entry.name in edited or entry.hidden or entry.mode == _SUBMODULE]
    files = []
    for name in (*new, *dict.fromkeys(doubtful)):
        path = path_of(top, name)
        if path.is_symlink():
            ids[name] = link_blob(path, like=next(iter(ids.values()), ""))
        elif path.is_file():
            files.append(name)
        elif path.is_dir():
            ids[name] = " ".join(filter(None, state(path))) or ids.get(name, "")
        elif name in edited:
            ids.pop(name, None)  # deleted; what a sparse checkout leaves out is not edited
    for first in range(0, len(files), _AT_ONCE):
        some = files[first : first + _AT_ONCE]
        blobs = git.answer(top, "hash-object", "--", *some, variables=filters).split()
        ids.update(zip(some, blobs, strict=True))
    filtered = git.answer(top, "ls-files", "-z", "--", *where, *_NO_FILTER)
    for name in filter(None, filtered.split("\0")):
        if name in ids and _is_stored_form(path_of(top, name)):
            ids[name] += _STORED_FORM
    for inner in _repositories_of(top, scopes):
        ids[inner.relative_to(top).as_posix()] = " ".join(filter(None, state(inner)))
    return ids


def _is_stored_form(file: Path) -> bool:
    """Whether a file holds what stands for its content in the repository: git has the same id for both."""
    if file.is_symlink() or not file.is_file():
        return False
    with file.open("rb") as opened:
        return opened.read(max(map(len, _HEADS))).startswith(_HEADS)


def _repositories_of(top: Path, scopes: tuple[Path, ...]) -> Iterator[Path]:
    """The repositories in this one, such as submodules, in which a scope lies: this one lists nothing in them."""
    root = Path(os.path.realpath(top))
    for scope in scopes:
        real = Path(os.path.realpath(scope))
        within = [place for place in (real, *real.parents) if root in place.parents]
        inner = next((place for place in reversed(within) if os.path.lexists(place / ".git")), None)
        if inner is not None:
            yield top / inner.relative_to(root)


def contents_at(git: GuardedGit, folder: Path, commit: str, scopes: tuple[Path, ...]) -> dict[str, str] | None:
    """The same at a commit, None where git does not have it."""
    top = git.top(folder)
    done = git.ask(top, "ls-tree", "-r", "-z", commit, verbatim=True)
    if done.code != 0:
        return None
    lines = (line.split("\t", 1) for line in done.stdout.split("\0") if line)
    roots = [spec.partition(")")[2] for spec in pathspecs(top, scopes)]
    return {
        name: words.split(" ")[2]
        for words, name in lines
        if any(root in {"", name} or name.startswith(f"{root}/") or _holds(words, name, root) for root in roots)
    }


def _holds(words: str, name: str, root: str) -> bool:
    """Whether a line of `ls-tree` is a submodule that a folder lies in."""
    return words.startswith(_SUBMODULE) and root.startswith(f"{name}/")
