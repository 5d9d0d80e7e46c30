"""
Detects the tracking store that training uses, and decides whether the release may use it too.

A store that training chooses itself is used if a setting of the checkout could have named it (docs/threat-model.md).
Otherwise training is stopped when it opens its first run, with the input that names the store as the fix. It is also
stopped if it chooses a server on this machine at whose port nothing listens: MLflow repeats requests for minutes.
"""

import os
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import field
from pathlib import Path
from tempfile import TemporaryDirectory
from urllib.parse import unquote, urlsplit

from ...command.errors import BadInput, TrainingFailed
from ...command.report import Finding, Severity
from ...command.wording import Wording, option
from ...core.security.documents import parse_json
from ...core.security.masking import mask, secrets_in
from ...core.security.origins import origin_of
from ...core.security.url_credentials import carries_user
from ...payloads.messages.lazy_dataclass import lazy_dataclass
from ...tools.mlflow.mlflow import PAYLOADS
from ...tools.mlflow.store import Store, StoreKind
from ...tools.mlflow.tracking_uris import SQLITE, absolute_uri
from ...tools.project.checkout import Checkout
from ...tools.project.files import Project, line_of
from ...tools.system.local_server import refuses_connections
from ...tools.toolbox import Tools

REFUSAL_S = 30.0  # a server that training itself starts listens earlier
_REGISTRY = "MLFLOW_REGISTRY_URI"
_PLUGIN = "mlflow_uv_tracking"
_ENTRY_POINTS = f"[mlflow.run_context_provider]\nmlflow-uv = {_PLUGIN}:TrackingNote\n"
_METADATA = "Metadata-Version: 2.1\nName: mlflow-uv-tracking\nVersion: 1\n"


@lazy_dataclass(frozen=False)
class StoreWatch:
    """
    The store of a running training; `folder` holds the MLflow plugin and its notes.

    `own` is the store that training chose itself and that the release uses, `refusal` the error that stopped it.
    """

    project: Project
    store: Store
    tools: Tools
    folder: Path
    own: Store | None = None
    refusal: TrainingFailed | None = None
    _read: int = 0
    _seen_uris: dict[str, None] = field(default_factory=dict)
    _given_store_used: bool = False
    _newest_uri: str = ""
    _refused_since_s: float | None = None

    def variables(self, caller: Mapping[str, str], *, registers: bool) -> dict[str, str]:
        """Return the variables that let MLflow find the plugin, after the caller's PYTHONPATH, and the registry."""
        path = (*filter(None, (caller.get("PYTHONPATH"),)), str(self.folder))
        temporary = {} if registers else {_REGISTRY: f"sqlite:///{self._registry_file}"}
        return {"PYTHONPATH": os.pathsep.join(path), **temporary}

    def registry(self, *, registers: bool) -> dict[str, str]:
        """Return the variable of the temporary registry, if training used it."""
        used = not registers and self._registry_file.is_file()
        return {_REGISTRY: f"sqlite:///{self._registry_file}"} if used else {}

    @property
    def _registry_file(self) -> Path:
        return self.folder / "registry.db"

    def must_stop(self) -> bool:
        """Read new notes of the plugin, and return whether training uses a store that the release may not use."""
        for event, uri in self._new():
            if uri != self._newest_uri:
                self._newest_uri, self._refused_since_s = uri, None
            if uri == absolute_uri(self.store.uri, Path("/")):
                self._given_store_used |= event == "run"
                continue
            self._note_uri(uri)
            if event == "run" and not self._given_store_used and self.own is None:
                self._follow(uri)
        if self.refusal is None and self._newest_uri in self._seen_uris:
            self._stop_without_server(self._newest_uri)
        return self.refusal is not None

    def advice(self) -> str:
        """Return the fix for a training that failed after it set its own tracking URI; empty if it set none."""
        uri = next(iter(self._seen_uris), None)
        if uri is None:
            return ""
        return Wording("see its output above; it sets its own tracking URI, so set ", _tracking_input(uri))

    def _new(self) -> Iterator[tuple[str, str]]:
        notes = self.folder / "notes"
        # Training can write anything into this file.
        text = notes.read_text(encoding="utf-8", errors="replace") if notes.is_file() else ""
        lines = text.splitlines(keepends=True)
        for line in lines[self._read :]:
            if not line.endswith("\n"):
                return  # incomplete line
            self._read += 1
            with suppress(ValueError, LookupError, TypeError, BadInput):
                noted = parse_json(line)
                event, uri = str(noted["event"]), absolute_uri(str(noted["uri"]), Path(noted["folder"]))
                urlsplit(uri)  # ValueError for one with a broken host
                if uri.isprintable() and _shown(uri):  # else MLflow cannot open it
                    yield event, uri

    def _stop_without_server(self, uri: str) -> None:
        """Refuse a server on this machine that refused connections for REFUSAL_S."""
        if not refuses_connections(uri):
            self._refused_since_s = None
            return
        now_s = self.tools.clock.now_s()
        if self._refused_since_s is None:
            self._refused_since_s = now_s
        elif now_s - self._refused_since_s >= REFUSAL_S:
            self.refusal = self._without_server(uri)

    def _without_server(self, uri: str) -> TrainingFailed:
        """The error for a server that does not listen, at the line that has its address if there is one."""
        from ..lint.written_servers import written_servers  # noqa: PLC0415  # few trainings set such a URI

        servers = written_servers(self.project.folder, self.tools.git)
        written = next((server for server in servers if server.origin == origin_of(uri)), None)
        refusal = TrainingFailed(
            what=f"training was stopped: it logs to `{_shown(uri)}`, where no server listens",
            why=f"MLflow would repeat its requests for minutes; the release uses `{self.store.shown}`",
            fix="remove the tracking URI from the training: it then logs to the store of the release",
        )
        if written is not None:
            refusal.path, refusal.line, refusal.fix = written.path, written.line, written.fix
        return refusal

    def _note_uri(self, uri: str) -> None:
        if uri not in self._seen_uris:
            self._seen_uris[uri] = None
            self.tools.console.say(
                f"training sets its own tracking URI, `{_shown(uri)}`, instead of `{self.store.shown}`"
            )

    def _follow(self, uri: str) -> None:
        try:
            self.own = store_of_training(uri, self.project, self.store, self.tools)
        except BadInput as error:
            self.refusal = _refused(uri, self.store, error)
        else:
            self.tools.console.say(f"the release follows the training to `{self.own.shown}`")


def store_of_training(uri: str, project: Project, store: Store, tools: Tools) -> Store:
    """
    Return the store at the URI that training set.

    Raises BadInput if a setting of the checkout could not name that URI.
    """
    job = {name: text for name, text in tools.host.variables.items() if name != "MLFLOW_TRACKING_URI"}
    named = {} if store.kind is StoreKind.EMBEDDED else {"MLFLOW_TRACKING_URI": store.uri}
    allowed = Checkout(project=project, variables={**job, **named}).server_of_training(uri)
    return tools.mlflow.store(allowed or uri, embedded=False)


@contextmanager
def watched(project: Project, store: Store, tools: Tools) -> Iterator[StoreWatch]:
    """Provide a folder with the plugin while the block runs."""
    with TemporaryDirectory(prefix="mlflow-uv-") as scratch:
        folder = Path(scratch)
        shutil.copyfile(PAYLOADS / "runs" / "trackingplugin.py", folder / f"{_PLUGIN}.py")
        metadata_folder = folder / f"{_PLUGIN}-1.dist-info"
        metadata_folder.mkdir()
        (metadata_folder / "entry_points.txt").write_text(_ENTRY_POINTS)
        (metadata_folder / "METADATA").write_text(_METADATA)
        (folder / "store-uri").write_text(store.uri)
        yield StoreWatch(project=project, store=store, tools=tools, folder=folder)


def followed(store: Store, project: Project) -> Finding:
    """Return a warning with the store of the model and the setting that names it for later steps."""
    manifest = project.folder / "pyproject.toml"
    return Finding(
        rule="own-tracking-uri",
        severity=Severity.WARNING,
        what=f"training logged to `{store.shown}`, which is not configured",
        why="the release uses that store, but a step that runs alone would use another",
        fix=f'add `tracking-uri = "{_as_setting(store, project)}"` to [tool.mlflow-uv] in pyproject.toml',
        path=manifest,
        line=line_of(manifest, "[tool.mlflow-uv]"),
    )


def database_identity(store: Store) -> tuple[int, int] | None:
    """Return device and inode of a SQLite file, which change if it is replaced; None for another store."""
    if (match := SQLITE.fullmatch(store.uri)) is None or not (file := Path(match[2])).is_file():
        return None
    return file.stat().st_dev, file.stat().st_ino


def database_replaced(store: Store, project: Project) -> Finding:
    """Return a warning that training deleted and recreated its database."""
    return Finding(
        rule="database-replaced",
        severity=Severity.WARNING,
        what=f"training removed `{store.shown}` while it ran, and created it again",
        why="its earlier content is lost, including versions and aliases; the release continues with the new content",
        fix="remove the code that deletes it from the training",
        path=project.folder / "pyproject.toml",
        line=line_of(project.folder / "pyproject.toml", "train =", "[tool.mlflow-uv]"),
    )


def _as_setting(store: Store, project: Project) -> str:
    """Return the URI for a committed setting, with a path relative to the project."""
    scheme, slashes, path = store.uri.partition(":///" if store.uri.startswith("sqlite") else "://")
    local = Path(unquote(path) if scheme == "file" else path)
    if scheme not in ("sqlite", "file") or not local.is_relative_to(project.folder):
        return store.shown
    relative = local.relative_to(project.folder)
    return f"{scheme}{slashes}{relative}" if scheme == "sqlite" else f"./{relative}"


def _refused(uri: str, store: Store, error: BadInput) -> TrainingFailed:
    return TrainingFailed(
        what=f"training was stopped: it logs to `{_shown(uri)}`, and the release uses `{store.shown}`",
        why=mask(error.why or error.what, secrets_in({"MLFLOW_TRACKING_URI": uri})),
        fix=Wording(_tracking_input(uri), ", or remove the tracking URI from the training"),
    )


def _tracking_input(uri: str) -> str:
    """Return the input that names a tracking URI; a URI with a password is not repeated."""
    if _shown(uri) == uri and not carries_user(uri):
        return option("tracking-uri", uri)
    return "MLFLOW_TRACKING_URI, set from a secret"


def _shown(uri: str) -> str:
    return Store(uri=uri, kind=StoreKind.SERVER, variables={}).shown
