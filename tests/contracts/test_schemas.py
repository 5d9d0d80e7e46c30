"""Contract: no payload migrates a database, whoever made it, and the error says which MLflow can read it."""

import hashlib
import json
import os
import shlex
import sqlite3
import subprocess
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from mlflow_uv.core.model.database_schemas import releases_of
from mlflow_uv.payloads.messages.request import SchemaFacts
from mlflow_uv.tools.mlflow.schema_mismatch import schema_mismatch
from tests.contracts.mlflow_interpreter import QUIET, MlflowInterpreter, synced

OF_3_1 = "bda7b8c39065"
TRAINING = """\
import mlflow

with mlflow.start_run():
    mlflow.log_metric("x", 1)
"""
# One question of each step that asks a store.
REQUESTS: tuple[tuple[str, dict[str, Any]], ...] = (
    ("describe-version", {"name": "wine", "version": "1"}),  # audit
    ("promote", {"name": "wine", "alias": "champion"}),
    ("find-rollback", {"name": "wine", "alias": "champion", "previous": "previous", "to": None, "run": ""}),
    ("find-or-create-version", {"name": "wine", "model_id": "m-1"}),  # register
    ("find-evaluation", {"model_ids": [], "tags": {}}),  # evaluate
    ("prepare-experiment", {"experiment": "wine", "artifact_location": None}),  # log-model
    ("find-released", {"release_key": "x"}),
    ("delete-versions", {"name": "wine", "versions": []}),  # prune
)


@dataclass(frozen=True, kw_only=True, slots=True)
class Older:
    """A database that MLflow 3.1 made."""

    file: Path
    sha256: str

    @property
    def uri(self) -> str:
        """Its address."""
        return f"sqlite:///{self.file}"


def digest(file: Path) -> str:
    """sha256 of its bytes."""
    return hashlib.sha256(file.read_bytes()).hexdigest()


@pytest.fixture(scope="module")
def older(root: Path, mlflow: MlflowInterpreter, tmp_path_factory: pytest.TempPathFactory) -> Older:
    """A database that a project with an older lock trained into."""
    folder = tmp_path_factory.mktemp("older")
    python = synced(root / "tests" / "older" / "mlflow-3.1", folder / "environment", "--no-install-project")
    file = folder / "mlflow.db"
    (folder / "train.py").write_text(TRAINING)
    made = MlflowInterpreter(
        python=python, payloads=mlflow.payloads, variables={"MLFLOW_TRACKING_URI": f"sqlite:///{file}"}
    )
    done = made.run("train.py", cwd=folder)
    assert done.returncode == 0, done.stderr
    return Older(file=file, sha256=digest(file))


@pytest.mark.parametrize(
    "variable", ["MLFLOW_TRACKING_URI", pytest.param("MLFLOW_REGISTRY_URI", marks=pytest.mark.extended)]
)
def test_a_database_of_an_older_mlflow_is_refused_and_stays_as_it_is(
    older: Older, mlflow: MlflowInterpreter, tmp_path: Path, variable: str
) -> None:
    """
    Asked for every step in turn, as store and as registry: byte for byte the same file afterwards, nothing beside it.
    """
    beside = set(older.file.parent.iterdir())
    stores = {"MLFLOW_TRACKING_URI": f"sqlite:///{tmp_path}/new.db", variable: older.uri}
    messages = [
        {"verb": verb, "request": request, "response": str(tmp_path / f"{verb}.json")} for verb, request in REQUESTS
    ]

    done = subprocess.run(
        (mlflow.python, "-I", mlflow.payloads),
        input="".join(f"{json.dumps(message)}\n" for message in messages),
        env={**os.environ, **QUIET, **stores},
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )

    kinds = {verb: json.loads((tmp_path / f"{verb}.json").read_text())["error"]["kind"] for verb, _ in REQUESTS}
    assert {verb: "schema" for verb, _ in REQUESTS} == kinds, done.stderr
    assert (older.sha256, beside) == (digest(older.file), set(older.file.parent.iterdir()))


@pytest.mark.extended
def test_the_fix_of_that_refusal_leads_to_an_answer(older: Older, mlflow: MlflowInterpreter) -> None:
    """
    The copy that is upgraded by the printed command is answered; the original stays what its project reads.
    """
    refused = mlflow.on(MLFLOW_TRACKING_URI=older.uri).refuse("describe-name", name="wine")
    told = schema_mismatch(SchemaFacts(**refused["facts"]), uri=older.uri, shown=older.uri)
    _, command, rest = str(told.fix).split("`")

    subprocess.run(command, shell=True, check=True, capture_output=True, cwd=older.file.parent)  # a fix
    uri = shlex.split(rest.rpartition("--tracking-uri")[2])[0]
    answer = mlflow.on(MLFLOW_TRACKING_URI=uri).ask("describe-name", name="wine")

    assert releases_of(OF_3_1) in told.why
    assert releases_of(OF_3_1) in str(told.fix)
    assert (False, older.sha256) == (answer["exists"], digest(older.file))


def test_a_database_of_a_newer_mlflow_names_no_upgrade(mlflow: MlflowInterpreter, tmp_path: Path) -> None:
    """
    Nothing that is here can change it into one that it reads: only the MLflow that made it does.
    """
    file = tmp_path / "newer.db"
    with closing(sqlite3.connect(file)) as connection:
        connection.execute("CREATE TABLE alembic_version (version_num)")
        connection.execute("INSERT INTO alembic_version VALUES ('ffffffffffff')")
        connection.commit()
    before = digest(file)

    refused = mlflow.on(MLFLOW_TRACKING_URI=f"sqlite:///{file}").refuse("describe-name", name="wine")

    told = schema_mismatch(SchemaFacts(**refused["facts"]), uri=f"sqlite:///{file}", shown=f"sqlite:///{file}")
    assert "schema" == refused["kind"]
    assert "use it from a project with the MLflow that made it, or --tracking-uri sqlite:///NEW_FILE" == str(told.fix)
    assert before == digest(file)


@pytest.mark.extended
def test_a_file_of_another_program_gets_no_tables(mlflow: MlflowInterpreter, tmp_path: Path) -> None:
    """
    A mistyped path to somebody's own database: MLflow would add its tables to it.
    """
    file = tmp_path / "customers.db"
    with closing(sqlite3.connect(file)) as connection:
        connection.execute("CREATE TABLE customers (name)")
    before = digest(file)

    refused = mlflow.on(MLFLOW_TRACKING_URI=f"sqlite:///{file}").refuse("describe-name", name="wine")

    told = schema_mismatch(SchemaFacts(**refused["facts"]), uri=f"sqlite:///{file}", shown=f"sqlite:///{file}")
    assert ("schema", f"`sqlite:///{file}` is not an MLflow database") == (refused["kind"], told.what)
    assert before == digest(file)


@pytest.mark.extended
@pytest.mark.parametrize("size", [None, 0], ids=["no file", "an empty file"])
def test_a_new_database_is_made(mlflow: MlflowInterpreter, tmp_path: Path, size: int | None) -> None:
    """
    Where nothing is, MLflow makes its database, and the second question finds its own schema.
    """
    if size is not None:
        (tmp_path / "mlflow.db").touch()
    asked = mlflow.on(MLFLOW_TRACKING_URI=f"sqlite:///{tmp_path}/mlflow.db")

    answers = [asked.ask("describe-name", name="wine")["exists"] for _ in range(2)]

    assert [False, False] == answers


@pytest.mark.extended
def test_the_schema_that_names_the_store_is_the_one_mlflow_makes(
    root: Path, mlflow: MlflowInterpreter, older: Older
) -> None:
    """
    Read from MLflow's files without importing it: what its own database then says.
    """
    python = older.file.parent / "environment" / "bin" / "python"
    described = MlflowInterpreter(python=python, payloads=root / "src" / "mlflow_uv" / "payloads").ask(
        "describe-environment"
    )
    here = mlflow.ask("describe-environment")
    made = subprocess.run(
        (mlflow.python, "-c", "from mlflow.store.db.utils import _get_latest_schema_revision as r; print(r())"),
        capture_output=True,
        text=True,
        check=True,
    )

    assert (OF_3_1, made.stdout.strip()) == (described["mlflow_schema"], here["mlflow_schema"])
    assert f"MLflow {here['mlflow'].rpartition('.')[0]}" in releases_of(here["mlflow_schema"])
