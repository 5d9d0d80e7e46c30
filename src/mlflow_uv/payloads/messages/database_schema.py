"""Finds the schema of MLflow's database in the files of MLflow, without importing it."""

import re
from collections.abc import Iterable
from pathlib import Path

# MLflow's database migrations, and the lines with a migration's revision and its predecessors.
_MIGRATIONS = "mlflow/store/db_migrations/versions/*.py"
_REVISION = r"""^revision\b[^=\n]*=\s*['"]([^'"]+)['"]"""
_BEFORE = r"""^down_revision\b[^=\n]*=(.*)$"""
_QUOTED = r"""['"]([^'"]+)['"]"""


def newest_revision(folders: Iterable[Path]) -> "str | None":
    """The newest database revision of the MLflow in the first of these folders that has one; None without MLflow."""
    for folder in folders:
        revisions: set[str] = set()
        before: set[str] = set()
        for file in folder.glob(_MIGRATIONS):
            text = file.read_text(encoding="utf-8")
            revisions.update(re.findall(_REVISION, text, re.MULTILINE))
            for line in re.findall(_BEFORE, text, re.MULTILINE):
                before.update(re.findall(_QUOTED, line))
        if revisions:
            return ",".join(sorted(revisions - before))
    return None
