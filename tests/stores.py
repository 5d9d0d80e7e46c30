"""Real stores on loopback: PostgreSQL, an S3 server, and MLflow's own server in front of both."""

import os
import secrets
import shutil
import subprocess
import tempfile
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from mlflow_uv.command.host import Host
from mlflow_uv.tools.mlflow.store_login import StoreLogin
from mlflow_uv.tools.system.clock import SystemClock
from mlflow_uv.tools.system.web import Web
from tests.contracts.mlflow_interpreter import QUIET, synced
from tests.ports import free_port
from tests.sharing import SharedFolder
from tests.waiting import CEILING_S, answers, wait_until_up

PROJECT = Path(__file__).parent / "servers"
ADMIN = "admin"
BUCKET = "models"
DATABASE = "all"


def servers_python(shared: SharedFolder) -> Path:
    """The interpreter that runs MLflow's server and moto's, in an environment made from their own lock."""
    return shared.make_once("servers", lambda folder: synced(PROJECT, folder)) / "bin" / "python"


@dataclass(frozen=True, kw_only=True, slots=True)
class Postgres:
    """A database server whose one user has a password."""

    port: int
    password: str = field(repr=False)
    programs: Path

    def uri(self, database: str, *, password: str | None = None) -> str:
        """The address of a database as SQLAlchemy reads it."""
        return f"postgresql://mlflow:{password or self.password}@127.0.0.1:{self.port}/{database}"

    def create(self, database: str) -> str:
        """Make an empty database; its address."""
        self.ask(f'CREATE DATABASE "{database}"', database="postgres")
        return self.uri(database)

    def ask(self, query: str, *, database: str = DATABASE, **values: str) -> list[str]:
        """The lines a query answers; `:'name'` in it is one of the values, quoted."""
        done = subprocess.run(
            [
                *(self.programs / "psql", "--no-psqlrc", "--quiet", "--tuples-only", "--no-align"),
                *("--host", "127.0.0.1", "--port", str(self.port), "--username", "mlflow", "--dbname", database),
                *(word for name, value in values.items() for word in ("--set", f"{name}={value}")),
            ],
            input=query,
            env={**os.environ, "PGPASSWORD": self.password},
            capture_output=True,
            text=True,
            check=True,
        )
        assert not done.stderr, done.stderr
        return done.stdout.split()

    def finished_models(self, release_key: str) -> list[str]:
        """The ids of the finished models of a release."""
        query = (
            "SELECT model_id FROM logged_models JOIN logged_model_tags USING (model_id)"
            " WHERE status = 2 AND tag_key = 'mlflow-uv.release-key' AND tag_value = :'key'"
        )
        return self.ask(query, key=release_key)

    def open_runs(self) -> set[str]:
        """The runs that look as if they went on; other tests may have left some."""
        return set(self.ask("SELECT run_uuid FROM runs WHERE status = 'RUNNING'"))

    def versions(self, name: str) -> list[str]:
        """The numbers of a registered model's versions."""
        return self.ask("SELECT version FROM model_versions WHERE name = :'name' ORDER BY version", name=name)


@contextmanager
def postgres(programs: Path) -> Iterator[Postgres]:
    """PostgreSQL with an empty cluster of its own, which is removed afterwards."""
    # Its server refuses root, and the folders of a test are for one user alone.
    folder = Path(tempfile.mkdtemp(prefix="mlflow-uv-postgres-"))
    password, port = secrets.token_hex(12), free_port()
    (folder / "password").write_text(password)
    as_user: tuple[str, ...] = ()
    if os.geteuid() == 0:
        for path in (folder, folder / "password"):
            shutil.chown(path, "postgres", "postgres")
        as_user = ("setpriv", "--reuid", "postgres", "--regid", "postgres", "--clear-groups")
    try:
        subprocess.run(
            [
                *(*as_user, f"{programs}/initdb", "--pgdata", f"{folder}/data", "--username", "mlflow", "--no-sync"),
                *("--auth", "scram-sha-256", "--pwfile", f"{folder}/password", "--encoding", "UTF8", "--locale", "C"),
            ],
            cwd=folder,
            check=True,
            capture_output=True,
        )
        settings = (f"unix_socket_directories={folder}", "listen_addresses=127.0.0.1", "fsync=off")
        log = folder / "log"
        with log.open("wb") as output:
            process = subprocess.Popen(
                [
                    *(*as_user, f"{programs}/postgres", "-D", f"{folder}/data", "-p", str(port)),
                    *(word for setting in settings for word in ("-c", setting)),
                ],
                cwd=folder,
                stdout=output,
                stderr=subprocess.STDOUT,
            )
        try:
            ready = (f"{programs}/pg_isready", "--quiet", "--timeout", "30", "--host", "127.0.0.1", "--port", str(port))
            wait_until_up(lambda: subprocess.run(ready, check=False).returncode == 0, process, log)
            yield Postgres(port=port, password=password, programs=programs)
        finally:
            process.terminate()
            process.wait(CEILING_S)
    finally:
        shutil.rmtree(folder)


@dataclass(frozen=True, kw_only=True, slots=True)
class S3:
    """An S3 server, and the variables that lead a client there."""

    uri: str
    variables: Mapping[str, str]

    def objects(self, prefix: str = "") -> list[str]:
        """What lies in the bucket."""
        with urllib.request.urlopen(f"{self.uri}/{BUCKET}?list-type=2&prefix={prefix}", timeout=CEILING_S) as answer:
            text = answer.read().decode()
        return [piece.partition("</Key>")[0] for piece in text.split("<Key>")[1:]]


@contextmanager
def s3(python: Path, folder: Path) -> Iterator[S3]:
    """moto's S3 server with one empty bucket."""
    uri = f"http://127.0.0.1:{(port := free_port())}"
    with running([python, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)], folder, health=f"{uri}/moto-api/"):
        with urllib.request.urlopen(urllib.request.Request(f"{uri}/{BUCKET}", method="PUT"), timeout=CEILING_S):
            pass
        variables = {
            "MLFLOW_S3_ENDPOINT_URL": uri,
            "AWS_ACCESS_KEY_ID": "alice",
            "AWS_SECRET_ACCESS_KEY": "none-is-needed",
            "AWS_DEFAULT_REGION": "us-east-1",
        }
        yield S3(uri=uri, variables=variables)


@contextmanager
def mlflow_server(
    python: Path,
    folder: Path,
    *,
    database: str = "sqlite:///mlflow.db",
    bucket: S3 | None = None,
    password: str | None = None,
    root: Path | None = None,
    location: str = "",
) -> Iterator[str]:
    """
    MLflow's server on a database, artifacts through it to S3, or to a folder beside; its address.

    With `password`, it asks everybody who they are: `ADMIN` has that one, and nobody may do more than read at first.
    With `root`, it passes no artifacts on: its clients are told to keep them in that folder themselves, and with
    `location` elsewhere.
    """
    port = free_port()
    folder.mkdir(parents=True, exist_ok=True)
    destination = f"s3://{BUCKET}/{folder.name}" if bucket else str(folder / "kept")
    argv: list[Path | str] = [
        *(python, "-m", "mlflow", "server", "--host", "127.0.0.1", "--port", str(port), "--workers", "1"),
        *(
            ("--default-artifact-root", location or str(root))
            if root or location
            else ("--artifacts-destination", destination)
        ),
    ]
    # A password in argv is one that everybody on the machine can read. Jobs start processes that import MLflow too.
    variables = {
        "MLFLOW_BACKEND_STORE_URI": database,
        "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",
        **(bucket.variables if bucket else {}),
    }
    if password is not None:
        argv += ["--app-name", "basic-auth"]
        variables |= {
            "MLFLOW_FLASK_SERVER_SECRET_KEY": "none",
            "MLFLOW_AUTH_CONFIG_PATH": str(folder / "auth.ini"),
            "MLFLOW_AUTH_ADMIN_PASSWORD": password,
        }
        (folder / "auth.ini").write_text(
            f"[mlflow]\ndefault_permission = READ\ndatabase_uri = sqlite:///{folder}/auth.db\n"
            f"admin_username = {ADMIN}\ngrant_default_workspace_access = true\nauth_cache_ttl_seconds = 600\n"
        )
    uri = f"http://127.0.0.1:{port}"
    with running(argv, folder, health=f"{uri}/health", **variables):
        yield uri


@contextmanager
def running(argv: Sequence[Path | str], folder: Path, *, health: str, **variables: str) -> Iterator[None]:
    """A server while the block runs, from the moment at which it answers."""
    with (folder / "log").open("w") as log:
        process = subprocess.Popen(argv, cwd=folder, env={**os.environ, **QUIET, **variables}, stdout=log, stderr=log)
    try:
        wait_until_up(lambda: answers(health), process, folder / "log")
        yield
    finally:
        process.terminate()
        process.wait(CEILING_S)


@dataclass(frozen=True, kw_only=True, slots=True)
class Stores:
    """MLflow's server in front of PostgreSQL and S3, that asks everybody for a password."""

    uri: str
    password: str = field(repr=False)
    database: Postgres
    bucket: S3
    python: Path

    @property
    def as_admin(self) -> dict[str, str]:
        """The variables of one who may do everything."""
        return {"MLFLOW_TRACKING_USERNAME": ADMIN, "MLFLOW_TRACKING_PASSWORD": self.password}


@contextmanager
def stores(folder: Path, python: Path, programs: Path) -> Iterator[Stores]:
    """All of them, while the block runs; `python` is that of `servers_python`, and `programs` are PostgreSQL's."""
    with postgres(programs) as database:
        password = secrets.token_hex(12)
        with (
            s3(python, folder) as bucket,
            mlflow_server(
                python, folder / DATABASE, database=database.create(DATABASE), bucket=bucket, password=password
            ) as uri,
        ):
            yield Stores(uri=uri, password=password, database=database, bucket=bucket, python=python)


def login_of(host: Host) -> StoreLogin:
    """The login to stores with the variables of a host, from a console that conceals nothing."""
    return StoreLogin(host=host, web=Web(host.variables), clock=SystemClock(), conceal=lambda _secret: None)
