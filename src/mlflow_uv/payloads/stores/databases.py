"""
Compares the schema of a database with that of the MLflow in use, before MLflow opens it.

An MLflow that opens a database of an older one may migrate it without asking, and the older one cannot read it
afterwards. So the schema is read first, and only an empty database, or one with exactly this MLflow's schema, is used.
"""

import os
import re
import sqlite3
import sys
import time
from contextlib import closing
from pathlib import Path
from typing import Any
from urllib.parse import quote, unquote, urlsplit

from ..messages.request import SchemaFacts
from ..problems import Problem, ProblemKind

# The variables whose databases MLflow would open.
STORES = ("MLFLOW_TRACKING_URI", "MLFLOW_REGISTRY_URI")
_SERVERS = ("postgresql", "mysql", "mssql", "oracle")
_SQLITE = re.compile(r"sqlite(?:\+\w+)?://")
# The revision of a database that has tables, but no table with a revision.
UNVERSIONED = "none"
# A database that another process is creating changes within these times.
_SETTLE_S = 2.0
_SETTLE_UNVERSIONED_S = 6.0
_STEP_S = 0.25
_LOCKED_S = 30.0
_usable: set[str] = set()


def require_usable(variable: str) -> None:
    """
    Check the schema of the database that a variable names, once per process and read-only.

    Raises Problem of kind SCHEMA for the schema of another MLflow.

    Measured with MLflow 3.17: it retries a wrong password ten times, for 100 s, and it migrates a SQLite file of
    MLflow 3.1 and a database server that lacks a table.
    """
    uri = os.environ.get(variable, "")
    if uri in _usable or not (uri.startswith(_SERVERS) or _SQLITE.match(uri)):
        return
    present = _present(uri)
    if present is not None:
        required = _required()
        if present != required:
            present = _settled(uri, present, required)
        if present != required:
            raise _other_schema(variable, present, required)
    _usable.add(uri)


def _settled(uri: str, revision_before: str, required: str) -> "str | None":
    """The revision once it stops changing: another process may be creating the database."""
    waited_s = 0.0
    revision: str | None = revision_before
    while revision != required and waited_s < (_SETTLE_UNVERSIONED_S if revision == UNVERSIONED else _SETTLE_S):
        time.sleep(_STEP_S)
        waited_s += _STEP_S
        later = _present(uri)
        if later != revision:
            revision, waited_s = later, 0.0
    return revision


def _present(uri: str) -> "str | None":
    """The revision of a database, None for an empty one."""
    return _revision_of_file(uri) if _SQLITE.match(uri) else _revision_of_server(uri)


def _revision_of_file(uri: str) -> "str | None":
    from sqlalchemy.engine import make_url  # noqa: PLC0415  # mlflow-skinny has none, and opens no database

    database = make_url(uri).database or ""
    path = Path(unquote(urlsplit(database).path) if database.startswith("file:") else database)
    if database in {"", ":memory:"} or not path.is_file() or path.stat().st_size == 0:
        return None
    address = f"file:{quote(os.path.abspath(path))}?mode=ro"  # noqa: PTH100  # keeps links, like SQLAlchemy
    try:
        return _read(address)
    except sqlite3.OperationalError as error:
        if "locked" in str(error):
            raise
        # A read-only connection cannot roll back the journal of a killed process.
        return _read(f"{address}&immutable=1")


def _read(address: str) -> "str | None":
    with closing(sqlite3.connect(address, uri=True, timeout=_LOCKED_S)) as connection:
        tables = {name for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
        if "alembic_version" not in tables:
            return UNVERSIONED if tables else None
        revisions = sorted(str(row[0]) for row in connection.execute("SELECT version_num FROM alembic_version"))
    return ",".join(revisions) or UNVERSIONED


def _revision_of_server(uri: str) -> "str | None":
    import sqlalchemy  # noqa: PLC0415  # mlflow-skinny has neither
    from alembic.migration import MigrationContext  # noqa: PLC0415

    engine = sqlalchemy.create_engine(uri, poolclass=sqlalchemy.pool.NullPool)
    with engine.connect() as connection:
        return ",".join(sorted(MigrationContext.configure(connection).get_current_heads())) or None


def _required() -> str:
    from mlflow.store.db.utils import _get_latest_schema_revision  # noqa: PLC0415  # not in mlflow-skinny

    return str(_get_latest_schema_revision())


def _other_schema(variable: str, present: "str | None", required: str) -> Problem:
    import mlflow  # noqa: PLC0415  # only needed for the error

    facts = SchemaFacts(
        variable=variable,
        revision=present or UNVERSIONED,
        wanted=required,
        mlflow=str(mlflow.__version__),
        upgradable=present in _history(),
        python=sys.executable,
    )
    return Problem(
        ProblemKind.SCHEMA, f"its schema is {present}, and the project's MLflow needs {required}", facts=facts
    )


def _history() -> "set[Any]":
    """The revisions from which this MLflow can upgrade a database."""
    import mlflow.store.db_migrations  # noqa: PLC0415  # as above
    from alembic.script import ScriptDirectory  # noqa: PLC0415

    folder = Path(mlflow.store.db_migrations.__file__ or "").parent
    return {script.revision for script in ScriptDirectory(str(folder)).walk_revisions()}
