"""Lists the files of a work tree: the arguments of `git ls-files`, and the names in its output. For hooks, too."""

NOT_IGNORED = ("--cached", "--others", "--exclude-standard")


def not_ignored(*patterns: str) -> tuple[str, ...]:
    """Arguments that list tracked and untracked files which match pathspecs, without ignored ones."""
    return ("ls-files", "-z", *NOT_IGNORED, "--deduplicate", "--", *patterns)


def names_in(output: str) -> tuple[str, ...]:
    """The listed paths, without those outside of the folder, which a forged index may name."""
    return tuple(name for name in output.split("\0") if name and ".." not in name.split("/"))
