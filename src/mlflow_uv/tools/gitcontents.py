"""Lists the files of folders with the ids that git has, or would have, for their contents."""

from collections.abc import Callable
from pathlib import Path

from .gitwords import entry_of, link_blob, path_of, pathspecs
from .guardedgit import GuardedGit

_LIST = ("ls-files", "-z", "-v", "--stage", "--cached", "--others", "--exclude-standard")
_EDITED = ("diff-files", "-z", "--name-only", "--no-ext-diff", "--no-textconv", "--ignore-submodules=dirty")
_SUBMODULE = "160000"
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
    return ids


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
        if any(root in {"", name} or name.startswith(f"{root}/") for root in roots)
    }
