"""Finds the credentials that `docker login` or `podman login` keeps for a registry."""

import base64
import re
from collections.abc import Iterator, Mapping
from dataclasses import field
from pathlib import Path
from typing import Any

from ...command.errors import StepError
from ...core.image.reference import DOCKER_HUB, ImageReference
from ...core.security.child_environment import for_engine
from ...core.security.documents import parse_json
from ...payloads.messages.lazy_dataclass import lazy_dataclass
from ..system.process import Command, Runner

HELPER_S = 30.0
# The keys of Docker Hub in Docker's configuration; the first is that of the v1 protocol.
_HUB_KEYS = ("https://index.docker.io/v1/", "index.docker.io", DOCKER_HUB, "registry-1.docker.io")
_TOKEN_USER = "<token>"  # noqa: S105  # the user for which a helper returns an identity token


@lazy_dataclass
class Login:
    """A user with a password, or an identity token in place of both."""

    user: str = ""
    password: str = field(default="", repr=False)
    identity: str = field(default="", repr=False)

    @property
    def header(self) -> Mapping[str, str]:
        """The header of user and password (RFC 7617)."""
        pair = base64.b64encode(f"{self.user}:{self.password}".encode()).decode()
        return {"Authorization": f"Basic {pair}"}


class Logins:
    """The registry credentials of the current user or job."""

    def __init__(self, runner: Runner, *, variables: Mapping[str, str]) -> None:
        self._runner = runner
        self._variables = for_engine(variables).variables

    def of(self, reference: ImageReference) -> Login | None:
        """The credentials for a repository, None without a login; unreadable files are skipped."""
        keys = tuple(_keys(reference))
        for file in self._files():
            content = _read(file)
            helper = _first(content.get("credHelpers"), keys) or content.get("credsStore")
            if isinstance(helper, str) and (login := self._from_helper(helper, keys)):
                return login
            entry = _first(content.get("auths"), keys)
            if isinstance(entry, dict) and (login := _from_entry(entry)):
                return login
        return None

    def _files(self) -> Iterator[Path]:
        """The files that Docker and Podman read; those named by a variable come first."""
        variables = self._variables
        home = Path(variables.get("HOME") or "/nonexistent")
        if variables.get("REGISTRY_AUTH_FILE"):
            yield Path(variables["REGISTRY_AUTH_FILE"])
        yield Path(variables.get("DOCKER_CONFIG") or home / ".docker") / "config.json"
        if variables.get("XDG_RUNTIME_DIR"):
            yield Path(variables["XDG_RUNTIME_DIR"]) / "containers" / "auth.json"
        yield home / ".config" / "containers" / "auth.json"
        yield from sorted(Path("/run/containers").glob("*/auth.json"))

    def _from_helper(self, helper: str, keys: tuple[str, ...]) -> Login | None:
        if not re.fullmatch(r"[A-Za-z0-9_.-]+", helper):
            return None
        for key in keys:
            command = Command(
                argv=(f"docker-credential-{helper}", "get"),
                variables=self._variables,
                folder=Path("/"),
                stdin=key,
                timeout_s=HELPER_S,
                verbatim=True,
            )
            try:
                done = self._runner.run(command)
            except StepError:
                return None
            if done.code == 0:
                content = _object(done.stdout)
                user, secret = str(content.get("Username", "")), str(content.get("Secret", ""))
                return Login(identity=secret) if user == _TOKEN_USER else Login(user=user, password=secret)
        return None


def _keys(reference: ImageReference) -> Iterator[str]:
    """The keys of a repository's credentials; Podman also has keys for namespaces, longest first."""
    parts = [reference.host, *reference.repository.split("/")]
    yield from ("/".join(parts[:count]) for count in range(len(parts), 1, -1))
    if reference.host == DOCKER_HUB:
        yield from _HUB_KEYS
    else:
        yield from (reference.host, f"https://{reference.host}", f"https://{reference.host}/v1/")


def _first(table: object, keys: tuple[str, ...]) -> Any:
    return next((table[key] for key in keys if key in table), None) if isinstance(table, dict) else None


def _from_entry(entry: Mapping[str, Any]) -> Login | None:
    if isinstance(entry.get("identitytoken"), str) and entry["identitytoken"]:
        return Login(identity=entry["identitytoken"])
    try:
        text = base64.b64decode(str(entry.get("auth") or "")).decode()
    except ValueError:
        return None
    user, colon, password = text.partition(":")
    return Login(user=user, password=password.rstrip("\0")) if colon else None


def _read(file: Path) -> dict[str, Any]:
    try:
        return _object(file.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}


def _object(text: str) -> dict[str, Any]:
    try:
        content = parse_json(text)
    except (ValueError, RecursionError):
        return {}
    return content if isinstance(content, dict) else {}
