"""What a training depends on: the parts of the release key, and what differs between those of two releases."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from itertools import product
from typing import Any

from ..security.documents import MANIFEST_LIMIT, Unparsable, parse_json, parse_toml
from .digests import canonical, sha256

MANIFEST = "pyproject.toml"
# Files that people read, and that no training does unless `!NAME` in `not-inputs` says so. All at a folder's top: what
# lies deeper may be a prompt or a corpus.
_READ_BY_PEOPLE = (
    "README", "CHANGELOG", "CHANGES", "HISTORY", "NEWS", "CONTRIBUTING", "CODE_OF_CONDUCT", "SECURITY", "LICENSE",
    "LICENCE", "COPYING", "NOTICE", "AUTHORS", "CODEOWNERS", "CITATION",
)  # fmt: skip
DOCUMENTATION = (
    *(f"/{name}{suffix}" for name, suffix in product(_READ_BY_PEOPLE, ("", ".md", ".rst", ".txt", ".cff"))),
    "/docs/", "/mkdocs.yml", "/.readthedocs.y*ml", "/.github/", "/.gitlab/", "/.gitlab-ci.yml", "/.gitignore",
    "/.gitattributes", "/.editorconfig", "/.pre-commit-config.yaml", "/.vscode/", "/.idea/", "/.devcontainer/",
)  # fmt: skip
# Tables of a manifest about programs that look at code and do not run it, and our own, whose settings are parts of the
# key one by one.
_OF_NO_TRAINING = frozenset({
    "mlflow-uv", "ruff", "black", "isort", "flake8", "pylint", "mypy", "pyright", "basedpyright", "pytest", "coverage",
    "tox", "nox", "bumpversion", "commitizen", "codespell",
})  # fmt: skip
_SHORT = 12
_NAMED = 3
_OLDER = "the release before recorded no inputs"


@dataclass(frozen=True, kw_only=True, slots=True)
class TrainingInputs:
    """
    Everything that the model depends on.

    `files` are the ids of the files by their paths, `parts` the digests of everything else by what a person calls it.
    """

    files: Mapping[str, str] = field(repr=False)
    parts: Mapping[str, str]

    @property
    def key(self) -> str:
        """The release key: two releases with the same one are the same."""
        return sha256(canonical(dict(self._all)))

    @property
    def tag(self) -> str:
        """A short form that goes with the model, so that a later release can say what differs."""
        return canonical({name: digest[:_SHORT] for name, digest in self._all}).decode()

    @property
    def _all(self) -> tuple[tuple[str, str], ...]:
        return ("files", sha256(canonical(dict(self.files)))), *self.parts.items()

    def changed_parts(self, tag: str) -> tuple[str, ...]:
        """What differs from the inputs of which a release kept the tag; `files` for any of them."""
        try:
            before: Any = parse_json(tag)
        except ValueError:
            return (_OLDER,)
        if not isinstance(before, dict):
            return (_OLDER,)
        own = {name: digest[:_SHORT] for name, digest in self._all}
        return tuple(name for name in dict.fromkeys((*own, *before)) if own.get(name) != before.get(name))


def changed_files(before: Mapping[str, str], after: Mapping[str, str]) -> tuple[str, ...]:
    """The paths of files that are not the same in both."""
    return tuple(sorted(name for name in {*before, *after} if before.get(name) != after.get(name)))


def a_few(names: tuple[str, ...]) -> str:
    """The first names, and how many more there are."""
    more = f" and {len(names) - _NAMED} more" if len(names) > _NAMED else ""
    return ", ".join(names[:_NAMED]) + more


def manifest_id(data: bytes) -> str:
    """What of a pyproject.toml a training can depend on: neither comments nor settings of linters and of gates."""
    try:
        table = parse_toml(data, limit=MANIFEST_LIMIT)
    except Unparsable:
        return sha256(data)
    tools = table.get("tool")
    if isinstance(tools, Mapping):
        table = {**table, "tool": {name: value for name, value in tools.items() if name not in _OF_NO_TRAINING}}
    return sha256(canonical(_plain(table)))


def _plain(value: Any) -> Any:
    """Without TOML's dates and times, which JSON does not have. A table without content is none."""
    if isinstance(value, Mapping):
        return {name: _plain(inner) for name, inner in value.items() if inner != {}}
    if isinstance(value, list):
        return [_plain(inner) for inner in value]
    return value if isinstance(value, str | int | float | bool) else str(value)


def local_folders(lock: Any, folder: str) -> Iterator[str]:
    """
    The folders, relative to the lock, of the packages of the checkout that a project in `folder` may be trained with.

    With every extra and group that they have: which of them are installed may depend on more than the lock.
    """
    start = lock.local(folder)
    waiting = [start] if start is not None else [one for one in lock.packages if one.source.kind.local]
    by_name = lock.by_name
    seen: set[int] = set()
    while waiting:
        package = waiting.pop()
        if package.position in seen:
            continue
        seen.add(package.position)
        if package.source.kind.local:
            yield package.source.address
        edges = (package.dependencies, *package.extras.values(), *package.groups.values())
        waiting += [one for edge in edges for needed in edge for one in by_name.get(needed.name, ())]
