"""Each project has an embedded store of its own for each schema of MLflow's database."""

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from mlflow_uv.tools.mlflow.embedded_store import EmbeddedStores

OF_3_1, OF_3_17 = "bda7b8c39065", "dc11669786a5"


def database(file: Path, revision: str) -> Path:
    """A SQLite file that says this revision."""
    file.parent.mkdir(parents=True, exist_ok=True)
    with closing(sqlite3.connect(file)) as connection:
        connection.execute("CREATE TABLE alembic_version (version_num)")
        connection.execute("INSERT INTO alembic_version VALUES (?)", (revision,))
        connection.commit()
    return file


@pytest.fixture
def lines() -> list[str]:
    """What is said."""
    return []


@pytest.fixture
def stores(tmp_path: Path, lines: list[str]) -> EmbeddedStores:
    """The stores of a state folder."""
    return EmbeddedStores(tmp_path / "state", say=lines.append)


def test_a_store_is_one_projects_and_one_schemas(stores: EmbeddedStores, tmp_path: Path) -> None:
    """
    Another project, or an MLflow with another schema, has another folder; the same ones have the same.
    """
    one, other = tmp_path / "a" / "wine", tmp_path / "b" / "wine"

    files = [
        stores.prepare(project, schema)
        for project, schema in [(one, OF_3_1), (one, OF_3_17), (other, OF_3_1), (one, OF_3_1)]
    ]

    assert (3, files[0]) == (len(set(files)), files[3])
    assert all(file.parent.is_dir() for file in files)


def test_a_new_store_says_where_those_before_it_lie(stores: EmbeddedStores, tmp_path: Path, lines: list[str]) -> None:
    """
    That of another MLflow, with the releases that read it; once.
    """
    project = tmp_path / "wine"
    older = database(stores.prepare(project, OF_3_1), OF_3_1)

    stores.prepare(project, OF_3_17)
    stores.prepare(project, OF_3_17)

    assert [f"a new embedded store is used: that of MLflow 3.0.1 and 3.1.1 to 3.1.4 stays at {older}"] == lines


def test_a_store_that_is_used_already_says_nothing(stores: EmbeddedStores, tmp_path: Path, lines: list[str]) -> None:
    """
    Where others lie is told when a new one begins, and never again.
    """
    older, newer = (database(stores.prepare(tmp_path / "wine", schema), schema) for schema in (OF_3_1, OF_3_17))
    lines.clear()

    files = [stores.prepare(tmp_path / "wine", schema) for schema in (OF_3_1, OF_3_17)]

    assert ([older, newer], []) == (files, lines)
