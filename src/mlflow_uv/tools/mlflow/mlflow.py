"""Calls MLflow: runs payloads in an interpreter that has it, and reads their responses."""

import json
import shlex
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from enum import Enum
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit, urlunsplit

from ...command.errors import BadInput, StepError, StoreUnreachable, ToolFailed
from ...command.host import Host
from ...command.wording import Wording, option
from ...core.image.system_libraries import machine_fix
from ...core.security.child_environment import for_model, for_payload
from ...core.security.documents import parse_json
from ...core.security.masking import mask, secrets_in
from ...core.security.serve_env import NO_VARIABLES, ServeVariables
from ..system.process import Command, Conversation, Runner
from .embedded_store import EmbeddedStores
from .errors import DATABASE_FIXES, ERRORS, FIXES
from .schema_mismatch import schema_mismatch
from .tracking_uris import SQLITE, absolute_uri, require_readable

PAYLOADS = Path(__file__).parents[2] / "payloads"
# Defaults for MLflow: no telemetry, and bounded retries. Variables of the caller override them.
_DEFAULTS = {
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "MLFLOW_HTTP_REQUEST_BACKOFF_JITTER": "0",
    "MLFLOW_HTTP_REQUEST_BACKOFF_FACTOR": "1",
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "60",
}
# Verbs that load a model and so run its code: they get no credentials, and a process of their own.
_LOADING = ("answer", "evaluate")
# Names of the variables whose values are masked in messages: see payloads/problems.py.
_HANDED = "MLFLOW_UV_HANDED"
_RETRIES = "MLFLOW_HTTP_REQUEST_MAX_RETRIES"
# Retries, at once and then after 2, 4, 8, 16 and 32 seconds: see docs/reliability.md.
_FIRST_RETRIES, _RETRIES_AFTER_SUCCESS = 2, 6
# The default artifact root of a database store is a folder of the current directory, unless a server says otherwise.
_ARTIFACT_ROOT = "_MLFLOW_SERVER_ARTIFACT_ROOT"
# Artifact locations, other than itself, that a server may name: see payloads/locations.py. No setting of a checkout.
_TRUSTED_ROOTS = "MLFLOW_UV_ARTIFACT_ROOTS"
# Newer MLflow opens a file store only with this variable; a caller that names a folder allows it.
_FILE_STORE = "MLFLOW_ALLOW_FILE_STORE"


class StoreKind(Enum):
    """Which MLflow may use a store: any one over HTTP, only the project's own for a database or folder."""

    EMBEDDED = "embedded"
    SERVER = "server"
    DATABASE = "database"


@dataclass(frozen=True, kw_only=True, slots=True)
class Store:
    """A tracking store and registry, and the variables that configure MLflow for it."""

    uri: str = field(repr=False)
    kind: StoreKind
    variables: Mapping[str, str] = field(repr=False)

    @property
    def artifacts(self) -> str | None:
        """The artifact root of a database, as a URI; None for a server, which has its own."""
        return self.variables.get(_ARTIFACT_ROOT)

    @property
    def shown(self) -> str:
        """The URI without credentials."""
        parts = urlsplit(self.uri)
        bare = urlunsplit(parts._replace(netloc=parts.netloc.rpartition("@")[2])) if "@" in parts.netloc else self.uri
        return mask(bare, secrets_in({"MLFLOW_TRACKING_URI": self.uri}))


class Mlflow:
    """Runs payloads, with JSON requests and responses."""

    def __init__(self, runner: Runner, *, host: Host, hear: Callable[[str], None], say: Callable[[str], None]) -> None:
        self._runner = runner
        self._host = host
        self._hear = hear
        self._embedded_stores = EmbeddedStores(host.state, say=say)
        self._workers: dict[tuple[Path, tuple[tuple[str, str], ...]], Conversation] = {}
        self._responded: set[str] = set()

    def store(self, tracking_uri: str | None, *, embedded: bool) -> Store:
        """
        The store of a release: `tracking_uri`, MLFLOW_TRACKING_URI, or an embedded one, in CI only if `embedded`.

        Raises BadInput for a URI with credentials, StoreUnreachable in CI if no store is configured.
        """
        caller = self._host.variables
        uri = tracking_uri or caller.get("MLFLOW_TRACKING_URI", "")
        require_readable(uri)
        if tracking_uri and ("@" in urlsplit(tracking_uri).netloc or secrets_in({"tracking-uri": tracking_uri})):
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
        variables = {"MLFLOW_TRACKING_URI": uri, _ARTIFACT_ROOT: artifacts.as_uri(), **registry}
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
        about = self.describe_environment(python)
        file = self._embedded_stores.prepare(project, about["mlflow_schema"] or f"mlflow-{about['mlflow']}")
        uri = f"sqlite:///{file}"
        # A URI, not a path: MLflow writes it unescaped into its first SQL statement.
        variables = {"MLFLOW_TRACKING_URI": uri, _ARTIFACT_ROOT: file.with_name("artifacts").as_uri()}
        return replace(store, uri=uri, variables=variables)

    def ask(self, python: Path, store: Store, verb: str, **request: object) -> dict[str, Any]:
        """Run a payload verb; secrets in tags are masked. Raises the StepError for its kind of error: see ERRORS."""
        match request.get("tags"):
            case Mapping() as tags:
                secrets = secrets_in(self._host.variables)
                request = {**request, "tags": {name: mask(str(value), secrets) for name, value in tags.items()}}
        try:
            answer = self._run(python, verb, request, store)
        except StoreUnreachable:
            # Cleanup after this error must not retry for another minute.
            self._responded.discard(store.uri)
            raise
        self._responded.add(store.uri)
        return answer

    def ask_model(
        self, python: Path, store: Store, verb: str, request: Mapping[str, object], handed: ServeVariables
    ) -> dict[str, Any]:
        """Run a verb that loads a model, with the variables in `handed`. Raises as `ask`."""
        return self._run(python, verb, request, store, handed)

    def _retries(self, store: Store | None) -> int | None:
        """Few retries for the first call, to fail within seconds; more for a server that responded before."""
        if store is None or _RETRIES in self._host.variables:
            return None
        return _RETRIES_AFTER_SUCCESS if store.uri in self._responded else _FIRST_RETRIES

    def describe_environment(self, python: Path) -> dict[str, Any]:
        """The Python and MLflow of an environment; `mlflow` is None if it has none."""
        return self._run(python, "describe-environment", {}, None)

    def ui_command(self, python: Path, store: Store) -> str:
        """The shell command that starts MLflow's UI on a store, or the URI of a server."""
        if store.kind is StoreKind.SERVER:
            return store.shown
        allowed = ("env", f"{_FILE_STORE}=true") if store.uri.startswith("file:") else ()
        return shlex.join((*allowed, str(python.parent / "mlflow"), "ui", "--backend-store-uri", store.shown))

    def _run(
        self,
        python: Path,
        verb: str,
        request: Mapping[str, object],
        store: Store | None,
        handed: ServeVariables = NO_VARIABLES,
    ) -> dict[str, Any]:
        variables = store.variables if store else {}
        if verb not in _LOADING:
            return self._exchange(self._worker(python, variables), verb, request, store)
        with tempfile.TemporaryDirectory(prefix="mlflow-uv-") as scratch:
            if verb == "answer":  # no store is used: what the model writes to one is discarded
                variables = {"MLFLOW_TRACKING_URI": f"sqlite:///{scratch}/mlflow.db"}
            kept = {**for_model(self._host.variables).variables, **variables, **handed.variables}
            if handed.names:
                kept[_HANDED] = " ".join(handed.names)
            command = self._command(python, kept)
            command = replace(command, folder=Path(scratch), foreign=True, secrets=handed.secrets)
            worker = self._runner.converse(command)
            try:
                return self._exchange(worker, verb, request, store)
            finally:
                worker.stop()

    def _exchange(
        self, worker: Conversation, verb: str, request: Mapping[str, object], store: Store | None
    ) -> dict[str, Any]:
        with tempfile.TemporaryDirectory(prefix="mlflow-uv-") as scratch:
            answer = Path(scratch) / "answer.json"
            try:
                question = {"verb": verb, "request": request, "response": str(answer), "retries": self._retries(store)}
                confirmed = worker.ask(json.dumps(question))
            except BaseException:
                # Cancelled: the next line of the worker would answer this request, not the next one.
                self.close()
                raise
            if confirmed is None or not answer.is_file():
                lines = worker.log().splitlines()
                self.close()
                for line in lines[-20:]:
                    self._hear(line)
                why = next((line.strip() for line in reversed(lines) if line.strip()), "it printed nothing")
                raise ToolFailed(what=f"MLflow exited during `{verb}`", why=why)
            return self.read_response(verb, answer, store)

    def read_response(self, verb: str, answer: Path, store: Store | None) -> dict[str, Any]:
        """The value in a response file of a payload. Raises the StepError for the kind of its error."""
        response = parse_json(answer.read_text(encoding="utf-8"))
        if "error" in response:
            raise self._error(verb, response["error"], store)
        value: dict[str, Any] = response["value"]
        return value

    def _worker(self, python: Path, variables: Mapping[str, str]) -> Conversation:
        """The interpreter for all requests about a store; importing MLflow takes seconds."""
        key = (python, tuple(sorted(variables.items())))
        if key not in self._workers:
            kept = {**for_payload(self._host.variables).variables, **variables}
            self._workers[key] = self._runner.converse(self._command(python, kept))
        return self._workers[key]

    def _command(self, python: Path, variables: Mapping[str, str]) -> Command:
        """The command that runs payloads, outside of the checkout, so that no relative path leads into it."""
        # Bytecode is cached outside of the environment, which may be the user's own; it halves the start-up time.
        compiled = f"pycache_prefix={self._host.cache / 'bytecode'}"
        argv = (str(python), "-I", "-X", compiled, str(PAYLOADS))
        folder = self._host.state
        folder.mkdir(parents=True, exist_ok=True)
        return Command(argv=argv, folder=folder, variables={**_DEFAULTS, **variables})

    def close(self) -> None:
        """Stop all interpreters that were started."""
        for worker in self._workers.values():
            worker.stop()
        self._workers.clear()

    def _error(self, verb: str, error: Mapping[str, Any], store: Store | None) -> StepError:
        kind = str(error["kind"])
        error_class, what = ERRORS.get(kind, (ToolFailed, f"MLflow failed to {verb}"))
        if kind in ("training", "cannot-load", "cannot-predict", "unexpected") and error.get("detail"):
            for line in str(error["detail"]).splitlines()[-30:]:
                self._hear(line)
        if kind == "schema" and store is not None and error.get("facts"):
            other = replace(store, uri=store.variables[error["facts"]["variable"]])
            return schema_mismatch(error["facts"], uri=other.uri, shown=other.shown)
        fixes = FIXES if store is None or store.kind is StoreKind.SERVER else {**FIXES, **DATABASE_FIXES}
        why = str(error["message"])
        failed = error_class(what=what, why=why, fix=machine_fix(why) or fixes.get(kind, ""))
        failed.output = tuple(str(error.get("detail") or "").splitlines())
        return failed
