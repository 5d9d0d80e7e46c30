"""Reads projects as uv does, and writes files atomically."""

import errno
import os
import shlex
import stat
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import field
from fnmatch import fnmatchcase
from pathlib import Path, PurePath, PurePosixPath
from typing import Any

from ...command.errors import BadInput, BadProject, ToolFailed
from ...command.wording import Wording, local, option
from ...core.security.size_limits import LOCK_LIMIT, MANIFEST_LIMIT
from ...core.security.toml_documents import Unbounded, Unparsable, parse_toml, too_large
from ...payloads.messages.lazy_dataclass import lazy_dataclass

_MOST_LINKS = 40  # Linux follows no more of them on the way of one path


@lazy_dataclass
class Project:
    """A folder with a pyproject.toml, and the folder whose uv.lock covers it (its own, or its workspace's root)."""

    folder: Path
    root: Path
    manifest: Mapping[str, Any] = field(repr=False)

    @property
    def lock(self) -> Path:
        """The path of uv.lock, which may not exist."""
        return self.root / "uv.lock"

    @property
    def name(self) -> str:
        """The project's name; for a virtual workspace root, that of its folder."""
        return str(table_of(self.manifest, "project").get("name") or self.folder.name)

    @property
    def named(self) -> bool:
        """Whether it has a `[project]` table: a virtual workspace root has none."""
        return "project" in self.manifest

    def lock_command(self, where: Path) -> str:
        """The `uv lock` command for this project, to be run in the folder `where`."""
        return "uv lock" if self.root == where else f"uv lock --project {shlex.quote(path_from(where, self.root))}"

    @property
    def settings(self) -> Mapping[str, Any]:
        """`[tool.mlflow-uv]`. Raises BadInput if it is not a table."""
        settings = table_of(self.manifest, "tool").get("mlflow-uv", {})
        if not isinstance(settings, dict):
            raise BadInput(
                what="`mlflow-uv` in [tool] is not a table", why=f"it is {settings!r}", fix="[tool.mlflow-uv]"
            )
        return settings


class NoProject(BadProject):
    """A folder without a pyproject.toml, or none at all; a step that only uses a server does without one."""


class UnreadableProject(BadProject):
    """A manifest or lock that is not TOML, no regular file, or too large, with its path and line (1-based)."""

    path: Path
    bounded: bool = False  # a device, a pipe or too large, so that nothing reads it again

    def __init__(self, *, path: Path, error: Unparsable) -> None:
        bounded = isinstance(error, Unbounded)
        shorter = f"shorten {path.name}" if path.is_file() else f"rm {path.name}"
        super().__init__(
            what=f"`{path}` is {'too large to read' if bounded else 'not TOML'}",
            why=str(error),
            fix=shorter if bounded else f"correct line {error.line} of {path.name}",
        )
        self.path = path
        self.line = error.line
        self.bounded = bounded


def read_manifest(path: Path) -> Mapping[str, Any]:
    """Parse a pyproject.toml. Raises UnreadableProject, or BadProject for a file that cannot be opened."""
    require_bounded(path, MANIFEST_LIMIT)
    try:
        return parse_toml(path.read_bytes(), limit=MANIFEST_LIMIT)
    except OSError as error:
        raise BadProject(what=f"`{path}` cannot be read", why=error.strerror or str(error)) from error
    except Unparsable as error:
        raise UnreadableProject(path=path, error=error) from error


def read_project(folder: Path) -> Project:
    """
    Find the project in a folder and the lock that covers it.

    Raises NoProject for a folder without one, UnreadableProject or another BadProject for one that cannot be read.
    """
    folder = absolute(folder)
    manifest = folder / "pyproject.toml"
    if folder.is_file():
        raise BadProject(
            what=f"`{folder}` is not a folder",
            why="a project is the folder that contains pyproject.toml",
            fix=option("project", str(folder.parent)),
        )
    if not manifest.is_file():
        raise NoProject(
            what=f"`{folder}` is not a project",
            why="it has no pyproject.toml",
            fix=Wording(option("project", "FOLDER"), local(", or `uv init`")),
        )
    data = read_manifest(manifest)
    root = _lock_root(folder, data)
    # uv reads these, too, to their end.
    for name, limit in (("uv.lock", LOCK_LIMIT), ("uv.toml", MANIFEST_LIMIT), (".python-version", MANIFEST_LIMIT)):
        require_bounded(root / name, limit)
    for above in root.parents:
        require_bounded(above / "uv.toml", MANIFEST_LIMIT)
    return Project(folder=folder, root=root, manifest=data)


def require_bounded(path: Path, limit: int) -> None:
    """Raise UnreadableProject for a device, a pipe, or a file of more than `limit` bytes."""
    try:
        status = path.stat()
    except OSError:
        return  # its reader reports the reason
    if stat.S_ISDIR(status.st_mode):
        return
    if not stat.S_ISREG(status.st_mode):
        raise UnreadableProject(path=path, error=Unbounded("it is a device or a pipe, not a file"))
    if status.st_size > limit:
        raise UnreadableProject(path=path, error=too_large(status.st_size, limit))


def absolute(path: str | Path) -> Path:
    """An absolute path without `.` and `..`; unlike with `Path.resolve`, the path of a link stays as it was given."""
    return Path(os.path.abspath(path))  # noqa: PTH100  # `Path.absolute` keeps `..`


def path_from(where: Path, path: PurePath) -> str:
    """A path relative to the folder `where` if it is below it, else the path itself."""
    return str(path.relative_to(where)) if path.is_relative_to(where) else str(path)


def table_of(data: Mapping[str, Any], *names: str) -> Mapping[str, Any]:
    """A table of a manifest by its keys; empty if there is no such table."""
    for name in names:
        table = data.get(name)
        data = table if isinstance(table, dict) else {}
    return data


def _lock_root(folder: Path, data: Mapping[str, Any]) -> Path:
    """The workspace root by uv's rule: the folder itself, else the nearest project above that lists it as a member."""
    if _workspace(data) is not None:
        return folder
    for ancestor in folder.parents:
        manifest = ancestor / "pyproject.toml"
        if not manifest.is_file():
            continue
        workspace = _workspace(read_manifest(manifest)) or {}
        relative = PurePosixPath(folder.relative_to(ancestor).as_posix())
        included = any(_matches(relative, pattern) for pattern in _patterns(workspace, "members"))
        excluded = any(_matches(relative, pattern) for pattern in _patterns(workspace, "exclude"))
        return ancestor if included and not excluded else folder
    return folder


def _workspace(data: Mapping[str, Any]) -> Mapping[str, Any] | None:
    table = table_of(data, "tool", "uv").get("workspace")
    return table if isinstance(table, dict) else None


def _patterns(workspace: Mapping[str, Any], name: str) -> list[str]:
    """Globs of folders below the root; uv rejects any other value."""
    value = workspace.get(name)
    patterns = value if isinstance(value, list) else []
    return [pattern for pattern in patterns if isinstance(pattern, str) and pattern[:1] not in ("", "/")]


def _matches(relative: PurePosixPath, pattern: str) -> bool:
    return _parts_match(relative.parts, PurePosixPath(pattern).parts)


def _parts_match(parts: tuple[str, ...], globs: tuple[str, ...]) -> bool:
    """Match part by part; `**` matches any number of folders, at the end at least one."""
    match globs:
        case ():
            return not parts
        case ("**",):
            return bool(parts)
        case ("**", *rest):
            return any(_parts_match(parts[start:], tuple(rest)) for start in range(len(parts) + 1))
        case (glob, *rest):
            return bool(parts) and fnmatchcase(parts[0], glob) and _parts_match(parts[1:], tuple(rest))
    return False


def members(project: Project, *, holding: bytes = b"") -> tuple[Project, ...]:
    """
    The members of the workspace of which this project is the root, in path order; environments are skipped.

    With `holding`, only members whose manifest contains these bytes, without parsing the others.
    """
    workspace = _workspace(project.manifest) or {}
    folders = {
        path.parent
        for pattern in _patterns(workspace, "members")
        for path in project.root.glob(f"{pattern}/pyproject.toml")
        if not {".venv", "node_modules", ".git"} & set(path.parts)
        and (not holding or (path.is_file() and holding in path.read_bytes()))
    }
    candidates = (read_project(folder) for folder in sorted(folders) if folder != project.root)
    return tuple(member for member in candidates if member.root == project.root)


def repository_of(folder: Path) -> Path | None:
    """The nearest folder with a `.git`, at or above this one; None if there is none."""
    folder = absolute(folder)
    return next((candidate for candidate in (folder, *folder.parents) if (candidate / ".git").exists()), None)


def leads_out(path: Path, base: Path) -> bool:
    """Whether a path resolves to a place outside of a folder, with `..` resolved before or after links."""
    top = os.path.realpath(base)
    reals = (Path(os.path.realpath(path)), Path(os.path.realpath(os.path.normpath(path))))
    return any(not real.is_relative_to(top) for real in reals)


def leads_through(path: Path, base: Path) -> bool:
    """Whether an absolute path, or a link on its way, is in a folder: whoever changes that folder decides its end."""
    top, current, links = Path(os.path.realpath(base)), Path("/"), 0
    pending = [*reversed(path.parts)]
    while pending:
        part = pending.pop()
        # POSIX gives two slashes at the beginning a meaning of their own, which Linux does not.
        current = current.parent if part == ".." else Path("/") if part == "//" else current / part
        if current != top and current.is_relative_to(top):
            return True
        if current.is_symlink() and (links := links + 1) < _MOST_LINKS:
            pending.extend(reversed(current.readlink().parts))
            current = current.parent
    return current == top


def bounds_of(path: Path, project: Path | None = None) -> Path | None:
    """
    The folder that a written file must stay in when links are followed: the project, else the repository.

    None for a file in neither. Links of a checkout are untrusted, even if the caller named the file.
    """
    path = absolute(path)
    if project is not None and path.is_relative_to(project):
        return project
    return repository_of(path.parent)


def target_of(path: Path, within: Path | None) -> Path:
    """The file that a path leads to through its links. Raises BadInput for one that leads out of `within`."""
    target = Path(os.path.realpath(path))
    if within is not None and not target.is_relative_to(os.path.realpath(within)):
        link = _link_out(absolute(path), Path(os.path.realpath(within)))
        raise BadInput(
            what=f"`{path}` is not written",
            why=f"a link leads to {target}, out of `{within}`",
            fix=local(shlex.join(("rm", "--", str(link)))),
        )
    return target


def _link_out(path: Path, top: Path) -> Path:
    """The link on the way to a path, or the path itself, that leads out of a folder."""
    place = Path(path.anchor)
    for part in path.parts[1:]:
        before = Path(os.path.realpath(place))
        place /= part
        if place.is_symlink() and before.is_relative_to(top) and not Path(os.path.realpath(place)).is_relative_to(top):
            return place
    return path


def write_atomically(path: Path, data: bytes, *, within: Path | None = None) -> None:
    """
    Write a file so that a reader, or a crash, sees the old content or the new, never a part.

    A link is kept, and its target written. With `within`, links are followed only below that folder, even if they are
    created meanwhile. Raises BadInput for a link that leads out of it, ToolFailed.
    """
    # Both are resolved once: the path that is checked is the one that is opened.
    top = None if within is None else Path(os.path.realpath(within))
    target = target_of(path, within)
    try:
        if top is None:
            target.parent.mkdir(parents=True, exist_ok=True)
            folder = os.open(target.parent, os.O_RDONLY | os.O_DIRECTORY)
        else:
            folder = _folder_below(top, target.parent)
        try:
            _replace(folder, target.name, data)
        finally:
            os.close(folder)
    except OSError as error:
        raise ToolFailed(what=f"`{path}` cannot be written", why=error.strerror or str(error)) from error


def _folder_below(top: Path, folder: Path) -> int:
    """Open a folder below another one, and create it if it is missing, without following links."""
    flags = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW
    opened = os.open(top, flags)
    for name in folder.relative_to(top).parts:
        try:
            with suppress(FileExistsError):
                os.mkdir(name, dir_fd=opened)
            below = os.open(name, flags, dir_fd=opened)
        finally:
            os.close(opened)
        opened = below
    return opened


def _replace(folder: int, name: str, data: bytes) -> None:
    """Replace a file, or a link that was created meanwhile, atomically."""
    try:
        existing = os.stat(name, dir_fd=folder, follow_symlinks=False).st_mode
        if not (stat.S_ISREG(existing) or stat.S_ISLNK(existing) or stat.S_ISDIR(existing)):
            raise OSError(errno.EINVAL, "it is a device, a pipe or a socket")
        mode = stat.S_IMODE(existing) & 0o777
    except FileNotFoundError:
        mode = 0o666 & ~_umask()
    temporary = f".{name[:200]}.{os.urandom(6).hex()}"
    file = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600, dir_fd=folder)
    try:
        with open(file, "wb") as opened:  # noqa: PTH123  # a descriptor has no path
            opened.write(data)
            opened.flush()
            os.fchmod(opened.fileno(), mode)
        os.replace(temporary, name, src_dir_fd=folder, dst_dir_fd=folder)
    except BaseException:
        os.unlink(temporary, dir_fd=folder)
        raise


def _umask() -> int:
    mask = os.umask(0o022)
    os.umask(mask)
    return mask


def line_of(path: Path, *needles: str) -> int:
    """The line (1-based) that contains the first of the needles that occurs; 1 if none does."""
    try:
        lines = path.read_text(errors="replace").splitlines()
    except OSError:
        return 1
    for needle in needles:
        for number, line in enumerate(lines, start=1):
            if needle in line:
                return number
    return 1


def require_parent(path: Path, fix: str | Wording) -> None:
    """Raise BadInput, with a fix, for a path below something that is no folder, or in a folder that is not writable."""
    parent = next(parent for parent in absolute(path).parents if os.path.lexists(parent))
    if not parent.is_dir() or not os.access(parent, os.W_OK | os.X_OK):
        why = f"`{parent}` is {'not writable' if parent.is_dir() else 'no folder'}"
        raise BadInput(what=f"`{path}` cannot be written", why=why, fix=fix)
