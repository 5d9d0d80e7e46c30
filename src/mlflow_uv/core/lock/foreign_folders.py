"""Names the folders with files that are not of the project: vendored copies, and folders of package managers."""

FOREIGN_FOLDERS = frozenset({
    "node_modules", "site-packages", "__pypackages__", "vendor", "vendored", "_vendor", "third_party", "third-party",
    ".git", ".hg", ".tox", ".nox", ".venv", "venv",
})  # fmt: skip


def is_foreign(path: str) -> bool:
    """Whether a path with slashes leads into such a folder."""
    return not FOREIGN_FOLDERS.isdisjoint(path.split("/"))
