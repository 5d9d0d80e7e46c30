"""How are git's words about files read?"""

from dataclasses import dataclass

_HEADERS = ("diff --git ", "index ", "old mode ", "new mode ", "new file ", "deleted file ", "* Unmerged ")


@dataclass(frozen=True, kw_only=True, slots=True)
class Entry:
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


def entry_of(line: str) -> Entry:
    """A line of `ls-files -v --stage`: tag, mode, blob, stage, and after a tab the name."""
    words, name = line.split("\t", 1)
    tag, mode, blob, _ = words.split(" ")
    return Entry(tag=tag, mode=mode, blob=blob, name=name)
