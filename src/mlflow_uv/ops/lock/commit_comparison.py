"""Compares every lock of a repository between two commits, from the files that git has of both."""

import posixpath
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from ...command.errors import BadInput
from ...core.lock.closure import Roots, selected_roots
from ...core.lock.lockfile import Lockfile, NotALock, Package, SourceKind, read_lockfile
from ...core.lock.selection import Selection
from ...core.lock.targets import Target, parse_target, serving_target
from ...core.lock_difference.changes import ChangeKind, PackageChange, PackageUse, package_changes
from ...core.lock_difference.comparison import LockChange, LockComparison
from ...core.lock_difference.served import compare_target, unknown_usage, usage
from ...core.security.size_limits import MANIFEST_LIMIT
from ...core.security.toml_documents import Unparsable, parse_toml
from ...tools.git.git import Git
from ...tools.project.files import table_of
from ...tools.project.tree import is_excluded

_SCRIPT_LOCK = ".py.lock"
_MEMBERS = frozenset({SourceKind.EDITABLE, SourceKind.VIRTUAL, SourceKind.DIRECTORY})
IsYanked = Callable[[Package], bool | None]


@dataclass(frozen=True, kw_only=True, slots=True)
class CommitPair:
    """Two commits of the repository whose root is `top`, of which locks below `folder` are compared."""

    top: Path
    folder: Path
    base: str
    head: str


@dataclass(frozen=True, kw_only=True, slots=True)
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
        self._blobs: dict[tuple[str, str], bytes | None] = {}

    def locks(self, exclude: tuple[str, ...]) -> tuple[str, ...] | None:
        """The paths of all locks that differ; None if git lacks a commit. Raises ToolFailed."""
        sides = []
        for commit in (self._pair.base, self._pair.head):
            ids = self._git.contents_at(self._pair.top, commit, (self._pair.folder,))
            if ids is None:
                return None
            sides.append(ids)
        before, after = sides
        prefix = len(self._pair.folder.relative_to(self._pair.top).parts)
        return tuple(
            path
            for path in sorted({*before, *after})
            if (posixpath.basename(path) == "uv.lock" or path.endswith(_SCRIPT_LOCK))
            and before.get(path) != after.get(path)
            and not is_excluded(path.split("/")[prefix:-1], exclude)
        )

    def compare(self, path: str, is_yanked: IsYanked | None) -> LockComparison:
        """Compare one lock. Raises BadInput for a target that was given and is none."""
        data = [self._blob(commit, path) for commit in (self._pair.base, self._pair.head)]
        change = LockChange.ADDED if data[0] is None else LockChange.REMOVED if data[1] is None else LockChange.CHANGED
        try:
            before, after = (
                None if blob is None else self._side(commit, path, blob)
                for commit, blob in zip((self._pair.base, self._pair.head), data, strict=True)
            )
        except NotALock as error:
            return LockComparison(path=path, change=LockChange.UNREADABLE, note=f"the lock cannot be read: {error}")
        changes = package_changes(
            before.lock if before else None,
            after.lock if after else None,
            used_before=before.use if before else unknown_usage,
            used_after=after.use if after else unknown_usage,
        )
        if is_yanked is not None and after is not None:
            changes = _with_yanked(changes, after.lock, is_yanked)
        return LockComparison(
            path=path,
            change=change,
            note=next((side.why for side in (after, before) if side is not None), ""),
            packages=changes,
            targets=() if after is None else tuple(self._compared(before, after)),
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
        pinned = self._blob(commit, posixpath.join(folder, ".python-version")) or b""
        return replace(served, targets=tuple(dict.fromkeys(names)), pinned=pinned.decode(errors="replace")[:1000])

    def _manifest(self, commit: str, folder: str) -> Mapping[str, Any]:
        """The manifest in a folder at a commit; empty if there is none, or none that can be read."""
        data = self._blob(commit, posixpath.join(folder, "pyproject.toml"))
        try:
            return parse_toml(data, limit=MANIFEST_LIMIT) if data is not None else {}
        except Unparsable:
            return {}

    def _blob(self, commit: str, path: str) -> bytes | None:
        key = (commit, path)
        if key not in self._blobs:
            self._blobs[key] = self._git.blob(self._pair.top, commit, path)
        return self._blobs[key]


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
