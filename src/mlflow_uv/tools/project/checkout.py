"""
Decides which servers, files and build caches a setting of the checkout may name.

The author of a checkout, such as that of a pull request, decides neither where the job's credentials go nor what is
read or written outside the checkout. See docs/threat-model.md.
"""

import netrc
import os
import shlex
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from ...command.errors import BadInput
from ...command.lazy_pattern import lazy_pattern
from ...command.step import Field, FieldKind, SettingReach, ValueLayer, configured
from ...command.wording import Wording, option
from ...core.security.child_environment import store_credentials_in
from ...core.security.origins import is_plain_web_address, origin_of
from ...core.security.url_credentials import carries_user, without_userinfo
from ...payloads.messages.lazy_dataclass import lazy_dataclass
from ..mlflow.tracking_uris import path_of_files
from .claims import SettingClaim, require_harmless_cache, require_own_variables
from .files import Project, absolute, leads_out, repository_of

SETTING = "`{}` in [tool.mlflow-uv]"
_SQLITE = lazy_pattern(r"sqlite:///([^?:%#]+)")
# Addresses without a host: MLflow takes it from the machine's own configuration.
_HOSTLESS = frozenset({"databricks", "databricks-uc"})


def settings_layer(record: type, project: Project | None, variables: Mapping[str, str]) -> ValueLayer:
    """The settings of a step in `[tool.mlflow-uv]`, checked by `Checkout.admit`; `variables` are the job's."""
    if project is None:
        return ValueLayer(SETTING, {})
    return ValueLayer(
        SETTING, configured(record, project.settings), Checkout(project=project, variables=variables).admit
    )


def given_layer(source: str, given: Mapping[str, object], project: Project | None) -> ValueLayer:
    """Flags or inputs of a step, checked by `Checkout.follow`: no link of the checkout may redirect their paths."""
    if project is None:
        return ValueLayer(source, given)
    return ValueLayer(source, given, Checkout(project=project, variables={}).follow)


@lazy_dataclass
class Checkout:
    """The checkout of a project, and the variables of the job that works on it."""

    project: Project
    variables: Mapping[str, str]

    def admit(self, field: Field, value: Any, *, source: str) -> Any:
        """The effective value of a setting. Raises BadInput for a value that a checkout may not choose."""
        claim = SettingClaim(field, value, source, self.project.folder / "pyproject.toml")
        match field.reach:
            case SettingReach.WRITTEN:
                self._require_in_project(claim, Path(value), "")
            case SettingReach.DISCLOSED:
                self._require_in_repository(claim)
                self._require_own_links(claim)
            case SettingReach.SERVER:
                return self._tracking_uri(claim)
            case SettingReach.BUILD_CACHE:
                require_harmless_cache(claim)
            case SettingReach.VARIABLES:
                require_own_variables(claim)
        return value

    def follow(self, field: Field, value: Any, *, source: str) -> Any:
        """The value of a flag or input. Raises BadInput for a path in the checkout whose links lead out of it."""
        if field.reach is SettingReach.DISCLOSED:
            claim = SettingClaim(field, value, source)
            if Path(os.path.normpath(self.project.folder / value)).is_relative_to(self._root):
                self._require_in_repository(claim)
            self._require_own_links(claim)
        return value

    def server_of_training(self, uri: str) -> str | None:
        """
        The tracking server that training code names, checked like a setting; None if the job names the same one.

        Raises BadInput for one that a checkout may not name.
        """
        field = Field(name="tracking_uri", kind=FieldKind.TEXT, doc="", reach=SettingReach.SERVER)
        return self._tracking_uri(SettingClaim(field, uri, "the training"))

    # files

    @property
    def _root(self) -> Path:
        """The root of the repository, or the folder of the lock for a project without one."""
        return repository_of(self.project.folder) or self.project.root

    def _require_in_project(self, claim: SettingClaim, file: Path, address: str) -> None:
        """`address` is the prefix of a path in the value of the flag, such as `sqlite:///`."""
        path = self.project.folder / file
        if leads_out(path, self.project.folder):
            raise _outside(claim, path, called="project", address=address)
        _require_no_git(claim, path, self.project.folder)

    def _require_in_repository(self, claim: SettingClaim) -> None:
        path = self.project.folder / claim.value
        if leads_out(path, self._root):
            raise _outside(claim, path, called="repository")
        if claim.manifest is not None:
            _require_no_git(claim, path, self._root)

    def _require_own_links(self, claim: SettingClaim) -> None:
        """Reject links out of the checkout: an upload of the folder would follow them."""
        folder = self.project.folder / claim.value
        base = folder if leads_out(folder, self._root) else self._root
        stray = next((link for link in _links_below(folder) if leads_out(link, base)), None)
        if stray is not None:
            copied = shlex.join(("cp", "-rL", str(claim.value), f"{claim.value}-copy"))
            raise BadInput(
                what=f"{claim.source} contains a link to a path outside of the checkout",
                why=f"`{os.path.relpath(stray, folder)}` is {os.path.realpath(stray)}, which would be uploaded",
                fix=f"remove the link, or {copied} and name that folder",
            )

    # servers

    def _tracking_uri(self, claim: SettingClaim) -> str | None:
        """The tracking URI of a setting, None if it is the one that the job names."""
        uri = str(claim.value)
        if carries_user(uri):
            raise BadInput(
                what="`tracking-uri` contains credentials",
                why=f"a committed file must not contain secrets{claim.line}",
                fix="set MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD from a secret",
            )
        file, folder = self._database_file(claim), self._store_folder(claim)
        if named := self.variables.get("MLFLOW_TRACKING_URI"):
            return _beside(named, claim, file or folder)
        if file is not None:
            return f"sqlite:///{file}"
        if folder is not None:
            return folder.as_uri()
        self._require_harmless_server(claim)
        return uri

    def _database_file(self, claim: SettingClaim) -> Path | None:
        """The file of a SQLite URI, relative to the project like every path of a setting."""
        match = _SQLITE.fullmatch(claim.value)
        if match is None:
            return None
        file = Path(match[1])
        # The artifacts are stored beside the database: see `Mlflow.store`.
        for written in (file, file.parent / "mlruns"):
            self._require_in_project(claim, written, "sqlite:///")
        return Path(os.path.normpath(self.project.folder / file))

    def _store_folder(self, claim: SettingClaim) -> Path | None:
        """The folder of a file store, relative to the project; None for another scheme."""
        path = path_of_files(str(claim.value), self.project.folder)
        if path is not None:
            self._require_in_project(claim, path, "")
        return path

    def _require_harmless_server(self, claim: SettingClaim) -> None:
        """Reject a server if the job has credentials that it would get; the job itself names no server."""
        uri = str(claim.value)
        if uri in _HOSTLESS:
            return
        flag = option("tracking-uri", uri)
        if not is_plain_web_address(uri):
            raise BadInput(
                what=f"{claim.source} is not an address that a checkout may name",
                why=f"it is `{uri}`{claim.line}, and a setting names http(s)://HOST, or sqlite:///FILE or ./FOLDER"
                " in the project",
                fix=flag,
            )
        if credentials := (*store_credentials_in(self.variables), *_credential_files(uri, self.variables)):
            raise BadInput(
                what=f"{claim.source} names a server that the job does not name",
                why=f"{', '.join(credentials)} would go to `{uri}`{claim.line}, which a checkout may not decide",
                fix=Wording(f"set MLFLOW_TRACKING_URI={shlex.quote(uri)}, or ", flag),
            )


def _outside(claim: SettingClaim, path: Path, *, called: str, address: str = "") -> BadInput:
    real = os.path.realpath(path)
    return BadInput(
        what=f"{claim.source} leads out of the {called}",
        why=f"`{claim.value}`{claim.line} is {real}, and a setting names a path in the {called}",
        fix=option(claim.field.kebab, f"{address}{real}"),
    )


def _require_no_git(claim: SettingClaim, path: Path, base: Path) -> None:
    """Reject paths inside `.git`, which contains tokens in its settings, and hooks."""
    real = Path(os.path.realpath(path)).relative_to(os.path.realpath(base))
    if any(part.casefold() == ".git" for part in real.parts):
        raise BadInput(
            what=f"{claim.source} is a path inside `.git`",
            why=f"it is `{claim.value}`{claim.line}, and the files of git are not part of a checkout",
            fix="name another file",
        )


def _links_below(folder: Path) -> Iterator[Path]:
    """Every symbolic link in a folder; none is followed."""
    for path, folders, files in os.walk(folder):
        for name in (*folders, *files):
            if (link := Path(path, name)).is_symlink():
                yield link


def _beside(named: str, claim: SettingClaim, file: Path | None) -> str | None:
    """
    The server of a setting if the job names one too: one of the same origin, or None if both are the same.

    The job's URI may contain its credentials. Raises BadInput for another server.
    """
    uri, bare = str(claim.value), without_userinfo(named)
    if uri.rstrip("/") == bare.rstrip("/") or (file is not None and file == _database_path(named)):
        return None
    if is_plain_web_address(uri) and origin_of(uri) == origin_of(bare):
        if _path_of(uri) == _path_of(bare):
            return None
        if not carries_user(named):
            return uri
    raise BadInput(
        what=f"{claim.source} names another server than the job",
        why=f"it is `{uri}`{claim.line}, MLFLOW_TRACKING_URI is `{bare}`, and the job decides where credentials go",
        fix=Wording("remove it from pyproject.toml, or ", option("tracking-uri", uri)),
    )


def _path_of(url: str) -> str:
    return "/".join(url.split("/")[3:]).rstrip("/")


def _database_path(uri: str) -> Path | None:
    """The file, or file store, that the job names, relative to the working folder."""
    match = _SQLITE.fullmatch(uri)
    return absolute(match[1]) if match else path_of_files(uri, Path.cwd())


def _credential_files(uri: str, variables: Mapping[str, str]) -> Iterator[str]:
    """Files with credentials that MLflow sends to any server, or its HTTP library to this host."""
    home = Path(variables.get("HOME") or "/")
    if (home / ".mlflow" / "credentials").exists():
        yield "~/.mlflow/credentials"
    netrc_path = variables.get("NETRC")
    for file in (Path(netrc_path),) if netrc_path else (home / ".netrc", home / "_netrc"):
        try:
            login = netrc.netrc(str(file)).authenticators(urlsplit(uri).hostname or "")
        except (OSError, netrc.NetrcParseError):
            continue  # that library cannot read it, either
        if login:
            yield str(file)
