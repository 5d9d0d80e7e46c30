"""
Prevents a checkout from choosing the program that uv starts, where it writes, and who gets an index's password.

uv trusts the project that it is started in. docs/threat-model.md lists the settings that are ignored here, and those
that are not.
"""

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import field
from pathlib import Path
from typing import Any

from ...command.errors import BadInput, BadProject, sentence
from ...command.lazy_pattern import lazy_pattern
from ...core.lock.toml_lines import key_lines, line_at
from ...core.security.origins import origin_of
from ...payloads.messages.lazy_dataclass import lazy_dataclass
from ..project.files import Project, UnreadableProject, members, read_manifest, repository_of, table_of
from .lock_check import IGNORED_SETTINGS, NO_ENVIRONMENT, TRUSTED_INDEXES

_NO_PYTHONS = Path(__file__).with_name("no-pythons.json")
_VERSION_FILES = (".python-version", ".python-versions")
# A request for a Python that uv never takes for a path, whatever the checkout contains. A contract test covers it.
_VERSION = lazy_pattern(
    r"(?:(?:cpython|pypy|graalpy|pyodide|cp|pp|gp)[-@]?)?[0-9<>=!~^][\w.+<>=!~^,* -]*|cpython|pypy|graalpy|any"
)


@lazy_dataclass
class IgnoredSetting:
    """A setting of the checkout that uv does not get, and why; `fix` is how the job can set it."""

    file: Path
    line: int
    what: str
    why: str
    fix: str


class NamesProgram(UnreadableProject):
    """A `.python-version` that names a program of the checkout instead of a version."""

    def __init__(self, *, path: Path, line: int, text: str) -> None:
        BadProject.__init__(
            self,
            what=f"`{path.name}` does not name a version of Python",
            why=f"it says `{text}`, and uv would run the file of that name",
            fix=f"write a version there, such as `3.12`, into line {line}",
        )
        self.path = path
        self.line = line


@lazy_dataclass
class UvGuard:
    """
    Limits what a checkout may configure in uv; `variables` are the caller's.

    `tracked` returns whether git tracks a path, `tell` prints a line.
    """

    variables: Mapping[str, str] = field(repr=False)
    tracked: Callable[[Path], bool] = lambda _path: False
    tell: Callable[[str], None] = lambda _line: None
    _reported: set[str] = field(default_factory=set)

    def guarded(self, project: Project, kept: Mapping[str, str]) -> dict[str, str]:
        """The variables for uv in a project: those in `kept`, with overrides for ignored settings."""
        overruled = {
            variable: self._replacement(variable)
            for _, _, key in self._ignored_keys(project)
            for variable, _ in (IGNORED_SETTINGS[key],)
        }
        withheld = frozenset(name for name, _, _ in self._withheld(project))
        return {name: value for name, value in kept.items() if name not in withheld} | overruled

    def environment_override(self, project: Project) -> Mapping[str, str]:
        """Variables that keep uv from a `.venv` that git tracks, because uv would run its Python."""
        return NO_ENVIRONMENT if self.brings_environment(project.root) else {}

    def brings_environment(self, folder: Path) -> bool:
        """Whether git tracks a `.venv` in a folder or above it, up to the root of the repository."""
        return any(self.tracked(above / ".venv") for above in _up_from(folder) if (above / ".venv").exists())

    def require_version(self, folder: Path) -> None:
        """Raise NamesProgram if a `.python-version` in a folder or above it names a program instead of a version."""
        for above in _up_from(folder):
            for file in (above / name for name in _VERSION_FILES):
                if file.is_file():
                    _require_version(file, folder)

    def ignored_settings(self, project: Project) -> tuple[IgnoredSetting, ...]:
        """The settings of the checkout that are ignored, and the credentials that are withheld."""
        ignored = [
            IgnoredSetting(
                file=file,
                line=line,
                what=f"`{key}` is ignored",
                why=f"{IGNORED_SETTINGS[key][1]}, which a checkout may not decide",
                fix=f"set {IGNORED_SETTINGS[key][0]} in the job",
            )
            for file, line, key in self._ignored_keys(project)
        ]
        for name, file, line in self._withheld(project):
            why = f"{TRUSTED_INDEXES} does not list the index that would receive it"
            fix = f"add its address to {TRUSTED_INDEXES}"
            ignored.append(IgnoredSetting(file=file, line=line, what=f"`{name}` is not passed to uv", why=why, fix=fix))
        return tuple(ignored)

    def report(self, project: Project) -> None:
        """Print the ignored settings, each once; for steps that have no findings for them."""
        lines = {sentence(setting.what, setting.why, setting.fix) for setting in self.ignored_settings(project)}
        for line in sorted(lines - self._reported):
            self.tell(line)
        self._reported.update(lines)

    # settings

    def _replacement(self, variable: str) -> str:
        if variable == "UV_PYTHON_DOWNLOADS_JSON_URL":
            return str(_NO_PYTHONS)
        home = self.variables.get("XDG_CACHE_HOME") or f"{self.variables.get('HOME', '')}/.cache"
        return f"{home}/uv"  # uv's own default

    def _ignored_keys(self, project: Project) -> Iterator[tuple[Path, int, str]]:
        for file, path, table in _tables(project, *map(str.encode, IGNORED_SETTINGS)):
            for key, (variable, _) in IGNORED_SETTINGS.items():
                if key in table and not self.variables.get(variable):
                    yield file, _line(file, (*path, key)), key

    # credentials of indexes

    def _withheld(self, project: Project) -> Iterator[tuple[str, Path, int]]:
        """The variables with an index's credentials that are withheld, and the place where that index is declared."""
        trusted = self.variables.get(TRUSTED_INDEXES)
        if not trusted:
            return
        origins = frozenset(_origins(trusted))
        credentials = _credentials(self.variables)
        if not credentials:
            return
        places: dict[str, tuple[Path, int]] = {}
        declared = set()
        for name, url, file, line in _indexes(project):
            declared.add(name)
            if origin_of(url) not in origins:
                places.setdefault(name, (file, line))
        own = _named(self.variables.get("UV_INDEX", ""))
        for variable, index in sorted(credentials.items()):
            if index in places:
                yield variable, *places[index]
            elif index not in declared and index not in own:
                yield variable, project.root / "pyproject.toml", 1

    def with_indexes(self, kept: Mapping[str, str], indexes: Mapping[str, str]) -> dict[str, str]:
        """Variables for a model's indexes, without credentials for indexes that MLFLOW_UV_TRUSTED_INDEXES lacks."""
        trusted = self.variables.get(TRUSTED_INDEXES)
        if not trusted:
            return {**kept, **indexes}
        origins = frozenset(_origins(trusted))
        others = _named(indexes.get("UV_INDEX", ""))
        listed = {name for name, url in others.items() if origin_of(url) in origins}
        allowed = listed | (_named(self.variables.get("UV_INDEX", "")).keys() - (others.keys() - listed))
        withheld = {variable for variable, index in _credentials(kept).items() if index not in allowed}
        return {**{name: value for name, value in kept.items() if name not in withheld}, **indexes}


def _credentials(variables: Mapping[str, str]) -> dict[str, str]:
    """The variables with the user or password of an index, and the index name in each of them."""
    matches = {name: re.fullmatch(r"UV_INDEX_(.+)_(?:USERNAME|PASSWORD)", name) for name in variables}
    return {name: match[1] for name, match in matches.items() if match}


def _named(words: str) -> dict[str, str]:
    """The addresses of named indexes in a value of UV_INDEX, by the name as it appears in variables."""
    pairs = (word.partition("=") for word in words.split())
    return {_variable_name(name): url for name, equals, url in pairs if equals and "/" not in name}


def _variable_name(name: str) -> str:
    """An index's name as uv writes it in a variable."""
    return re.sub(r"[^A-Z0-9]", "_", name.upper())


def _origins(listed: str) -> Iterator[str]:
    for word in listed.replace(",", " ").split():
        origin = origin_of(word)
        if origin is None:
            raise BadInput(
                what=f"{TRUSTED_INDEXES} holds `{word}`",
                why="it is not the address of an index",
                fix=f"{TRUSTED_INDEXES}=https://HOST, several separated by spaces",
            )
        yield origin


def _indexes(project: Project) -> Iterator[tuple[str, str, Path, int]]:
    """The named indexes of the checkout, with the line of each address."""
    top = project if project.folder == project.root else _project_at(project.root)
    projects = (top, *members(top), project)
    for file, path, table in (table for member in projects for table in _tables(member, b"index")):
        indexes = table.get("index")
        for position, index in enumerate(indexes if isinstance(indexes, list) else []):
            if isinstance(index, dict) and index.get("name"):
                line = _line(file, (*path, "index", position, "url"))
                yield _variable_name(str(index["name"])), str(index.get("url", "")), file, line


def _project_at(folder: Path) -> Project:
    return Project(folder=folder, root=folder, manifest=read_manifest(folder / "pyproject.toml"))


# files


def _up_from(folder: Path) -> Iterable[Path]:
    """A folder and those above it, up to the root of the repository."""
    top = repository_of(folder)
    above = (folder, *folder.parents)
    return above[: above.index(top) + 1] if top is not None else (folder,)


def _tables(project: Project, *words: bytes) -> Iterator[tuple[Path, tuple[str, ...], Mapping[str, Any]]]:
    """The tables of uv settings in the checkout, in files that contain one of these words."""
    places: tuple[tuple[str, tuple[str, ...]], ...] = (("uv.toml", ()), ("pyproject.toml", ("tool", "uv")))
    for folder in dict.fromkeys((*_up_from(project.folder), *_up_from(project.root))):
        for name, path in places:
            file = folder / name
            # Most files contain none of them; a key with escapes may be written in other bytes.
            if file.is_file() and any(word in file.read_bytes() for word in (*words, b"\\")):
                yield file, path, table_of(read_manifest(file), *path)


def _line(file: Path, path: tuple[str | int, ...]) -> int:
    return line_at(key_lines(file.read_text(encoding="utf-8", errors="replace")), path)


def _require_version(file: Path, folder: Path) -> None:
    for number, line in enumerate(file.read_text(encoding="utf-8-sig", errors="replace").splitlines(), start=1):
        text = line.partition("#")[0].strip()
        if not text or _VERSION.fullmatch(text):
            continue
        # A name is that of a program on PATH, unless a file or folder here has the same name.
        if re.search(r"[/\\]", text) or any((place / text).exists() for place in (folder, file.parent)):
            raise NamesProgram(path=file, line=number, text=text)
