"""Calls MLflow: runs payloads in an interpreter that has it, and reads their responses."""

import json
import shlex
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any, TypeVar

from ...command.errors import BadInput, StepError, StoreUnreachable, ToolFailed
from ...command.host import Host
from ...command.wording import Wording, option
from ...core.image.system_libraries import machine_fix
from ...core.security.child_environment import for_model, for_payload
from ...core.security.documents import parse_json
from ...core.security.masking import mask, secrets_in
from ...core.security.serve_env import NO_VARIABLES, ServeVariables
from ...core.security.url_credentials import carries_user
from ...payloads.messages.conversion import ConvertModel, MeasureOriginal
from ...payloads.messages.lazy_dataclass import lazy_dataclass
from ...payloads.messages.models import AnswerBySpark, AnswerRequests, DownloadModel
from ...payloads.messages.reader import read
from ...payloads.messages.request import (
    DescribeEnvironment,
    DescribeLicences,
    EnvironmentDescription,
    Failure,
    LicenceDescription,
    Request,
)
from ..system.process import Command, Conversation, Runner
from .bytecode import cached_bytecode
from .embedded_store import EmbeddedStores
from .errors import ERRORS, fixes_for
from .schema_mismatch import schema_mismatch
from .store import ARTIFACT_ROOT, Store, StoreKind
from .store_login import StoreLogin
from .tracking_uris import SQLITE, absolute_uri, require_readable

T = TypeVar("T")

PAYLOADS = Path(__file__).parents[2] / "payloads"
# Defaults for MLflow and onnxruntime: no telemetry, and bounded retries. Variables of the caller override them.
_DEFAULTS = {
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "MLFLOW_HTTP_REQUEST_BACKOFF_JITTER": "0",
    "MLFLOW_HTTP_REQUEST_BACKOFF_FACTOR": "1",
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "60",
    "ORT_DISABLE_TELEMETRY": "1",
}
# Names of the variables whose values are masked in messages: see payloads/problems.py.
_SERVE_ENV = "MLFLOW_UV_HANDED"
_RETRIES, _TIMEOUT = "MLFLOW_HTTP_REQUEST_MAX_RETRIES", "MLFLOW_HTTP_REQUEST_TIMEOUT"
# Retries, at once and then after 2, 4, 8, 16 and 32 seconds: see docs/reliability.md.
_FIRST_RETRIES, _RETRIES_AFTER_SUCCESS = 2, 6
# Of each of the first calls: a server that takes connections and never responds is reported after a minute.
_FIRST_TIMEOUT_S = 20
# Artifact locations, other than itself, that a server may name: see payloads/stores/locations.py. A checkout cannot
# set it.
_TRUSTED_ROOTS = "MLFLOW_UV_ARTIFACT_ROOTS"
# Requests that run a model and need no store.
_WITHOUT_STORE = (AnswerRequests, AnswerBySpark, ConvertModel, MeasureOriginal)
# Newer MLflow opens a file store only with this variable; a caller that names a folder allows it.
_FILE_STORE = "MLFLOW_ALLOW_FILE_STORE"


@lazy_dataclass
class ModelRun:
    """How a process runs a model: with the variables in `serve_env`, and at most `timeout_s` seconds for a response."""

    serve_env: ServeVariables
    timeout_s: float | None = None


class Mlflow:
    """Runs payloads: sends requests as JSON, and parses the responses."""

    def __init__(
        self,
        runner: Runner,
        *,
        host: Host,
        login: StoreLogin,
        on_line: Callable[[str], None],
        say: Callable[[str], None],
    ) -> None:
        self._runner = runner
        self._host = host
        self.login = login
        self._on_line = on_line
        self._embedded_stores = EmbeddedStores(host.state, say=say)
        self._workers: dict[tuple[Path, tuple[tuple[str, str], ...], float | None], Conversation] = {}
        self._responded: set[str] = set()

    def store(self, tracking_uri: str | None, *, embedded: bool) -> Store:
        """
        The store of a release: `tracking_uri`, MLFLOW_TRACKING_URI, or an embedded one, in CI only if `embedded`.

        Raises BadInput for a URI with credentials, StoreUnreachable in CI if no store is configured.
        """
        caller = self._host.variables
        uri = tracking_uri or caller.get("MLFLOW_TRACKING_URI", "")
        require_readable(uri)
        if tracking_uri and (carries_user(tracking_uri) or secrets_in({"tracking-uri": tracking_uri})):
            raise BadInput(
                what="`tracking-uri` contains credentials",
                why="inputs are shown in logs",
                fix="set MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD from a secret",
            )
        if not uri:
            return self._embedded(allowed=embedded or not self._host.ci)
        registry = {name: caller[name] for name in ("MLFLOW_REGISTRY_URI", _TRUSTED_ROOTS) if caller.get(name)}
        server = uri.startswith(("http://", "https://", "databricks", "uc:"))
        uri = uri if server else absolute_uri(uri, self._host.folder)
        if uri.startswith("file:"):
            opened = {_FILE_STORE: caller.get(_FILE_STORE, "true"), "MLFLOW_TRACKING_URI": uri, **registry}
            return Store(uri=uri, kind=StoreKind.DATABASE, variables=opened)
        if not server:
            return self._database(uri, registry)
        return Store(uri=uri, kind=StoreKind.SERVER, variables={"MLFLOW_TRACKING_URI": uri, **registry})

    def _database(self, uri: str, registry: Mapping[str, str]) -> Store:
        """A database store; payloads run in another folder, so its paths are absolute."""
        artifacts = self._host.state / "store" / "artifacts"
        if match := SQLITE.fullmatch(uri):
            artifacts = Path(match[2]).parent / "mlruns"
        variables = {"MLFLOW_TRACKING_URI": uri, ARTIFACT_ROOT: artifacts.as_uri(), **registry}
        return Store(uri=uri, kind=StoreKind.DATABASE, variables=variables)

    def _embedded(self, *, allowed: bool) -> Store:
        if not allowed:
            raise StoreUnreachable(
                what="no tracking server is configured",
                why="an embedded store is lost with this runner",
                fix=Wording("set ", option("tracking-uri", "URI"), ", or ", option("embedded"), " for a demonstration"),
            )
        uri = f"embedded:{self._embedded_stores.folder}"
        return Store(uri=uri, kind=StoreKind.EMBEDDED, variables={"MLFLOW_TRACKING_URI": uri})

    def resolve_embedded(self, store: Store, python: Path, project: Path) -> Store:
        """The store for an environment's MLflow; the file of an embedded store depends on the database schema."""
        if store.kind is not StoreKind.EMBEDDED:
            return store
        from ...payloads.messages.database_schema import newest_revision  # noqa: PLC0415  # a server needs no schema

        # The packages of a virtual environment come before all others; reading their files starts no process.
        schema = newest_revision(python.parent.parent.glob("lib/python*/site-packages"))
        if schema is None:
            about = self.describe_environment(python)
            schema = about.mlflow_schema or f"mlflow-{about.mlflow}"
        file = self._embedded_stores.prepare(project, schema)
        uri = f"sqlite:///{file}"
        # A URI, not a path: MLflow writes it unescaped into its first SQL statement.
        variables = {"MLFLOW_TRACKING_URI": uri, ARTIFACT_ROOT: file.with_name("artifacts").as_uri()}
        return replace(store, uri=uri, variables=variables)

    def ask(
        self, python: Path, store: Store, request: Request, response: type[T], *, timeout_s: float | None = None
    ) -> T:
        """
        The response to a request; secrets in its tags are masked, and a model that is downloaded is scanned.

        Raises the StepError for the kind of an error (see ERRORS), ValueError for a malformed response, and TooSlow for
        none within `timeout_s`, which ends the process.
        """
        parts = asdict(request)
        match parts.get("tags"):
            case Mapping() as tags:
                secrets = (*self.login.secrets, *secrets_in(self._host.variables))
                parts["tags"] = {name: mask(str(value), secrets) for name, value in tags.items()}
        try:
            answer = self._exchange(self._worker(python, store, timeout_s), request.verb, parts, store)
        except StoreUnreachable:
            # Cleanup after this error must not retry for another minute.
            self._responded.discard(store.uri)
            raise
        self._responded.add(store.uri)
        if isinstance(request, DownloadModel) and not request.files:
            from .model_scan import require_harmless  # noqa: PLC0415  # few steps download a model

            require_harmless(Path(request.destination), self._host.variables, self._on_line)
        return _parsed(answer, request.verb, response)

    def ask_model(self, python: Path, store: Store, request: Request, response: type[T], run: ModelRun) -> T:
        """
        The response to a request that loads a model and so runs its code. Raises as `ask`, and TooSlow.

        It gets a process of its own, without credentials.
        """
        # No store is used to answer requests: what the model writes to one is discarded.
        used = None if isinstance(request, _WITHOUT_STORE) else store
        with self.model_process(python, used, run.serve_env, timeout_s=run.timeout_s) as worker:
            answer = self._exchange(worker, request.verb, asdict(request), store)
        return _parsed(answer, request.verb, response)

    @contextmanager
    def model_process(
        self, python: Path, store: Store | None, serve_env: ServeVariables, *, timeout_s: float | None = None
    ) -> Iterator[Conversation]:
        """
        A process of its own for requests that load a model, without credentials, and with the variables in `serve_env`.

        Without a store it gets a temporary one. `timeout_s` limits each response. It is ended after the block.
        """
        with tempfile.TemporaryDirectory(prefix="mlflow-uv-") as scratch:
            temporary = {"MLFLOW_TRACKING_URI": f"sqlite:///{scratch}/mlflow.db"}
            variables = store.variables if store else temporary
            kept = {**for_model(self._host.variables).variables, **variables, **_handed(serve_env)}
            command = self._command(python, kept)
            command = replace(
                command,
                folder=Path(scratch),
                foreign=True,
                own_temporary=True,
                secrets=serve_env.secrets,
                timeout_s=timeout_s,
            )
            worker = self._runner.converse(command)
            try:
                yield worker
            finally:
                worker.stop()

    def _retries(self, store: Store | None) -> int | None:
        """Few retries for the first call, to fail within seconds; more for a server that responded before."""
        if store is None or _RETRIES in self._host.variables:
            return None
        return _RETRIES_AFTER_SUCCESS if store.uri in self._responded else _FIRST_RETRIES

    def _timeout_s(self, store: Store | None) -> int | None:
        """The timeout of each HTTP call to a server that never responded; None for MLflow's or the caller's."""
        if store is None or _TIMEOUT in self._host.variables or store.uri in self._responded:
            return None
        return _FIRST_TIMEOUT_S

    def describe_environment(self, python: Path) -> EnvironmentDescription:
        """The Python and MLflow of an interpreter; raises as `ask`."""
        request = DescribeEnvironment()
        answer = self._exchange(self._worker(python, None), request.verb, {}, None)
        return _parsed(answer, request.verb, EnvironmentDescription)

    def describe_licences(self, python: Path) -> LicenceDescription:
        """The licences of the packages that an interpreter has; raises as `ask`."""
        request = DescribeLicences()
        answer = self._exchange(self._worker(python, None), request.verb, {}, None)
        return _parsed(answer, request.verb, LicenceDescription)

    def ui_command(self, python: Path, store: Store) -> str:
        """The shell command that starts MLflow's UI on a store, or the URI of a server."""
        if store.kind is StoreKind.SERVER:
            return store.shown
        allowed = ("env", f"{_FILE_STORE}=true") if store.uri.startswith("file:") else ()
        return shlex.join((*allowed, str(python.parent / "mlflow"), "ui", "--backend-store-uri", store.shown))

    def _exchange(self, worker: Conversation, verb: str, request: Mapping[str, object], store: Store | None) -> object:
        """The value of a response, not parsed yet."""
        with tempfile.TemporaryDirectory(prefix="mlflow-uv-") as scratch:
            answer = Path(scratch) / "answer.json"
            try:
                limits = {"retries": self._retries(store), "timeout_s": self._timeout_s(store)}
                message = {"verb": verb, "request": request, "response": str(answer), **limits}
                confirmed = worker.ask(json.dumps(message))
            except BaseException:
                # Cancelled: the next line of the worker would answer this request, not the next one.
                self.close()
                raise
            if confirmed is None or not answer.is_file():
                lines = worker.log().splitlines()
                self.close()
                for line in lines[-20:]:
                    self._on_line(line)
                why = next((line.strip() for line in reversed(lines) if line.strip()), "it printed nothing")
                raise ToolFailed(what=f"MLflow exited during `{verb}`", why=why)
            return self._value(verb, answer, store)

    def read_response(self, request: type[Request], file: Path, store: Store | None, response: type[T]) -> T:
        """The response in a file that a payload wrote, to a request of this class. Raises as `ask`."""
        return _parsed(self._value(request.verb, file, store), request.verb, response)

    def response_in(self, request: type[Request], content: object, response: type[T]) -> T:
        """The response in a line of a payload that converses, to a request of this class. Raises as `ask`."""
        return _parsed(self._value_in(request.verb, content, None), request.verb, response)

    def _value(self, verb: str, file: Path, store: Store | None) -> object:
        return self._value_in(verb, parse_json(file.read_text(encoding="utf-8")), store)

    def _value_in(self, verb: str, content: object, store: Store | None) -> object:
        match content:
            case {"error": error}:
                raise self._error(verb, read(Failure, error, what=f"the error of `{verb}`"), store)
            case {"value": value}:
                return value
        raise ValueError(f"the response to `{verb}` has neither a value nor an error")

    def _worker(self, python: Path, store: Store | None, timeout_s: float | None = None) -> Conversation:
        """The interpreter for all requests about a store with this limit; importing MLflow takes seconds."""
        handed = NO_VARIABLES if store is None else store.handed
        named = {} if store is None else store.variables
        # A token that was exchanged again is one more process: it reads its login when it starts.
        variables = self.login.given({**for_payload(self._host.variables).variables, **named, **_handed(handed)}, named)
        key = (python, tuple(sorted(variables.items())), timeout_s)
        if key not in self._workers:
            command = replace(self._command(python, variables), secrets=handed.secrets, timeout_s=timeout_s)
            self._workers[key] = self._runner.converse(command)
        return self._workers[key]

    def _command(self, python: Path, variables: Mapping[str, str]) -> Command:
        """The command that runs payloads, outside of the checkout, so that no relative path leads into it."""
        argv = (str(python), "-I", *cached_bytecode(self._host).flags, str(PAYLOADS))
        folder = self._host.state
        folder.mkdir(parents=True, exist_ok=True)
        return Command(argv=argv, folder=folder, variables={**_DEFAULTS, **variables})

    def close(self) -> None:
        """Stop all interpreters that were started."""
        for worker in self._workers.values():
            worker.stop()
        self._workers.clear()

    def _error(self, verb: str, error: Failure, store: Store | None) -> StepError:
        error_class, what = ERRORS.get(error.kind, (ToolFailed, f"MLflow failed to {verb}"))
        if store is not None:
            masked = store.handed.masked
            error = replace(error, message=masked(error.message), detail=error.detail and masked(error.detail))
        detail = (error.detail or "").splitlines()
        if error.kind in ("training", "cannot-load", "cannot-predict", "unexpected"):
            for line in detail[-30:]:
                self._on_line(line)
        if error.kind == "schema" and store is not None and error.facts is not None:
            other = replace(store, uri=store.variables[error.facts.variable])
            return schema_mismatch(error.facts, uri=other.uri, shown=other.shown)
        fix = machine_fix(error.message) or fixes_for(store, by_identity=bool(self.login.secrets)).get(error.kind, "")
        failed = error_class(what=what, why=error.message, fix=fix)
        failed.output = tuple(detail)
        return failed


def _handed(variables: ServeVariables) -> dict[str, str]:
    """Variables for a payload, with their names, so that it masks their values."""
    return {**variables.variables, _SERVE_ENV: " ".join(variables.names)} if variables.names else {}


def converse(
    process: Conversation, request: Request, reply: Callable[[dict[str, Any]], object]
) -> dict[str, Any] | None:
    """
    Send a request to a payload that converses, answer each of its messages with `reply`, and return its response.

    Returns None if the process ends. Raises ToolFailed for a line that is not an object.
    """
    line = process.ask(json.dumps({"verb": request.verb, "request": asdict(request)}))
    while line is not None:
        try:
            content = parse_json(line)
        except ValueError as error:
            raise invalid_message() from error
        if not isinstance(content, dict):
            raise invalid_message()
        if "ask" not in content:
            return content
        line = process.ask(json.dumps(reply(content)))
    return None


def invalid_message() -> ToolFailed:
    """The error for a message that a payload does not send: code of the model runs in its process."""
    return ToolFailed(
        what="the process that scores sent an invalid message", why="the model's code may have written to its pipe"
    )


def _parsed(value: object, verb: str, response: type[T]) -> T:
    return read(response, value, what=f"the response to `{verb}`")
