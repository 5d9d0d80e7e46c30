"""Creates private environments, each from one lock."""

import os
import re
import time
from collections.abc import Callable, Iterable, Iterator
from enum import Enum
from pathlib import Path

from ...command.errors import BadProject
from ...command.host import Host
from ...command.report import Console
from ...command.wording import Wording, local, option
from ...core.lock.selection import Selection
from ...core.release.digests import lock_digest, sha256
from ...payloads.messages.lazy_dataclass import lazy_dataclass
from ..engines.source_snapshot import restored_sources
from ..mlflow.store import Store, StoreKind
from ..project.files import Project, path_from
from .environment_folder import EnvironmentFolder, environment_name
from .uv import Uv

_WRITE_ELSEWHERE = (
    "let training write nothing into the environment: give the library that writes the file a folder outside of it, by"
    " its setting for a cache or downloads"
)


class Environment(Enum):
    """The environment in which a project is trained."""

    PRIVATE = "private"
    PROJECT = "project"


@lazy_dataclass
class LocalSource:
    """A local package: its name and the folder of its sources."""

    name: str
    source: Path


@lazy_dataclass
class EditedFile:
    """A file or package in an environment that is not as uv installed it, why, and what prevents that."""

    name: str
    why: str
    advice: str


class Environments:
    """Creates environments in our cache, each once; the checkout's `.venv` is neither created nor changed."""

    def __init__(self, uv: Uv, *, host: Host, console: Console) -> None:
        self._uv = uv
        self._host = host
        self._console = console
        self._interpreters: dict[Path, Path] = {}
        self._installed: dict[Path, dict[str, str]] = {}  # digests of RECORDs, before a training runs
        self._syncs: dict[Path, Callable[..., Path]] = {}  # those that this program makes
        self._held: dict[Path, int] = {}  # locks on those that this process uses
        self._rebuilt: set[Path] = set()  # those whose local packages were rebuilt

    def project(self, project: Project, selection: Selection, *, local: tuple[LocalSource, ...] = ()) -> Path:
        """
        The interpreter of the project's environment, synced with its lock (`uv sync --locked`).

        It includes the project's default groups, which training may need. `local` packages are rebuilt, because uv does
        not notice changes of their code. Packages whose files changed since the last sync are installed again. Raises
        BadInput, ToolFailed: see `Uv.sync`; also for a file that still does not match its RECORD.
        """
        folder = self.place(project, selection)
        if folder not in self._interpreters or (local and folder not in self._rebuilt):
            with self._console.group(f"environment of {project.name}"):
                from .environment_state import EnvironmentState, installed_records  # noqa: PLC0415  # few steps need it

                def sync(names: Iterable[str], *, anew: bool) -> Path:
                    flags = _reinstalling(() if anew else local, names, anew=anew)
                    return self._sync(project, selection, folder, local, flags)

                self._hold(folder)
                self._interpreters[folder] = EnvironmentState(folder=folder).synced(sync, say=self._console.say)
                self._added(folder)
                self._installed[folder] = installed_records(folder)
                self._syncs[folder] = sync
            if local:
                self._rebuilt.add(folder)
        return self._interpreters[folder]

    def invalidate(self) -> None:
        """Let the next calls sync environments again: what they are made from changed."""
        self._interpreters.clear()
        self._rebuilt.clear()

    def _sync(
        self,
        project: Project,
        selection: Selection,
        folder: Path,
        local: tuple[LocalSource, ...],
        flags: tuple[str, ...],
    ) -> Path:
        with restored_sources(tuple(package.source for package in local)):
            return self._uv.sync(project, selection, folder, flags, on_line=self._console.foreign)

    def edited_file(self, python: Path) -> EditedFile | None:
        """
        A file in a project's environment that is not as uv installed it; compares packages and reads all files.

        The next sync makes the environment again. Raises ToolFailed for a RECORD that cannot be read.
        """
        from .environment_state import EnvironmentState  # noqa: PLC0415  # few steps need it

        folder = python.parent.parent
        edited = next(self._edited(folder), None)
        if edited:
            EnvironmentState(folder=folder).discard()
        return edited

    def _edited(self, folder: Path) -> Iterator[EditedFile]:
        """Everything in an environment that is not as uv installed it."""
        from .environment_state import (  # noqa: PLC0415  # few steps need it
            EnvironmentState,
            installed_records,
            unlisted_files,
        )

        now = installed_records(folder)
        before = self._installed.get(folder, now)
        for name in sorted(name for name in {*before, *now} if before.get(name) != now.get(name)):
            why = "packages were installed or removed, so that they are not those of uv.lock"
            yield EditedFile(name=name, why=why, advice="let training install nothing, and `uv add` what it needs")
        for path in unlisted_files(folder):
            why = "no package has this file, and the image would not have it either"
            yield EditedFile(name=path, why=why, advice=_WRITE_ELSEWHERE)
        state = EnvironmentState(folder=folder)
        for path in state.differences().beyond:
            why = "it belongs to no package, and is not what uv wrote"
            yield EditedFile(name=path, why=why, advice=_WRITE_ELSEWHERE)
        foreign, sync = state.foreign(), self._syncs.get(folder)
        same = state.as_in_wheels(foreign, sync, say=self._console.say) if foreign and sync else {}
        for file in foreign:
            if file.path not in same:
                why = f"its content does not match the RECORD of `{file.package}`"
                yield EditedFile(name=file.path, why=why, advice=_WRITE_ELSEWHERE)
        if same:
            state.keep(same)

    def place(self, project: Project, selection: Selection) -> Path:
        """Folder of the project's private environment, which may not exist."""
        key = sha256(f"{project.folder}\0{selection.sha256}".encode())[:12]
        return self._host.cache / "environments" / f"{project.name}-{key}"

    def own(self, project: Project, selection: Selection) -> Path:
        """
        The interpreter of the project's own environment, if it matches the lock; it is not changed.

        That is `.venv` beside the lock, or UV_PROJECT_ENVIRONMENT. Raises BadProject that lists the differences, or
        names a file that does not match the RECORD of its package.
        """
        folder = project.root / self._host.variables.get("UV_PROJECT_ENVIRONMENT", ".venv")
        drift = self._uv.drift(project, selection, folder)
        if drift is not None:
            raise BadProject(
                what=f"`{path_from(project.folder, folder)}` does not match uv.lock",
                why=drift,
                fix=self._uv.sync_command(project, selection),
            )
        from .environment_state import foreign_content, installed_records, unlisted_files  # noqa: PLC0415  # as above

        if foreign := foreign_content(folder):
            name = foreign[0].package
            raise BadProject(
                what=f"`{path_from(project.folder, folder)}` does not match uv.lock: `{foreign[0].path}` was changed",
                why=f"its content does not match the RECORD of `{name}`; if that stays so after the fix, the RECORD of"
                " the wheel is wrong, and only an environment that this program makes is compared with the wheel",
                fix=f"uv cache clean {name} && {self._uv.sync_command(project, selection)} --reinstall-package {name}",
            )
        if strays := [path for path in unlisted_files(folder) if path.startswith("lib/")]:
            raise BadProject(
                what=f"`{path_from(project.folder, folder)}` does not match uv.lock: no package has `{strays[0]}`",
                why="Python would import it in training, and the image does not have it",
                fix=f"uv venv --clear && {self._uv.sync_command(project, selection)}",
            )
        self._installed[folder] = installed_records(folder)
        return folder / "bin" / "python"

    def registry_client(self, store: Store, project: Project | None, selection: Selection) -> Path:
        """
        The interpreter of the registry client: our own for a server, the project's for a database.

        Raises BadProject for a database without a project, ToolFailed.
        """
        if store.kind is StoreKind.SERVER:
            return self.ours()
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

    def serving(self, key: str) -> EnvironmentFolder:
        """The environment with this key, of those that serve a model without a container engine, or convert one."""
        folder = self._host.cache / "serving" / environment_name(key)
        self._hold(folder)
        return EnvironmentFolder(folder=folder, console=self._console, on_new=self._added)

    def at(self, folder: Path) -> EnvironmentFolder:
        """The environment in a folder, such as one that a release record names."""
        self._hold(folder)
        return EnvironmentFolder(folder=folder, console=self._console, on_new=self._hold)

    def _hold(self, folder: Path) -> None:
        from .environment_uses import hold  # noqa: PLC0415  # many steps use no environment

        hold(folder, self._held)

    def _added(self, folder: Path) -> None:
        """Use a new environment of the cache, and remove those beside it that nobody used for long."""
        from .environment_uses import remove_unused  # noqa: PLC0415  # as above

        self._hold(folder)
        remove_unused(folder.parent, now_s=time.time())

    def close(self) -> None:
        """Let other processes remove the environments that this one used."""
        while self._held:
            os.close(self._held.popitem()[1])

    def interpreter(self, version: str) -> str:
        """
        The newest interpreter of a version that pyenv or asdf installed; else the version itself, for uv to find.

        The version has two parts, or three for that release alone. Their shims work only in folders that pin a version.
        """
        minor, exact = ".".join(version.split(".")[:2]), version.count(".") > 1
        for entry in map(Path, self._host.variables.get("PATH", "").split(os.pathsep)):
            if entry.name == "shims" and entry.is_absolute():
                for folder in (entry.parent / "versions", entry.parent / "installs" / "python"):
                    if interpreters := sorted(
                        folder.glob(f"{version}{'' if exact else '.*'}/bin/python{minor}"), key=_patch_of
                    ):
                        return str(interpreters[-1])
        return version

    def ours(self) -> Path:
        """The interpreter of our own environment with a client of tracking servers, and boto3. Raises ToolFailed."""
        lock = (self._host.ours / "uv.lock").read_bytes()
        folder = self._host.cache / f"registry-{lock_digest(lock)[:16]}"
        if folder not in self._interpreters:
            with self._console.group("environment of the registry client"):
                self._interpreters[folder] = self._sync_ours(folder)
        return self._interpreters[folder]

    def _sync_ours(self, folder: Path) -> Path:
        """Let uv sync it, which locks it; from a mirror it is installed, which must be done beside its place."""
        if not self._uv.mirrored:
            return self._uv.sync_ours(self._host.ours, folder)
        environment = self.at(folder)
        environment.make_once(lambda new: self._uv.sync_ours(self._host.ours, new))
        return environment.python


def _reinstalling(local: tuple[LocalSource, ...], names: Iterable[str], *, anew: bool) -> tuple[str, ...]:
    """The flags with which uv installs local packages and those of some names again; `anew` without its cache."""
    again = dict.fromkeys((*(package.name for package in local), *names))
    flags = (flag for name in again for flag in ("--reinstall-package", name))
    return (*(("--no-cache",) if anew else ()), *flags)


def _patch_of(interpreter: Path) -> int:
    """The patch number in the name of its folder; -1 for a pre-release."""
    digits = re.fullmatch(r"\d+\.\d+\.(\d+)", interpreter.parents[1].name)
    return int(digits[1]) if digits else -1
