"""Creates private environments, each from one lock."""

import os
import re
from dataclasses import dataclass
from enum import Enum
from pathlib import Path

from ...command.errors import BadProject
from ...command.host import Host
from ...command.report import Console
from ...command.wording import Wording, local, option
from ...core.lock.selection import Selection
from ...core.release.digests import lock_digest, sha256
from ..engines.source_snapshot import as_they_were
from ..mlflow.mlflow import Store, StoreKind
from ..project.files import Project, seen_from
from .uv import Uv


class Environment(Enum):
    """Which environment a project is trained in."""

    PRIVATE = "private"
    PROJECT = "project"


@dataclass(frozen=True, kw_only=True, slots=True)
class LocalSource:
    """A package of the checkout, or beside it: its name and the folder of its sources."""

    name: str
    source: Path


class Environments:
    """Makes environments in our cache, and finds them again; the checkout's `.venv` is neither made nor changed."""

    def __init__(self, uv: Uv, *, host: Host, console: Console) -> None:
        self._uv = uv
        self._host = host
        self._console = console
        self._made: dict[Path, Path] = {}
        self._fresh: set[Path] = set()  # those whose local packages were built again

    def project(self, project: Project, selection: Selection, *, local: tuple[LocalSource, ...] = ()) -> Path:
        """
        The interpreter of the project's environment, exactly as its lock says (`uv sync --locked`).

        It holds the project's default groups too: training may need what serving does not. `local` packages are built
        again, because uv does not see that their code changed. Raises ToolFailed.
        """
        folder = self.place(project, selection)
        if folder not in self._made or (local and folder not in self._fresh):
            with self._console.group(f"environment of {project.name}"):
                again = tuple(flag for one in local for flag in ("--reinstall-package", one.name))
                with as_they_were(tuple(one.source for one in local)):
                    self._made[folder] = self._uv.sync(project, selection, folder, again, hear=self._console.foreign)
            if local:
                self._fresh.add(folder)
        return self._made[folder]

    def place(self, project: Project, selection: Selection) -> Path:
        """Folder of the project's private environment, which need not be there."""
        key = sha256(f"{project.folder}\0{selection.sha256}".encode())[:12]
        return self._host.cache / "environments" / f"{project.name}-{key}"

    def own(self, project: Project, selection: Selection) -> Path:
        """
        The interpreter of the environment that the project has itself, if it is exactly the lock; it is not changed.

        That is `.venv` beside the lock, or what UV_PROJECT_ENVIRONMENT names. Raises BadProject that says what differs.
        """
        folder = project.root / self._host.variables.get("UV_PROJECT_ENVIRONMENT", ".venv")
        drift = self._uv.drift(project, selection, folder)
        if drift is not None:
            raise BadProject(
                what=f"`{seen_from(project.folder, folder)}` does not match uv.lock",
                why=drift,
                fix=self._uv.sync_command(project, selection),
            )
        return folder / "bin" / "python"

    def talking_to(self, store: Store, project: Project | None, selection: Selection) -> Path:
        """
        The interpreter that may talk to a store: ours to a server, the project's own to its database.

        Raises BadProject for a database without a project, ToolFailed.
        """
        if store.kind is StoreKind.SERVER:
            return self._ours()
        if project is None:
            raise BadProject(
                what="a database store needs the project's own MLflow",
                why="only that version has the right schema",
                fix=Wording(
                    local("check the project out", "check it out with actions/checkout"),
                    ", and name its folder with ",
                    option("project", "FOLDER"),
                ),
            )
        return self.project(project, selection)

    def serving(self, key: str) -> Path:
        """Folder of the environment that serves a model in a process."""
        return self._host.cache / "serving" / key[:16]

    def interpreter(self, minor: str) -> str:
        """
        An interpreter of a minor version that pyenv or asdf keeps behind its shims; else the version, for uv to find.

        A shim answers in folders that pin a version, and in no other.
        """
        for entry in map(Path, self._host.variables.get("PATH", "").split(os.pathsep)):
            if entry.name == "shims" and entry.is_absolute():
                for kept in (entry.parent / "versions", entry.parent / "installs" / "python"):
                    if found := sorted(kept.glob(f"{minor}.*/bin/python{minor}"), key=_patch_of):
                        return str(found[-1])
        return minor

    def _ours(self) -> Path:
        lock = (self._host.ours / "uv.lock").read_bytes()
        folder = self._host.cache / f"registry-{lock_digest(lock)[:16]}"
        if folder not in self._made:
            with self._console.group("environment that talks to tracking servers"):
                self._made[folder] = self._uv.sync_ours(self._host.ours, folder)
        return self._made[folder]


def _patch_of(interpreter: Path) -> int:
    """The patch of the version that its folder is called by; none for a pre-release."""
    digits = re.fullmatch(r"\d+\.\d+\.(\d+)", interpreter.parents[1].name)
    return int(digits[1]) if digits else -1
