"""Compares every lock of a repository between two commits, from the files that git has of both."""

import posixpath
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from ...command.errors import BadInput
from ...core.lock.closure import Roots, selected_roots
from ...core.lock.lockfile import Lockfile, NotALock, Package, SourceKind, is_lock, read_lockfile
from ...core.lock.selection import Selection
from ...core.lock.targets import Target, parse_target, serving_target
from ...core.lock_difference.changes import ChangeKind, PackageChange, PackageUse, package_changes
from ...core.lock_difference.comparison import LockChange, LockComparison
from ...core.lock_difference.served import compare_target, unknown_usage, usage
from ...core.lock_difference.settings import setting_changes
from ...core.security.size_limits import MANIFEST_LIMIT
from ...core.security.toml_documents import Unparsable, parse_toml
from ...payloads.messages.lazy_dataclass import lazy_dataclass
from ...tools.git.git import Git, unreadable
from ...tools.git.messages import OtherEntry, path_of
from ...tools.project.files import table_of
from ...tools.project.tree import is_excluded

_LOCK = "uv.lock"
_SCRIPT_LOCK = ".py.lock"
_MEMBERS = frozenset({SourceKind.EDITABLE, SourceKind.VIRTUAL, SourceKind.DIRECTORY})
IsYanked = Callable[[Package], bool | None]
VulnerabilitiesOf = Callable[[Sequence[Package]], Mapping[tuple[str, str], tuple[str, ...]]]


@lazy_dataclass
class CommitPair:
    """Two commits of the repository whose root is `top`, of which locks below `folder` are compared."""

    top: Path
    folder: Path
    base: str
    head: str


@lazy_dataclass
class _Side:
    """A lock at one commit, and what it serves; `why` says why that is unknown."""

    lock: Lockfile
    roots: tuple[Roots, ...] = ()
    targets: tuple[str, ...] = ()
    pinned: str = ""
    why: str = ""

    @property
    def use(self) -> Callable[[Package], PackageUse]:
        return usage(self.lock, self.roots) if self.roots else unknown_usage


class CommitComparison:
    """Compares the locks of two commits; `machine` is the architecture of the default target."""

    def __init__(self, git: Git, pair: CommitPair, *, machine: str, targets: tuple[str, ...]) -> None:
        self._git = git
        self._pair = pair
        self._machine = machine
        self._targets = targets
        self._entries: dict[tuple[str, str], bytes | OtherEntry | None] = {}

    def locks(self, exclude: tuple[str, ...]) -> tuple[str, ...]:
        """The paths of all locks that differ, below the folder or of a workspace around it. Raises ToolFailed."""
        before, after = (self._listed(commit) for commit in self._commits)
        differing = {path for path in {*before, *after} if _is_lock(path) and before.get(path) != after.get(path)}
        place = posixpath.normpath(self._pair.folder.relative_to(self._pair.top).as_posix())
        if place == ".":
            place = ""
        prefix = f"{place}/" if place else ""
        below = (path for path in differing if path.startswith(prefix))
        kept = {
            path
            for path in below
            if not is_excluded(path[len(prefix) :].split("/")[:-1], exclude) and self._may_be_lock(path)
        }
        above = differing & {posixpath.join(parent, _LOCK) for parent in _parents(place)}
        return tuple(sorted({*kept, *(path for path in above if self._covers(path, place))}))

    @property
    def _commits(self) -> tuple[str, str]:
        return self._pair.base, self._pair.head

    def moves(self, paths: Sequence[str]) -> dict[str, str]:
        """Of locks that differ, the former path of each that is new and whose project had one elsewhere before."""
        entries = {path: [self._entry(commit, path) for commit in self._commits] for path in paths}
        gone = {path: _project_of(before) for path, (before, after) in entries.items() if after is None}
        added = {path: _project_of(after) for path, (before, after) in entries.items() if before is None}
        former = {}
        for path, project in added.items():
            candidates = [place for place, name in gone.items() if name == project]
            if project and len(candidates) == 1 and list(added.values()).count(project) == 1:
                former[path] = candidates[0]
        return former

    def uncommitted(self) -> tuple[str, ...]:
        """The locks at the head, below the folder, that differ on disk. Raises ToolFailed."""
        ids = self._git.contents_at(self._pair.top, self._pair.head, (self._pair.folder,)) or {}
        committed = {path: blob for path, blob in ids.items() if _is_lock(path)}
        if not committed:
            return ()
        now = self._git.contents(self._pair.top, tuple(path_of(self._pair.top, path) for path in committed))
        return tuple(path for path, blob in committed.items() if now.get(path) != blob)

    def _listed(self, commit: str) -> Mapping[str, str]:
        ids = self._git.contents_at(self._pair.top, commit, (self._pair.top,))
        if ids is None:
            raise unreadable(".", commit, "it has no list of the files")
        return ids

    def _may_be_lock(self, path: str) -> bool:
        """Whether uv may have written a file: other programs write `x.py.lock` too, and neither side is a lock then."""
        return posixpath.basename(path) == _LOCK or any(
            is_lock(entry) for commit in self._commits if isinstance(entry := self._entry(commit, path), bytes)
        )

    def _covers(self, path: str, place: str) -> bool:
        """Whether a lock has a project in a folder, or cannot be read, at one of the commits."""
        for commit in self._commits:
            entry = self._entry(commit, path)
            if isinstance(entry, OtherEntry):
                return True
            try:
                folders = _member_folders(read_lockfile(entry), posixpath.dirname(path)) if entry is not None else ()
            except NotALock:
                return True
            if any(folder == place or folder.startswith(f"{place}/") for folder in folders):
                return True
        return False

    def compare(
        self,
        path: str,
        is_yanked: IsYanked | None,
        *,
        moved_from: str = "",
        vulnerabilities_of: VulnerabilitiesOf | None = None,
    ) -> LockComparison:
        """
        Compare one lock, which may have had another path at the base.

        Raises BadInput for a target that was given and is none, ToolFailed for a lost object.
        """
        paths = (moved_from or path, path)
        data = [self._entry(commit, place) for commit, place in zip(self._commits, paths, strict=True)]
        change = LockChange.ADDED if data[0] is None else LockChange.REMOVED if data[1] is None else LockChange.CHANGED
        sides: list[_Side | None] = []
        for name, commit, place, entry in zip(("base", "head"), self._commits, paths, data, strict=True):
            if isinstance(entry, OtherEntry):
                return _unreadable(path, name, f"it is {entry.value}")
            try:
                sides.append(None if entry is None else self._side(commit, place, entry))
            except NotALock as error:
                return _unreadable(path, name, str(error))
        before, after = sides
        changes = package_changes(
            before.lock if before else None,
            after.lock if after else None,
            used_before=before.use if before else unknown_usage,
            used_after=after.use if after else unknown_usage,
        )
        if is_yanked is not None and after is not None:
            changes = _with_yanked(changes, after.lock, is_yanked)
        if vulnerabilities_of is not None and after is not None:
            changes = _with_vulnerabilities(changes, after.lock, vulnerabilities_of)
        return LockComparison(
            path=path,
            change=change,
            moved_from=moved_from,
            note=next((side.why for side in (after, before) if side is not None), ""),
            packages=changes,
            targets=() if after is None else tuple(self._compared(before, after)),
            settings=setting_changes(before.lock if before else None, after.lock if after else None),
        )

    def _compared(self, before: _Side | None, after: _Side) -> Iterator[Any]:
        if not after.roots:
            return
        old = (before.lock, before.roots) if before is not None and before.roots else None
        for target in self._chosen(after):
            yield compare_target(old, (after.lock, after.roots), target)

    def _chosen(self, side: _Side) -> tuple[Target, ...]:
        if self._targets:
            return tuple(map(parse_target, self._targets))
        try:
            if side.targets:
                return tuple(map(parse_target, side.targets))
            return (serving_target(self._machine, side.lock.requires_python, pinned=side.pinned),)
        except (BadInput, NotALock):
            return ()

    def _side(self, commit: str, path: str, data: bytes) -> _Side:
        lock = read_lockfile(data)
        if path.endswith(_SCRIPT_LOCK):
            return _Side(lock=lock)
        folder = posixpath.dirname(path)
        manifests = {place: self._manifest(commit, place) for place in _member_folders(lock, folder)}
        serving = [manifest for manifest in manifests.values() if "mlflow-uv" in table_of(manifest, "tool")]
        try:
            roots = tuple(_roots(lock, manifest) for manifest in serving) or _default_roots(lock, manifests.get(folder))
            served = _Side(lock=lock, roots=roots)
            usage(lock, roots)
        except (BadInput, NotALock) as error:
            return _Side(lock=lock, why=f"what is served is unknown: {error}")
        names = [name for manifest in serving for name in _names(table_of(manifest, "tool", "mlflow-uv"), "targets")]
        entry = self._entry(commit, posixpath.join(folder, ".python-version"))
        pinned = entry.decode(errors="replace")[:1000] if isinstance(entry, bytes) else ""
        return replace(served, targets=tuple(dict.fromkeys(names)), pinned=pinned)

    def _manifest(self, commit: str, folder: str) -> Mapping[str, Any]:
        """The manifest in a folder at a commit; empty if there is none, or none that can be read."""
        data = self._entry(commit, posixpath.join(folder, "pyproject.toml"))
        try:
            return parse_toml(data, limit=MANIFEST_LIMIT) if isinstance(data, bytes) else {}
        except Unparsable:
            return {}

    def _entry(self, commit: str, path: str) -> bytes | OtherEntry | None:
        key = (commit, path)
        if key not in self._entries:
            self._entries[key] = self._git.committed_file(self._pair.top, commit, path)
        return self._entries[key]


def _project_of(entry: bytes | OtherEntry | None) -> str:
    """The name of the project in a lock's own folder; empty if there is none or the lock cannot be read."""
    try:
        lock = read_lockfile(entry) if isinstance(entry, bytes) else None
    except NotALock:
        return ""
    package = lock.local(".") if lock is not None else None
    return package.name if package is not None else ""


def _is_lock(path: str) -> bool:
    return posixpath.basename(path) == _LOCK or path.endswith(_SCRIPT_LOCK)


def _parents(place: str) -> Iterator[str]:
    """The folders around a folder of the repository, without itself."""
    while place:
        place = posixpath.dirname(place)
        yield place


def _unreadable(path: str, side: str, why: str) -> LockComparison:
    return LockComparison(
        path=path, change=LockChange.UNREADABLE, note=f"the lock of the {side} cannot be compared: {why}"
    )


def _member_folders(lock: Lockfile, folder: str) -> tuple[str, ...]:
    """The folders of the lock's own projects in the repository, the lock's folder first."""
    places = [folder]
    for package in lock.packages:
        if package.source.kind in _MEMBERS:
            place = posixpath.normpath(posixpath.join(folder, package.source.address))
            if not place.startswith(("..", "/")):
                places.append("" if place == "." else place)
    return tuple(dict.fromkeys(places))


def _roots(lock: Lockfile, manifest: Mapping[str, Any]) -> Roots:
    """What a project with settings serves. Raises BadInput, NotALock."""
    settings = table_of(manifest, "tool", "mlflow-uv")
    package = settings.get("package")
    selection = Selection(
        package=package if isinstance(package, str) else None,
        extras=_names(settings, "extras"),
        groups=_names(settings, "groups"),
    )
    return selected_roots(lock, selection, name=_project_name(manifest))


def _default_roots(lock: Lockfile, manifest: Mapping[str, Any] | None) -> tuple[Roots, ...]:
    """What a project without settings would serve: its dependencies without extras and groups."""
    roots = selected_roots(lock, Selection(), name=_project_name(manifest or {}))
    return (roots,) if roots.packages else ()


def _project_name(manifest: Mapping[str, Any]) -> str | None:
    name = table_of(manifest, "project").get("name")
    return name if isinstance(name, str) else None


def _names(table: Mapping[str, Any], key: str) -> tuple[str, ...]:
    """A setting that is a list of names, or one text with separators."""
    match table.get(key):
        case str() as text:
            return tuple(text.replace(",", " ").split())
        case list() as names:
            return tuple(name for name in names if isinstance(name, str))
    return ()


def _with_yanked(changes: Sequence[PackageChange], lock: Lockfile, is_yanked: IsYanked) -> tuple[PackageChange, ...]:
    by_name = lock.by_name
    marked = []
    for change in changes:
        packages = [package for package in by_name.get(change.name, ()) if package.version == change.after]
        withdrawn = change.kind is not ChangeKind.REMOVED and any(map(is_yanked, packages))
        marked.append(replace(change, yanked=withdrawn))
    return tuple(marked)


def _with_vulnerabilities(
    changes: Sequence[PackageChange], lock: Lockfile, vulnerabilities_of: VulnerabilitiesOf
) -> tuple[PackageChange, ...]:
    """The changes with what is known of the new versions; a package whose version stays has no more than before."""
    new = {(change.name, change.after) for change in changes if change.after and change.before != change.after}
    known = vulnerabilities_of([package for package in lock.packages if (package.name, package.version) in new])
    return tuple(replace(change, vulnerabilities=known.get((change.name, change.after), ())) for change in changes)
