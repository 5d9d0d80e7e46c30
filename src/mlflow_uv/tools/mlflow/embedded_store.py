"""Finds the embedded store of a project: one SQLite file for each schema of MLflow's database, in a private folder."""

from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from urllib.parse import quote

from ...core.model.database_schemas import releases_of
from ...core.release.digests import sha256
from ..project.files import absolute

DATABASE = "mlflow.db"


class EmbeddedStores:
    """
    The embedded stores below the state folder.

    `stores/PROJECT/SCHEMA/mlflow.db` is used by one project, and by any MLflow whose database has that schema.
    """

    def __init__(self, state: Path, *, say: Callable[[str], None]) -> None:
        self._state = state
        self._say = say
        self._announced: set[Path] = set()

    @property
    def folder(self) -> Path:
        """The folder of all embedded stores."""
        return self._state / "stores"

    def prepare(self, project: Path, schema: str) -> Path:
        """
        The database file of a project's store; its folder, which also holds the artifacts, is created.

        For a new store, those of the project with another schema are printed.
        """
        own = self.folder / self._name(project)
        folder = own / schema
        folder.mkdir(parents=True, exist_ok=True)
        if not (folder / DATABASE).exists() and folder not in self._announced:
            self._announced.add(folder)
            for file in sorted(own.glob(f"*/{DATABASE}")):
                self._say(f"a new embedded store is used: that of {_reader(file)} stays at {file}")
        return folder / DATABASE

    def _name(self, project: Path) -> str:
        folder = absolute(project)
        return f"{folder.name}-{sha256(bytes(folder))[:12]}"


def _reader(file: Path) -> str:
    revision = revision_of(file)
    return releases_of(revision) or f"an MLflow whose schema is {revision or 'unknown'}"


def revision_of(file: Path) -> str:
    """The Alembic revision of a SQLite file, empty if it has none or is unreadable. Opened read-only."""
    import sqlite3  # noqa: PLC0415  # only where a file is there

    try:
        with closing(sqlite3.connect(f"file:{quote(str(file))}?mode=ro", uri=True)) as connection:
            return ",".join(str(row[0]) for row in connection.execute("SELECT version_num FROM alembic_version"))
    except sqlite3.Error:
        return ""
