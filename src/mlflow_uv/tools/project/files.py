"""Reads projects as uv does, and writes files atomically."""

import os
import shlex
import stat
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from pathlib import Path, PurePosixPath
from typing import Any

from ...command.errors import BadInput, BadProject, ToolFailed
from ...command.wording import Wording, local, option
from ...core.security.documents import LOCK_LIMIT, MANIFEST_LIMIT, Unbounded, Unparsable, parse_toml, too_large


@dataclass(frozen=True, kw_only=True, slots=True)
class Project:
    """A folder with a pyproject.toml, and the folder whose uv.lock covers it (its own, or its workspace's root)."""

    folder: Path
    root: Path
    manifest: Mapping[str, Any] = field(repr=False)

    @property
    def lock(self) -> Path:
        """Where uv.lock is, or would be."""
        return self.root / "uv.lock"

    @property
    def name(self) -> str:
        """The project's name; a virtual workspace root goes by its folder's."""
        return str(table_of(self.manifest, "project").get("name") or self.folder.name)

    @property
    def named(self) -> bool:
        """Whether it has a `[project]` table: a virtual workspace root has none."""
        return "project" in self.manifest

    def lock_command(self, where: Path) -> str:
        """`uv lock` for this project, as it is called in another folder."""
        return "uv lock" if self.root == where else f"uv lock --project {shlex.quote(seen_from(where, self.root))}"

    @property
    def settings(self) -> Mapping[str, Any]:
        """`[tool.mlflow-uv]`. Raises BadInput where it is something else than a table."""
        found = table_of(self.manifest, "tool").get("mlflow-uv", {})
        if not isinstance(found, dict):
            raise BadInput(what="`mlflow-uv` in [tool] is not a table", why=f"it is {found!r}", fix="[tool.mlflow-uv]")
        return found


class UnreadableProject(BadProject):
    """A manifest or lock that is not TOML, no file, or too much of it: its path, and the 1-based line where that is."""

    path: Path
    bounded: bool = False  # it has no end, or a far one: nobody reads it to say more

    def __init__(self, *, path: Path, error: Unparsable) -> None:
        bounded = isinstance(error, Unbounded)
        shorter = f"shorten {path.name}" if path.is_file() else f"rm {path.name}"
        super().__init__(
            what=f"`{path}` is {'more than is read' if bounded else 'not TOML'}",
            why=str(error),
            fix=shorter if bounded else f"correct line {error.line} of {path.name}",
        )
        self.path = path
        self.line = error.line
        self.bounded = bounded


def read_manifest(path: Path) -> Mapping[str, Any]:
    """Parse a pyproject.toml. Raises Unreadable, or BadProject where there is nothing to read."""
    require_bounded(path, MANIFEST_LIMIT)
    try:
        return parse_toml(path.read_bytes(), limit=MANIFEST_LIMIT)
    except OSError as error:
        raise BadProject(what=f"`{path}` cannot be read", why=error.strerror or str(error)) from error
    except Unparsable as error:
        raise UnreadableProject(path=path, error=error) from error


def read_project(folder: Path) -> Project:
    """Find the project in a folder and the lock that covers it. Raises BadProject."""
    folder = Path(os.path.abspath(folder))  # noqa: PTH100  # a link stays the path the caller gave
    manifest = folder / "pyproject.toml"
    if not manifest.is_file():
        raise BadProject(
            what=f"`{folder}` is not a project",
            why="it has no pyproject.toml",
            fix=Wording(option("project", "FOLDER"), local(", or `uv init`")),
        )
    data = read_manifest(manifest)
    root = _lock_root(folder, data)
    # uv reads these, too, and ends no sooner than they do.
    for name, limit in (("uv.lock", LOCK_LIMIT), ("uv.toml", MANIFEST_LIMIT), (".python-version", MANIFEST_LIMIT)):
        require_bounded(root / name, limit)
    for above in root.parents:
        require_bounded(above / "uv.toml", MANIFEST_LIMIT)
    return Project(folder=folder, root=root, manifest=data)


def require_bounded(path: Path, limit: int) -> None:
    """Raises Unreadable for what has no end: a link to a device, a pipe, a file that is larger than what is read."""
    try:
        status = path.stat()
    except OSError:
        return  # whoever reads it says why it cannot be
    if stat.S_ISDIR(status.st_mode):
        return
    if not stat.S_ISREG(status.st_mode):
        raise UnreadableProject(path=path, error=Unbounded("it is a device or a pipe, not a file"))
    if status.st_size > limit:
        raise UnreadableProject(path=path, error=too_large(status.st_size, limit))


def seen_from(where: Path, path: Path) -> str:
    """A path as it is called in a folder: relative if it is below, else in full."""
    return str(path.relative_to(where)) if path.is_relative_to(where) else str(path)


def table_of(data: Mapping[str, Any], *names: str) -> Mapping[str, Any]:
    """A table of a manifest, by the names that lead to it; empty where there is none, or something else."""
    for name in names:
        found = data.get(name)
        data = found if isinstance(found, dict) else {}
    return data


def _lock_root(folder: Path, data: Mapping[str, Any]) -> Path:
    """The rule of uv: the folder's own workspace, else that of the nearest project above, if it lists it."""
    if _workspace(data) is not None:
        return folder
    for ancestor in folder.parents:
        manifest = ancestor / "pyproject.toml"
        if not manifest.is_file():
            continue
        workspace = _workspace(read_manifest(manifest)) or {}
        relative = PurePosixPath(folder.relative_to(ancestor).as_posix())
        listed = any(_matches(relative, pattern) for pattern in _patterns(workspace, "members"))
        barred = any(_matches(relative, pattern) for pattern in _patterns(workspace, "exclude"))
        return ancestor if listed and not barred else folder
    return folder


def _workspace(data: Mapping[str, Any]) -> Mapping[str, Any] | None:
    table = table_of(data, "tool", "uv").get("workspace")
    return table if isinstance(table, dict) else None


def _patterns(workspace: Mapping[str, Any], name: str) -> list[str]:
    """Globs of folders below the root; what else may stand there is uv's to refuse."""
    found = workspace.get(name)
    patterns = found if isinstance(found, list) else []
    return [one for one in patterns if isinstance(one, str) and one[:1] not in ("", "/")]


def _matches(relative: PurePosixPath, pattern: str) -> bool:
    return _parts_match(relative.parts, PurePosixPath(pattern).parts)


def _parts_match(parts: tuple[str, ...], globs: tuple[str, ...]) -> bool:
    """Part by part; `**` stands for any number of folders, at the end for one at least."""
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
    The members of the workspace whose root this project is, in path order; vendored environments are not entered.

    Of many, those whose manifest holds certain bytes are found without reading the others as TOML.
    """
    workspace = _workspace(project.manifest) or {}
    found = {
        path.parent
        for pattern in _patterns(workspace, "members")
        for path in project.root.glob(f"{pattern}/pyproject.toml")
        if not {".venv", "node_modules", ".git"} & set(path.parts)
        and (not holding or (path.is_file() and holding in path.read_bytes()))
    }
    candidates = (read_project(folder) for folder in sorted(found) if folder != project.root)
    return tuple(member for member in candidates if member.root == project.root)


def repository_of(folder: Path) -> Path | None:
    """The nearest folder, this one or above, that holds a `.git`; None where there is none."""
    folder = Path(os.path.abspath(folder))  # noqa: PTH100  # a link stays the path the caller gave
    return next((one for one in (folder, *folder.parents) if (one / ".git").exists()), None)


def leads_out(path: Path, base: Path) -> bool:
    """Whether a path, its links followed, is anywhere else than below a folder; both ways to read `..` must be."""
    top = os.path.realpath(base)
    reals = (Path(os.path.realpath(path)), Path(os.path.realpath(os.path.normpath(path))))
    return any(not real.is_relative_to(top) for real in reals)


def bounds_of(path: Path, project: Path | None = None) -> Path | None:
    """
    The folder that no link may lead a file out of that is written there: the project, else the repository it lies in.

    None where it lies in neither. The links of a checkout are somebody else's, whoever names the file.
    """
    path = Path(os.path.abspath(path))  # noqa: PTH100  # a link stays the path the caller gave
    if project is not None and path.is_relative_to(project):
        return project
    return repository_of(path.parent)


def write_whole(path: Path, data: bytes, *, within: Path | None = None) -> None:
    """
    Write so that a reader, or a crash, sees the old file or the new one, never a part.

    A link keeps being a link; with `within` it is followed below that folder alone, also where somebody puts it there
    meanwhile. Raises BadInput for a link that leads out, ToolFailed.
    """
    # Both are looked up once: what is checked is what is opened.
    target = Path(os.path.realpath(path))
    top = None if within is None else Path(os.path.realpath(within))
    if top is not None and not target.is_relative_to(top):
        raise BadInput(
            what=f"`{path}` is not written",
            why=f"it is {target}, because a link leads out of `{within}`",
            fix="remove the link, or name the file that it leads to",
        )
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
    """Open a folder below another, made where it does not exist, without following a link."""
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
    """Put a file, or the link that is there by now, out of its place at once."""
    try:
        mode = stat.S_IMODE(os.stat(name, dir_fd=folder, follow_symlinks=False).st_mode) & 0o777
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
    """The 1-based line that first contains one of the needles, in their order; 1 where none does."""
    try:
        lines = path.read_text(errors="replace").splitlines()
    except OSError:
        return 1
    for needle in needles:
        for number, line in enumerate(lines, start=1):
            if needle in line:
                return number
    return 1
