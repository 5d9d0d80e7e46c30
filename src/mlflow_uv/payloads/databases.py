"""Can this MLflow use that database server? Asked before MLflow does, which is neither quick nor careful."""

from .problems import Kind, Problem

# SQLite is a file of one's own: MLflow may make and migrate it.
_SERVERS = ("postgresql", "mysql", "mssql", "oracle")
_usable: set[str] = set()


def require_usable(uri: str) -> None:
    """
    Connect once, and compare the schema; nothing is asked of anything but a database server, and once a process.

    Measured with MLflow 3.17: it tries a wrong password ten times, for 100 s, and it migrates a database that lacks a
    table, which other people's older MLflow cannot read from then on.
    """
    if uri in _usable or not uri.startswith(_SERVERS):
        return
    found, wanted = _revisions(uri)
    if found is not None and found != wanted:
        raise Problem(Kind.SCHEMA, f"its schema is {found}, and the project's MLflow needs {wanted}")
    _usable.add(uri)


def _revisions(uri: str) -> "tuple[str | None, str]":
    """The revision of the database, None for an empty one, and that of this MLflow."""
    import sqlalchemy  # noqa: PLC0415  # an mlflow-skinny has neither
    from alembic.migration import MigrationContext  # noqa: PLC0415
    from mlflow.store.db.utils import _get_latest_schema_revision  # noqa: PLC0415

    engine = sqlalchemy.create_engine(uri, poolclass=sqlalchemy.pool.NullPool)
    with engine.connect() as connection:
        return MigrationContext.configure(connection).get_current_revision(), _get_latest_schema_revision()
