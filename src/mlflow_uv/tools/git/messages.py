"""Parses git's output about files."""

import hashlib
import os
from enum import Enum
from pathlib import Path

from ...payloads.messages.lazy_dataclass import lazy_dataclass

_SHA1_DIGITS = 40
BARE = "cannot use bare repository"
_HEADERS = ("diff --git ", "index ", "old mode ", "new mode ", "new file ", "deleted file ", "* Unmerged ")


@lazy_dataclass
class GitEntry:
    """An entry of the index; `tag` is lower case for --assume-unchanged, S for --skip-worktree."""

    tag: str
    mode: str
    blob: str
    name: str

    @property
    def hidden(self) -> bool:
        """Whether git skips its content."""
        return self.tag.islower() or self.tag == "S"


class OtherEntry(Enum):
    """What a commit has at a path instead of a file."""

    LINK = "a link"
    SUBMODULE = "a submodule"
    FOLDER = "a folder"


OTHER_ENTRIES = {"120000": OtherEntry.LINK, "160000": OtherEntry.SUBMODULE, "040000": OtherEntry.FOLDER}


def headers(patch: str) -> tuple[str, ...]:
    """
    The header lines of each file in a patch; their blob ids identify the contents.

    A file with only a `diff --git` line has another modification time but no difference, and is left out.
    """
    lines = [line for line in patch.split("\n") if line.startswith(_HEADERS)]
    following = (*lines[1:], "diff --git ")
    return tuple(
        line
        for line, after in zip(lines, following, strict=False)
        if not (line.startswith("diff --git ") and after.startswith("diff --git "))
    )


def entry_of(line: str) -> GitEntry:
    """Parse a line of `ls-files -v --stage`: tag, mode, blob, stage, a tab and the name."""
    words, name = line.split("\t", 1)
    tag, mode, blob, _ = words.split(" ")
    return GitEntry(tag=tag, mode=mode, blob=blob, name=name)


def path_of(folder: Path, name: str) -> Path:
    """The path of a file that git names, whatever bytes its name contains."""
    return folder / os.fsdecode(bytes_of(name))


def bytes_of(text: str) -> bytes:
    """The bytes of a verbatim output of git."""
    return text.encode(errors="surrogateescape")


def link_blob(path: Path, *, like: str) -> str:
    """The blob id of a link, with the hash algorithm of the id `like`; `git hash-object` would follow the link."""
    target = link_target(path)
    algorithm = "sha1" if len(like) == _SHA1_DIGITS else "sha256"
    return hashlib.new(algorithm, b"blob %d\0%s" % (len(target), target), usedforsecurity=False).hexdigest()


def link_target(link: Path) -> bytes:
    """The target of a link as bytes; a Path would drop a trailing slash."""
    return os.readlink(os.fsencode(link))  # noqa: PTH115


def pathspecs(top: Path, scopes: tuple[Path, ...]) -> tuple[str, ...]:
    """Folders as pathspecs of git at the root of the work tree; those outside of it are left out."""
    root = Path(os.path.realpath(top))
    inside = (Path(os.path.realpath(scope)) for scope in scopes)
    paths = (scope.relative_to(root).as_posix() for scope in inside if scope.is_relative_to(root))
    return tuple(f":(top,literal){'' if path == '.' else path}" for path in dict.fromkeys(paths))
