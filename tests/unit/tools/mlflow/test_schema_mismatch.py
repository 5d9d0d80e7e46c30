"""What is said of a database whose schema is not that of the MLflow in use."""

import pytest

from mlflow_uv.payloads.messages.request import SchemaFacts
from mlflow_uv.tools.mlflow.schema_mismatch import schema_mismatch

URI = "sqlite:////data/old one.db"


def facts(revision: str, *, upgradable: bool) -> SchemaFacts:
    """What a payload tells."""
    return SchemaFacts(
        variable="MLFLOW_TRACKING_URI",
        revision=revision,
        wanted="dc11669786a5",
        mlflow="3.17.2",
        upgradable=upgradable,
        python="/env/bin/python",
    )


@pytest.mark.parametrize(
    ("revision", "readers"),
    [
        ("bda7b8c39065", "MLflow 3.0.1 and 3.1.1 to 3.1.4"),
        ("4465047574b1", "MLflow 2.15.0 to 2.16.2"),
        ("7f2a7d5fae7d", "MLflow 2.4.0 to 2.7.1"),
    ],
)
def test_an_older_database_names_its_releases_and_the_upgrade_of_a_copy(revision: str, readers: str) -> None:
    """
    The original stays what its own project reads.
    """
    error = schema_mismatch(facts(revision, upgradable=True), uri=URI, shown=URI)

    assert f"its schema {revision} is that of {readers}, and the MLflow 3.17.2 in use has dc11669786a5" == error.why
    assert (
        f"use it from a project with {readers}, or a copy: `cp '/data/old one.db' '/data/old one.db.upgraded' &&"
        " /env/bin/mlflow db upgrade 'sqlite:////data/old one.db.upgraded'`, then"
        " --tracking-uri 'sqlite:////data/old one.db.upgraded'"
    ) == str(error.fix)


def test_the_database_of_a_server_is_backed_up_first() -> None:
    """
    There is no file to copy.
    """
    uri = "postgresql://db.test/mlflow"

    error = schema_mismatch(facts("bda7b8c39065", upgradable=True), uri=uri, shown=uri)

    assert f"back it up and `/env/bin/mlflow db upgrade {uri}`" in str(error.fix)


def test_a_revision_of_another_program_is_no_mlflow() -> None:
    """
    A program that keeps its own revision in the same file, as Optuna's storage does.
    """
    error = schema_mismatch(facts("v2.4.0.a", upgradable=False), uri=URI, shown=URI)

    assert "an unknown MLflow: a newer version, or another program" in error.why
    assert str(error.fix).endswith("or --tracking-uri sqlite:///NEW_FILE")
