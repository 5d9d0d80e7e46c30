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
# The first bytes of files that Git LFS and git-crypt store in the repository.
_HEADS = (b"version https://git-lfs.github.com/", b"\0GITCRYPT\0")
_STORED_FORM = " as stored"
_AT_ONCE = 500  # names in one argv


def contents_now(
    git: GuardedGit, state: Callable[[Path], tuple[str, str | None]], folder: Path, scopes: tuple[Path, ...]
) -> dict[str, str]:
    """
    The blob ids of tracked and untracked files on disk, by their paths in the repository, without ignored ones.

    `state` returns HEAD and the digest of changes of a nested repository. Raises ToolFailed, ToolMissing.
    """
    top = git.top(folder)
    specs = pathspecs(top, scopes)
    filters = git.filters(top)
    lines = list(filter(None, git.output(top, *_LIST, "--", *specs).split("\0")))
    new = [line[2:] for line in lines if line.startswith("? ")]
    entries = [entry_of(line) for line in lines if not line.startswith("? ")]
    edited = {*git.output(top, *_EDITED, "--", *specs, variables=filters).split("\0")}
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
            ids.pop(name, None)  # deleted; files that a sparse checkout leaves out are not listed as edited
    for first in range(0, len(files), _AT_ONCE):
        batch = files[first : first + _AT_ONCE]
        blobs = git.output(top, "hash-object", "--", *batch, variables=filters).split()
        ids.update(zip(batch, blobs, strict=True))
    filtered = git.output(top, "ls-files", "-z", "--", *specs, *_NO_FILTER)
    for name in filter(None, filtered.split("\0")):
        if name in ids and _is_stored_form(path_of(top, name)):
            ids[name] += _STORED_FORM
    for inner in _repositories_of(top, scopes):
        ids[inner.relative_to(top).as_posix()] = " ".join(filter(None, state(inner)))
    return ids


def _is_stored_form(file: Path) -> bool:
    """Whether a file contains the stored form (an LFS pointer, encrypted data), which has the same id in git."""
    if file.is_symlink() or not file.is_file():
        return False
    with file.open("rb") as opened:
        return opened.read(max(map(len, _HEADS))).startswith(_HEADS)


def _repositories_of(top: Path, scopes: tuple[Path, ...]) -> Iterator[Path]:
    """The nested repositories, such as submodules, that contain a scope; the outer one lists no files in them."""
    root = Path(os.path.realpath(top))
    for scope in scopes:
        real = Path(os.path.realpath(scope))
        within = [place for place in (real, *real.parents) if root in place.parents]
        inner = next((place for place in reversed(within) if os.path.lexists(place / ".git")), None)
        if inner is not None:
            yield top / inner.relative_to(root)


def contents_at(git: GuardedGit, folder: Path, commit: str, scopes: tuple[Path, ...]) -> dict[str, str] | None:
    """The same at a commit, None if git does not have it."""
    top = git.top(folder)
    done = git.run(top, "ls-tree", "-r", "-z", commit, verbatim=True)
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
    """Whether a line of `ls-tree` is a submodule that contains a folder."""
    return words.startswith(_SUBMODULE) and root.startswith(f"{name}/")
