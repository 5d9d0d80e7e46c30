"""On PostgreSQL, S3 and a server that asks for a password all is the same, and what is wrong there is told apart."""

import base64
import json
import shutil
import sqlite3
import subprocess
import sys
import threading
import urllib.request
from collections.abc import Iterator
from contextlib import closing, contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from mlflow_uv.command.errors import StepError
from mlflow_uv.command.host import Host
from mlflow_uv.core.lock.selection import Selection
from mlflow_uv.tools.project.files import read_project
from mlflow_uv.tools.toolbox import toolbox
from tests.console import KeptConsole
from tests.contracts.mlflow_interpreter import MlflowInterpreter
from tests.messages import ask
from tests.ports import free_port
from tests.proxy import proxy_of
from tests.stores import ADMIN, BUCKET, DATABASE, Stores, mlflow_server
from tests.waiting import CEILING_S

from .sample_project import SampleProject, error

NO_STORE = "StoreUnreachable"
WRONG = "quite-another-password"
READER = {"MLFLOW_TRACKING_USERNAME": "reader", "MLFLOW_TRACKING_PASSWORD": "reader-of-everything"}
AT_ONCE = {"MLFLOW_HTTP_REQUEST_MAX_RETRIES": "0"}
PAGE = b"<!doctype html><html><head><title>Sign in to\n Example</title></head><body>" + b"<p>x</p>" * 999
COUNTED = """
SELECT (SELECT count(*) FROM registered_models), (SELECT count(*) FROM experiments),
    (SELECT count(*) FROM experiment_tags);
"""
# MLflow's own migrations, as far as an MLflow of years ago had them.
MIGRATED = """
import sys
from alembic import command
from alembic.script import ScriptDirectory
from mlflow.store.db.utils import _get_alembic_config
import mlflow.store.tracking.dbmodels.initial_models as first
import sqlalchemy

config = _get_alembic_config(sys.argv[1])
first.Base.metadata.create_all(sqlalchemy.create_engine(sys.argv[1]))
old = [script.revision for script in ScriptDirectory.from_config(config).walk_revisions()][20]
command.upgrade(config, old)
print(old)
"""


class Asked:
    """Questions to a store as a step would ask them, with the caller's variables."""

    def __init__(self, sample: SampleProject, variables: dict[str, str]) -> None:
        self.sample = sample
        self.variables = {**sample.consumer.variables, "TMPDIR": str(sample.temporary), **AT_ONCE, **variables}

    def ask(self, uri: str, verb: str, **request: object) -> dict[str, Any]:
        """The value that answers."""
        variables = {**self.variables, "MLFLOW_TRACKING_URI": uri}
        host = Host.of(variables, folder=self.sample.folder, python=Path(sys.executable))
        with toolbox(host, console=KeptConsole()) as tools:
            store = tools.mlflow.store(None, embedded=False)
            python = tools.environments.registry_client(store, read_project(self.sample.folder), Selection())
            return ask(tools.mlflow, python, store, verb, **request)

    def refused(self, uri: str, verb: str = "describe-name", **request: object) -> StepError:
        """Why there is no answer, in words that hold no secret."""
        with pytest.raises(StepError) as caught:
            self.ask(uri, verb, **(request or {"name": "wine"}))
        told = f"{caught.value}"
        hidden = (*(v for k, v in self.variables.items() if "PASSWORD" in k or "TOKEN" in k), WRONG)
        assert [] == [secret for secret in hidden if secret in told]
        return caught.value


def kinds(found: StepError) -> tuple[str, str]:
    """What is told apart: the class and what is so."""
    return type(found).__name__, found.what


@pytest.fixture(scope="module")
def reader(servers: Stores) -> dict[str, str]:
    """The variables of somebody who may read everything and change nothing."""
    result = {"username": READER["MLFLOW_TRACKING_USERNAME"], "password": READER["MLFLOW_TRACKING_PASSWORD"]}
    token = base64.b64encode(f"{ADMIN}:{servers.password}".encode()).decode()
    asked = urllib.request.Request(  # loopback
        f"{servers.uri}/api/2.0/mlflow/users/create",
        data=json.dumps(result).encode(),
        headers={"Authorization": f"Basic {token}", "Content-Type": "application/json"},
    )
    with urllib.request.urlopen(asked, timeout=CEILING_S):
        return READER


@contextmanager
def page(status: int) -> Iterator[str]:
    """A server that knows nothing of MLflow: a page for everybody, or the way to one."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            found = status if self.path != "/login" else 200
            self.send_response_only(found)
            if found == 302:
                self.send_header("Location", "/login")
            self.send_header("Content-Length", str(len(PAGE)))
            self.end_headers()
            self.wfile.write(PAGE)

        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["Content-Length"]))
            self.do_GET()

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@contextmanager
def command_lines_watched(secret: str) -> Iterator[list[str]]:
    """The command lines of this machine that held a secret while the block ran."""
    found: list[str] = []
    over = threading.Event()

    def watch() -> None:
        while not over.wait(0.05):
            for path in Path("/proc").glob("[0-9]*/cmdline"):
                try:
                    line = path.read_bytes()
                except OSError:
                    continue
                if secret.encode() in line:
                    found.append(line.replace(b"\0", b" ").decode())

    watcher = threading.Thread(target=watch)
    watcher.start()
    try:
        yield found
    finally:
        over.set()
        watcher.join()


@pytest.mark.extended
def test_a_whole_release_on_postgresql_and_s3(sample: SampleProject, servers: Stores) -> None:
    """
    A server with a password in front of PostgreSQL and S3 changes nothing, and a second release finds the first.

    The password is in no command line while it runs, and in nothing that is said.
    """
    variables = {"MLFLOW_TRACKING_URI": servers.uri, **servers.as_admin}
    flags = ("--engine", "none", "--model-name", "catalog.cellar.wine")

    with command_lines_watched(servers.password) as shown:
        first = sample.run("release", *flags, variables=variables)
        again = sample.run("release", *flags, "--steps", "log-model register", variables=variables)

    assert (0, True, "tested") == (first.code, first.outputs["created"], first.outputs["state"]), first.stderr
    assert (0, True, False, "1") == (again.code, *(again.outputs[key] for key in ("reused", "created", "version")))
    place = f"{first.outputs['model-id']}/artifacts/MLmodel"
    assert [place] == [path.partition("models/")[2] for path in servers.bucket.objects() if path.endswith(place)]
    assert [] == shown
    assert [] == [result for result in (first, again) if servers.password in result.stdout + result.stderr]


def test_what_a_server_refuses_says_what_to_set(sample: SampleProject, servers: Stores, reader: dict[str, str]) -> None:
    """
    A wrong password, a user who may only read, and a name with a slash are different things.
    """
    admin = Asked(sample, servers.as_admin)
    admin.ask(servers.uri, "create-run", experiment="of the admin", tags={})
    found = admin.ask(servers.uri, "find-models", tag=["none", "none"])

    wrong = Asked(sample, {**servers.as_admin, "MLFLOW_TRACKING_PASSWORD": WRONG}).refused(servers.uri)
    forbidden = Asked(sample, reader).refused(servers.uri, "create-run", experiment="of the admin", tags={})
    name = admin.refused(servers.uri, "describe-name", name="a/b:c")

    assert [] == found["models"]
    refused = (NO_STORE, "the tracking server denies access")
    assert [refused, refused] == [kinds(wrong), kinds(forbidden)]
    assert "MLFLOW_TRACKING_PASSWORD" in wrong.fix
    assert "ermission" in forbidden.why
    assert ("BadInput", "MLflow does not accept it") == kinds(name)


@pytest.mark.extended
def test_the_right_to_register_is_asked_without_writing(
    sample: SampleProject, servers: Stores, reader: dict[str, str]
) -> None:
    """
    Who may only read is refused before a training, and who may write is told so: no name, tag or experiment is made.
    """
    admin, rights = Asked(sample, servers.as_admin), {"name": "cask", "experiment": "of the admin"}
    admin.ask(servers.uri, "create-run", experiment="of the admin", tags={})
    before = servers.database.ask(COUNTED, database=DATABASE)

    allowed = admin.ask(servers.uri, "describe-rights", **rights)
    new = admin.ask(servers.uri, "describe-rights", name="cask", experiment="which nobody made")
    forbidden = Asked(sample, reader).refused(servers.uri, "describe-rights", **rights)
    after = servers.database.ask(COUNTED, database=DATABASE)

    assert ({"exists": False}, {"exists": False}, before) == (allowed, new, after)
    assert (NO_STORE, "the tracking server denies access") == kinds(forbidden)


@pytest.mark.extended
def test_a_token_leads_through_a_gate(sample: SampleProject, servers: Stores, tmp_path: Path) -> None:
    """
    A gate that wants `Authorization: Bearer` lets MLFLOW_TRACKING_TOKEN through, and no other.
    """
    with plain(servers, tmp_path) as uri, proxy_of(uri, token="of-the-gate") as gate:
        let_in = Asked(sample, {"MLFLOW_TRACKING_TOKEN": "of-the-gate"}).ask(gate.uri, "describe-name", name="wine")
        refused = Asked(sample, {"MLFLOW_TRACKING_TOKEN": WRONG}).refused(gate.uri)

    assert (False, (NO_STORE, "the tracking server denies access")) == (let_in["exists"], kinds(refused))


@pytest.mark.parametrize("status", [200, pytest.param(302, marks=pytest.mark.extended), 404])
def test_an_address_that_is_no_mlflow_server_is_told_by_its_title(sample: SampleProject, status: int) -> None:
    """
    A page of HTML, a way to a login, and 404 are not a server that is down, and nobody is shown the whole page.
    """
    with page(status) as uri:
        refused = Asked(sample, {}).refused(uri)

    assert (NO_STORE, "the server is not an MLflow tracking server") == kinds(refused)
    assert "Sign in to Example" in refused.why
    assert len(refused.why) < 300


def test_a_database_that_cannot_be_used_says_why_at_once(sample: SampleProject, servers: Stores) -> None:
    """
    Without its driver in the project no word reaches a database, and what is missing is named.
    """
    refused = Asked(sample, {}).refused(servers.database.uri(DATABASE))

    assert ("ToolMissing", "a package that the store needs is not installed") == kinds(refused)
    assert "psycopg" in refused.why
    assert "uv add" in refused.fix


@pytest.mark.extended
def test_a_database_server_is_asked_once_and_never_migrated(servers: Stores, root: Path, tmp_path: Path) -> None:
    """
    A wrong password, a server that is gone, and a schema of another MLflow are told apart, within seconds.

    MLflow itself would try the password for minutes, and migrate the schema.
    """
    older, newer = servers.database.create("older"), servers.database.create("newer")
    done = subprocess.run(
        (servers.python, "-c", MIGRATED, older), check=True, capture_output=True, text=True, cwd=tmp_path
    )
    servers.database.ask("CREATE TABLE alembic_version (version_num varchar(32))", database="newer")
    servers.database.ask("INSERT INTO alembic_version VALUES ('ffffffffffff')", database="newer")
    payloads = MlflowInterpreter(python=servers.python, payloads=root / "src" / "mlflow_uv" / "payloads")
    wrong = servers.database.uri(DATABASE, password=WRONG)
    gone = wrong.replace(f":{servers.database.port}/", f":{free_port()}/")

    refused = {
        uri: payloads.on(MLFLOW_TRACKING_URI=uri).refuse("describe-name", name="wine")
        for uri in (wrong, gone, older, newer)
    }

    assert ["denied", "unreachable", "schema", "schema"] == [one["kind"] for one in refused.values()], refused
    assert WRONG not in json.dumps(list(refused.values()))
    assert servers.database.password not in json.dumps(list(refused.values()))
    assert done.stdout.split()[-1:] == servers.database.ask("SELECT version_num FROM alembic_version", database="older")


def test_an_embedded_store_of_another_mlflow_is_told(sample: SampleProject) -> None:
    """
    A store that a newer MLflow has made is not called unreachable, and what mends it is named.
    """
    with closing(sqlite3.connect(sample.store.path)) as connection, connection:
        connection.execute("UPDATE alembic_version SET version_num = 'ffffffffffff'")

    result = sample.run("log-model")

    code, kind, sentence, fix = error(result)
    assert (8, NO_STORE) == (code, kind)
    assert (
        "is a database of another MLflow: its schema ffffffffffff is that of an unknown MLflow: a newer version"
        in sentence
    )
    assert fix.startswith("use it from a project with the MLflow that made it")


@pytest.mark.extended
def test_a_database_that_somebody_holds_is_told(sample: SampleProject) -> None:
    """
    SQLite lets one writer in at a time; who waits in vain is told that, and may try again.
    """
    with closing(sqlite3.connect(sample.store.path)) as connection:
        connection.execute("BEGIN EXCLUSIVE")
        result = sample.ended(sample.start("register"))  # `run` would want to read it

    code, kind, sentence, fix = error(result)
    assert (8, NO_STORE) == (code, kind), result.stderr
    assert "another process locks the tracking database" in sentence
    assert "run it again" in fix


@pytest.mark.extended
def test_s3_is_reached_directly_where_the_server_says_so(
    sample: SampleProject, servers: Stores, root: Path, tmp_path: Path
) -> None:
    """
    The environment that talks to servers brings what S3 needs; a project without it is told which package.
    """
    payloads = root / "src" / "mlflow_uv" / "payloads"
    variables = {"MLFLOW_TRACKING_URI": servers.uri, **servers.as_admin, **servers.bucket.variables}
    training = MlflowInterpreter(python=servers.python, payloads=payloads, variables=variables)
    model = saved(sample, tmp_path)
    run = training.ask("create-run", experiment="direct", tags={}, artifact_location=f"s3://{BUCKET}/direct")
    logged = training.ask("log-folder", folder=str(model), name="double", run_id=run["run_id"])
    training.ask("end-run", run_id=run["run_id"], status="FINISHED")

    ours = Asked(sample, variables)
    ours.ask(servers.uri, "download-model", **logged, destination=str(tmp_path / "back"))
    project, *_ = (sample.consumer.home / "cache" / "environments").glob("wine-*/bin/python")
    bare = MlflowInterpreter(python=project, payloads=payloads, variables=variables)
    refused = bare.refuse("download-model", **logged, destination=str(tmp_path / "not"))

    assert (tmp_path / "back" / "python_model.pkl").read_bytes() == (model / "python_model.pkl").read_bytes()
    assert servers.bucket.objects("direct/models/")
    assert ("library-missing", True) == (refused["kind"], "boto3" in refused["message"])


def saved(sample: SampleProject, folder: Path) -> Path:
    """The files of the sample project's model, as training alone would have saved them."""
    return Path(shutil.copytree(sample.consumer.model, folder / "saved", ignore=shutil.ignore_patterns("mlflow-uv")))


@contextmanager
def plain(servers: Stores, folder: Path) -> Iterator[str]:
    """A server that asks nobody who they are."""
    with mlflow_server(servers.python, folder / "plain", database=f"sqlite:///{folder}/plain.db") as uri:
        yield uri
