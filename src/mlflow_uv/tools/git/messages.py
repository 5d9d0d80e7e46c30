"""Parses git's output about files."""

import hashlib
import os
from dataclasses import dataclass
from pathlib import Path

BARE = "cannot use bare repository"
_HEADERS = ("diff --git ", "index ", "old mode ", "new mode ", "new file ", "deleted file ", "* Unmerged ")


@dataclass(frozen=True, kw_only=True, slots=True)
class GitEntry:
    """A file as the index has it; `tag` is lower case for --assume-unchanged, S for --skip-worktree."""

    tag: str
    mode: str
    blob: str
    name: str

    @property
    def hidden(self) -> bool:
        """Whether git was told not to look at it."""
        return self.tag.islower() or self.tag == "S"


def headers(patch: str) -> tuple[str, ...]:
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


def entry_of(line: str) -> GitEntry:
    """A line of `ls-files -v --stage`: tag, mode, blob, stage, and after a tab the name."""
    words, name = line.split("\t", 1)
    tag, mode, blob, _ = words.split(" ")
    return GitEntry(tag=tag, mode=mode, blob=blob, name=name)


def path_of(folder: Path, name: str) -> Path:
    """A file that git names in a folder, whatever its name is made of."""
    return folder / os.fsdecode(bytes_of(name))


def bytes_of(text: str) -> bytes:
    """A verbatim text of git's as the bytes that it was."""
    return text.encode(errors="surrogateescape")


def link_blob(path: Path, *, like: str) -> str:
    """The id git gives a link, by the algorithm that made `like`; `git hash-object` would follow it."""
    target = link_target(path)
    algorithm = "sha1" if len(like) == 40 else "sha256"  # noqa: PLR2004  # hexadecimal digits
    return hashlib.new(algorithm, b"blob %d\0%s" % (len(target), target), usedforsecurity=False).hexdigest()


def link_target(link: Path) -> bytes:
    """What a link holds, byte for byte: a Path would drop a trailing slash."""
    return os.readlink(os.fsencode(link))  # noqa: PTH115


def pathspecs(top: Path, scopes: tuple[Path, ...]) -> tuple[str, ...]:
    """Folders as git takes them at the top of its work tree; those outside of it are left out."""
    root = Path(os.path.realpath(top))
    inside = (Path(os.path.realpath(scope)) for scope in scopes)
    paths = (scope.relative_to(root).as_posix() for scope in inside if scope.is_relative_to(root))
    return tuple(f":(top,literal){'' if path == '.' else path}" for path in dict.fromkeys(paths))
