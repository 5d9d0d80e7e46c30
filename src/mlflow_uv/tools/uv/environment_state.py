"""Finds packages of an environment whose files are not those that uv installed."""

import os
import re
import shutil
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from pathlib import Path, PurePosixPath
from types import MappingProxyType
from typing import Any, Protocol

from ...command.errors import ToolFailed
from ...command.report import first_names
from ...core.release.digests import canonical, sha256
from ...core.security.documents import parse_json
from ...payloads.messages.lazy_dataclass import lazy_dataclass
from ..layers.recorded_packages import RecordedPackage, has_recorded_content, packages_in, unfit, unowned
from ..project.files import write_atomically
from ..system.content import open_file
from ..system.threads import side_by_side
from .environment_folder import STATE_SUFFIX, file_states

_BYTECODE = "__pycache__"
_VERSION, _FORMAT, _FILES = "format", 2, "files"  # of the kept state; an earlier one may include files of no package
_OF_WHEELS = "unlike-record"  # the files that a wheel has with another content than its RECORD says
# What `uv venv` writes, beside pyvenv.cfg; no package lists it.
_OWN_MODULES = frozenset({"_virtualenv.py", "_virtualenv.pth"})
_OWN_PROGRAMS = re.compile(r"activate(_this)?(\.\w+)?|deactivate\.bat|pydoc\.bat|(python|pypy|graalpy)[\d.]*")
_CACHED = b"/uv_cache.json,"
_AT_ONCE = 500  # files that a thread compares before it takes the next ones


class Sync(Protocol):
    """Lets uv sync an environment, and install packages of these names again; `anew` from their index."""

    def __call__(self, names: Iterable[str], *, anew: bool) -> Path:
        """Return its interpreter. Raises BadInput, ToolFailed."""


@lazy_dataclass
class ForeignContent:
    """A file whose content does not match the RECORD of its package, by its path in the environment."""

    package: str
    path: str


@lazy_dataclass
class Differences:
    """
    What differs from the state that was kept: the packages that have a changed, new or lost file, by name.

    `known` is false if no state was kept. `beyond` names what belongs to no package, such as a module that nobody
    installed: installing packages again does not repair it.
    """

    known: bool
    packages: tuple[str, ...] = ()
    beyond: tuple[str, ...] = ()


@lazy_dataclass
class EnvironmentState:
    """
    Paths, sizes and times of the files in an environment, kept beside it when uv has synced it.

    No file is read for that, so that it takes a moment also for ten thousand files. The content is compared with the
    RECORDs of the packages by `foreign_content`, which reads all of it.
    """

    folder: Path

    @property
    def file(self) -> Path:
        """Where the state is kept."""
        return self.folder.with_name(f"{self.folder.name}{STATE_SUFFIX}")

    def synced(self, sync: Sync, *, say: Callable[[str], None]) -> Path:
        """
        Sync the environment in its place, and install again what changed since the last time; return its interpreter.

        uv compares names and versions alone. An environment with a file of no package is made again, and one without a
        kept state, since nothing says which files it had. Files of an environment may be those of uv's cache, so
        that whoever edits one edits both: what does not match its RECORD is installed again from its index. Raises
        ToolFailed if the content is another one then. If it is the same, the RECORD of the wheel is wrong. What uv
        installs is compared once with its RECORD, since somebody may have edited it in uv's cache before.
        """
        existed = self.folder.is_dir()
        differences = self.differences() if existed else Differences(known=False)
        suspects: tuple[str, ...] | None = differences.packages if existed else None
        before = installed_records(self.folder)
        if existed and (differences.beyond or not differences.known):
            reason = (
                f"{first_names(differences.beyond)} changed" if differences.known else "its files were not recorded"
            )
            self._remove(reason, say)
            suspects = None
        elif differences.packages:
            say(f"files of {first_names(differences.packages)} changed in the environment: installed again")
        times = self._folder_times()
        python = sync(differences.packages if suspects else (), anew=False)
        if differences == Differences(known=True) and times == self._folder_times():
            return python  # nothing was installed or removed, which adds or removes a folder with metadata
        if strays := unlisted_files(self.folder):
            self._remove(f"no package has {first_names(strays)}", say)
            suspects, python = None, sync((), anew=False)
        foreign = self.foreign(None if suspects is None else (*suspects, *self._installed_since(before)))
        same = self.as_in_wheels(foreign, sync, say=say) if foreign else {}
        for file in foreign:
            if file.path not in same:
                raise unfit(file.package, file.path, "its content does not match its RECORD")
        self.keep(same)
        return python

    def foreign(self, names: Collection[str] | None = None) -> tuple[ForeignContent, ...]:
        """The same as `foreign_content`, without files that their wheel has with this content."""
        of_wheels = self._of_wheels()
        found = foreign_content(self.folder, names)
        return tuple(file for file in found if of_wheels.get(file.path) != _digest(self.folder / file.path))

    def as_in_wheels(
        self, foreign: tuple[ForeignContent, ...], sync: Sync, *, say: Callable[[str], None]
    ) -> dict[str, str]:
        """
        Install packages from their index, without uv's cache; return the digests of the files that are as before.

        uv compares each wheel with its hash in the lock: of these files it is the RECORD in the wheel that is wrong.
        None are returned if the index does not answer.
        """
        before = {file.path: _digest(self.folder / file.path) for file in foreign}
        packages = {file.path: file.package for file in foreign}
        try:
            sync(tuple(dict.fromkeys(packages.values())), anew=True)
        except ToolFailed:
            return {}
        same = {path: digest for path, digest in before.items() if digest and digest == _digest(self.folder / path)}
        for path in same:
            say(f"warning: `{path}` is as in the wheel of `{packages[path]}`, whose RECORD has another digest of it")
        return same

    def _installed_since(self, before: Mapping[str, str]) -> tuple[str, ...]:
        """The names of the packages whose RECORD is new or another one."""
        folders = {folder for folder, digest in installed_records(self.folder).items() if before.get(folder) != digest}
        return tuple(package.name for package in packages_in(self.folder) if package.record.parent.name in folders)

    def _remove(self, reason: str, say: Callable[[str], None]) -> None:
        say(f"the environment is made again: {reason}")
        shutil.rmtree(self.folder)

    def _folder_times(self) -> tuple[int, ...]:
        folders = (*self.folder.glob("lib/python*/site-packages"), self.folder / "bin", self.folder / "pyvenv.cfg")
        return tuple(folder.stat().st_mtime_ns for folder in folders if folder.exists())

    def keep(self, of_wheels: Mapping[str, str] = MappingProxyType({})) -> None:
        """
        Keep the state of now, and the digests of files that wheels have with another content than their RECORD says.

        Raises ToolFailed.
        """
        state = {_VERSION: _FORMAT, _FILES: file_states(self.folder), _OF_WHEELS: dict(of_wheels)}
        write_atomically(self.file, canonical(state))

    def discard(self) -> None:
        """Let the next sync make the environment again: its files are known to differ."""
        self.file.unlink(missing_ok=True)

    def differences(self) -> Differences:
        """Compare the environment, which exists, with the kept state."""
        before = self._kept(_FILES)
        if before is None:
            return Differences(known=False)
        now = file_states(self.folder)
        changed = sorted(entry for entry in {*before, *now} if before.get(entry) != now.get(entry))
        if not changed:
            return Differences(known=True)
        owners = _owners(self.folder)
        return Differences(
            known=True,
            packages=tuple(sorted({name for entry in changed for name in owners.get(entry, ())})),
            beyond=tuple(entry for entry in changed if entry not in owners),
        )

    def _of_wheels(self) -> dict[str, str]:
        return {path: str(digest) for path, digest in (self._kept(_OF_WHEELS) or {}).items()}

    def _kept(self, part: str) -> dict[str, Any] | None:
        try:
            kept = parse_json(self.file.read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return None
        found = kept.get(part) if isinstance(kept, dict) and kept.get(_VERSION) == _FORMAT else None
        return found if isinstance(found, dict) else None


def unlisted_files(environment: Path) -> tuple[str, ...]:
    """
    The files of `site-packages` and `bin` that no RECORD lists and `uv venv` does not write, such as a stray module.

    Bytecode in `__pycache__` is left out, which Python writes. Raises ToolFailed for a RECORD that cannot be read.
    """
    paths = unowned(environment, packages_in(environment))
    return tuple(sorted(str(path) for path in paths if _is_unlisted(path)))


def _is_unlisted(path: PurePosixPath) -> bool:
    parts = path.parts
    if parts[0] == "bin":
        return len(parts) > 2 or not _OWN_PROGRAMS.fullmatch(path.name)  # noqa: PLR2004  # below bin
    if parts[0] != "lib" or "site-packages" not in parts or _BYTECODE in parts:
        return False
    return not (path.parent.name == "site-packages" and path.name in _OWN_MODULES)


def installed_records(environment: Path) -> dict[str, str]:
    """
    A digest of each RECORD by the name of its folder, which has name and version of the package.

    What uv writes about its cache is left out: it differs between two installations of one folder.
    """
    return {
        record.parent.name: sha256(b"".join(line for line in _content(record).splitlines() if _CACHED not in line))
        for record in sorted(environment.glob("lib/python*/site-packages/*.dist-info/RECORD"))
    }


def _content(file: Path) -> bytes:
    """The content of a file; empty for what is none, such as a pipe."""
    try:
        with open_file(file) as opened:
            return opened.read()
    except OSError:
        return b""


def foreign_content(environment: Path, names: Collection[str] | None = None) -> tuple[ForeignContent, ...]:
    """
    Compare the files of some packages, or of all, with the digests in their RECORDs, on all processors.

    A file that several packages list may be that of any of them. Raises ToolFailed for a RECORD that cannot be read.
    """
    recorded: dict[str, list[tuple[str, str]]] = {}
    for package in packages_in(environment):
        for file in package.files if names is None or package.name in names else ():
            if file.digest and _BYTECODE not in file.path.parts:
                recorded.setdefault(str(file.path), []).append((package.name, file.digest))
    files = list(recorded.items())
    batches = [files[first : first + _AT_ONCE] for first in range(0, len(files), _AT_ONCE)]
    tasks = [lambda batch=batch: tuple(_unlike(environment, batch)) for batch in batches]
    batch_results = side_by_side(tasks, at_once=os.cpu_count() or 1, cancel=lambda: None)
    return tuple(foreign for part in batch_results for foreign in part)


def _unlike(environment: Path, batch: list[tuple[str, list[tuple[str, str]]]]) -> Iterator[ForeignContent]:
    for path, digests in batch:
        if not any(_holds(environment / path, digest) for _, digest in digests):
            yield ForeignContent(package=digests[0][0], path=path)


def _digest(file: Path) -> str:
    """The sha256 of a file; empty if it is missing, or a folder."""
    try:
        with open_file(file) as opened:
            return sha256(opened.read())
    except OSError:
        return ""


def _holds(file: Path, digest: str) -> bool:
    try:
        return has_recorded_content(file, digest)
    except OSError:  # missing, or a folder
        return False


def _owners(environment: Path) -> dict[str, set[str]]:
    """The names of the packages that have files in each entry; none at all if a RECORD cannot be read."""
    owners: dict[str, set[str]] = {}
    try:
        packages: tuple[RecordedPackage, ...] = packages_in(environment)
    except ToolFailed:
        packages = ()
    for package in packages:
        top = len(package.record.parts) - 2
        for file in package.files:
            depth = top if file.path.parts[:top] == package.record.parts[:top] else 1
            owners.setdefault("/".join(file.path.parts[: depth + 1]), set()).add(package.name)
    return owners
