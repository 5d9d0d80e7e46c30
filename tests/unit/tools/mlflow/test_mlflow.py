"""Tests that responses of payloads are parsed and validated, and that errors become those of their kinds."""

import json
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from mlflow_uv.command.errors import StoreUnreachable, ToolFailed, ToolMissing
from mlflow_uv.command.host import Host
from mlflow_uv.core.security.serve_env import ServeVariables
from mlflow_uv.payloads.messages.models import LoggedModelId
from mlflow_uv.payloads.messages.platforms import PluginAction
from mlflow_uv.payloads.messages.registry import DescribeVersion, RegisteredVersion, SetTags
from mlflow_uv.tools.cloud.plugin import MlflowPlugin
from mlflow_uv.tools.mlflow.mlflow import Mlflow
from mlflow_uv.tools.mlflow.store import Store, StoreKind
from mlflow_uv.tools.mlflow.store_client import StoreClient
from mlflow_uv.tools.system.process import Command, Conversation
from tests.messages import VERSION, as_json
from tests.stores import login_of
from tests.unit.tools.conftest import FakeRunner

STORE = Store(
    uri="https://mlflow.test", kind=StoreKind.SERVER, variables={"MLFLOW_TRACKING_URI": "https://mlflow.test"}
)


class Answering(Conversation):
    """A payload process that writes one text as the response to everything, and keeps the messages."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.messages: list[dict[str, Any]] = []

    def ask(self, line: str) -> str | None:
        """See Conversation."""
        self.messages.append(json.loads(line))
        Path(self.messages[-1]["response"]).write_text(self.text)
        return "{}"

    def code(self) -> int | None:
        """See Conversation."""
        return None

    def log(self) -> str:
        """See Conversation."""
        return ""

    def stop(self) -> None:
        """See Conversation."""


class Payloads(FakeRunner):
    """Starts that process."""

    def __init__(self, answering: Answering) -> None:
        super().__init__({})
        self.answering = answering
        self.begun: list[Command] = []

    def converse(self, command: Command) -> Conversation:
        """See FakeRunner."""
        assert "payloads" in str(command.argv)
        self.begun.append(command)
        return self.answering


def answering(folder: Path, content: Any, **variables: str) -> tuple[Mlflow, Answering]:
    """The tool over a process that answers so."""
    process = Answering(content if isinstance(content, str) else json.dumps(content))
    host = Host.of({"MLFLOW_UV_HOME": str(folder), **variables}, folder=folder, python=Path(sys.executable))
    return Mlflow(Payloads(process), host=host, login=login_of(host), on_line=print, say=print), process


def test_the_schema_that_names_an_embedded_store_is_read_from_the_files_of_an_environment(tmp_path: Path) -> None:
    """
    Without them, its interpreter says which one it has.
    """
    described = {"python": "3.11.7", "python_executable": "/python", "mlflow": "3.1.0", "mlflow_flavor": "full"}
    mlflow, process = answering(tmp_path, {"value": {**described, "mlflow_schema": "said", "platform": "Linux"}})
    embedded = mlflow.store(None, embedded=True)
    versions = tmp_path / "with" / "lib" / "python3.11" / "site-packages" / "mlflow/store/db_migrations/versions"
    versions.mkdir(parents=True)
    (versions / "a.py").write_text('revision = "found"\ndown_revision = None\n')

    places = [
        mlflow.resolve_embedded(embedded, tmp_path / name / "bin" / "python", tmp_path) for name in ("with", "no")
    ]

    assert ["found", "said"] == [Path(store.uri.removeprefix("sqlite:///")).parent.name for store in places]
    assert ["describe-environment"] == [message["verb"] for message in process.messages]


def test_a_response_is_parsed_where_it_comes_in(tmp_path: Path) -> None:
    """
    The caller gets a value with attributes, and the request was sent with the verb of its class.
    """
    mlflow, process = answering(tmp_path, {"value": as_json(VERSION)})

    found = StoreClient(mlflow=mlflow, python=Path("python"), store=STORE).describe_version("wine", "1")

    assert VERSION == found
    assert [("describe-version", {"name": "wine", "version": "1"})] == [
        (message["verb"], message["request"]) for message in process.messages
    ]


@pytest.mark.parametrize(
    ("variables", "limits"),
    [
        ({}, [(2, 20), (6, None)]),
        ({"MLFLOW_HTTP_REQUEST_TIMEOUT": "90"}, [(2, None), (6, None)]),
        ({"MLFLOW_HTTP_REQUEST_MAX_RETRIES": "1"}, [(None, 20), (None, None)]),
    ],
    ids=["neither", "a timeout", "retries"],
)
def test_a_server_that_never_responded_is_given_up_sooner(
    tmp_path: Path, variables: dict[str, str], limits: list[tuple[int | None, int | None]]
) -> None:
    """
    Fewer retries, and a shorter timeout of each; once it responded there are more. The caller's variables decide.
    """
    mlflow, process = answering(tmp_path, {"value": as_json(VERSION)}, **variables)
    client = StoreClient(mlflow=mlflow, python=Path("python"), store=STORE)

    for _ in limits:
        client.describe_version("wine", "1")

    assert limits == [(message["retries"], message["timeout_s"]) for message in process.messages]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ({"value": {**as_json(VERSION), "tags": 5}}, "the response to `describe-version`, `tags`, cannot be 5"),
        ({"value": {"name": "wine"}}, "the response to `describe-version` lacks `version`"),
        ({"value": None}, "the response to `describe-version` is not an object"),
        ({"other": 1}, "the response to `describe-version` has neither a value nor an error"),
        ([], "the response to `describe-version` has neither a value nor an error"),
        ({"error": {"kind": "denied"}}, "the error of `describe-version` lacks `message`"),
        ("{", "Expecting property name"),
    ],
    ids=["mistyped", "incomplete", "none", "neither", "list", "half an error", "no JSON"],
)
def test_a_malformed_response_is_an_internal_error_that_names_the_verb(
    tmp_path: Path, content: Any, message: str
) -> None:
    """
    It is no StepError: both sides are of this program, so nothing that a user could do corrects it.
    """
    mlflow, _ = answering(tmp_path, content)

    with pytest.raises(ValueError, match=r"^.") as caught:
        StoreClient(mlflow=mlflow, python=Path("python"), store=STORE).describe_version("wine", "1")

    assert message in str(caught.value)


@pytest.mark.parametrize(
    ("kind", "error"),
    [("denied", StoreUnreachable), ("mlflow-missing", ToolMissing), ("of-tomorrow", ToolFailed)],
)
def test_an_error_becomes_that_of_its_kind(tmp_path: Path, kind: str, error: type[Exception]) -> None:
    """
    A kind that nobody knows is a failure of MLflow.
    """
    mlflow, _ = answering(tmp_path, {"error": {"kind": kind, "message": "so", "detail": None, "facts": None}})

    with pytest.raises(error, match=r"^.") as caught:
        StoreClient(mlflow=mlflow, python=Path("python"), store=STORE).describe_version("wine", "1")

    assert "so" in str(caught.value)


@pytest.mark.parametrize(
    ("uri", "kind", "variable"),
    [
        ("https://mlflow.test", StoreKind.SERVER, "MLFLOW_TRACKING_USERNAME"),
        ("databricks", StoreKind.SERVER, "DATABRICKS_CLIENT_SECRET"),
        ("databricks://profile", StoreKind.SERVER, "DATABRICKS_TOKEN"),
        ("postgresql://host/all", StoreKind.DATABASE, "MLFLOW_TRACKING_URI"),
    ],
)
def test_the_fix_for_a_denied_login_names_the_variables_of_the_store(
    tmp_path: Path, uri: str, kind: StoreKind, variable: str
) -> None:
    """
    Each kind of store has a login of its own.
    """
    mlflow, _ = answering(tmp_path, {"error": {"kind": "denied", "message": "so", "detail": None, "facts": None}})
    store = Store(uri=uri, kind=kind, variables={})

    with pytest.raises(StoreUnreachable) as caught:
        StoreClient(mlflow=mlflow, python=Path("python"), store=store).describe_version("wine", "1")

    assert variable in str(caught.value.fix)


def test_a_secret_in_a_tag_is_masked_before_it_is_sent(tmp_path: Path) -> None:
    """
    A tag is shown by MLflow to everybody who may read.
    """
    mlflow, process = answering(tmp_path, {"value": {}}, MLFLOW_TRACKING_PASSWORD="canary-8c1f4be2")

    StoreClient(mlflow=mlflow, python=Path("python"), store=STORE).set_tags(
        SetTags(run_id="r", tags={"why": "with canary-8c1f4be2"})
    )

    assert "canary-8c1f4be2" not in json.dumps(process.messages)


def test_a_file_of_a_payload_is_read_as_strictly(tmp_path: Path) -> None:
    """
    A container's answer may have been written by the model.
    """
    mlflow, _ = answering(tmp_path, "")
    file = tmp_path / "answer.json"
    file.write_text(json.dumps({"value": as_json(VERSION)}))

    found = mlflow.read_response(DescribeVersion, file, None, RegisteredVersion)
    with pytest.raises(ValueError, match="has unknown parts"):
        mlflow.read_response(DescribeVersion, file, None, LoggedModelId)

    assert VERSION == found


def test_values_of_variables_for_a_plugin_are_masked(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """
    In errors, tracebacks, reasons and the output of the process, whatever their names are; the process gets them.
    """
    text = "401 for hunter2hunter2"
    failure = {"kind": "unexpected", "message": text, "detail": f"Traceback\n{text}", "facts": None}
    process = Answering(json.dumps({"error": failure}))
    runner = Payloads(process)
    host = Host.of({"MLFLOW_UV_HOME": str(tmp_path)}, folder=tmp_path, python=Path(sys.executable))
    mlflow = Mlflow(runner, host=host, login=login_of(host), on_line=print, say=print)
    store = replace(STORE, handed=ServeVariables({"CELLAR_LOGIN": "hunter2hunter2"}))
    plugin = MlflowPlugin(mlflow=mlflow, python=Path("python"), store=store, target="cellar", name="prod", deadline_s=9)

    with pytest.raises(ToolFailed) as failed:
        plugin.do(PluginAction.CREATE)
    process.text = json.dumps({"value": {"deployment": None, "prediction": None, "reason": text}})
    reason = plugin.do(PluginAction.PREDICT).reason

    (command,) = runner.begun
    shown = [failed.value.why, *failed.value.output, reason, repr(store), *capsys.readouterr()]
    assert [] == [part for part in shown if "hunter2" in str(part)]
    assert ("401 for ***", "401 for ***") == (failed.value.why, reason)
    assert ("hunter2hunter2", "CELLAR_LOGIN") == (
        command.variables["CELLAR_LOGIN"],
        command.variables["MLFLOW_UV_HANDED"],
    )
    assert "hunter2hunter2" in command.secrets
    assert 9 == command.timeout_s
