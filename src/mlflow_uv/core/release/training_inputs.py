"""Computes the release key from everything that training depends on, and lists what changed since a release."""

from collections.abc import Iterator, Mapping
from dataclasses import field
from itertools import product
from typing import Any

from ...payloads.messages.lazy_dataclass import lazy_dataclass
from ..security.documents import parse_json
from ..security.size_limits import MANIFEST_LIMIT
from ..security.toml_documents import Unparsable, parse_toml
from .digests import canonical, sha256

MANIFEST = "pyproject.toml"
# The page that the step report writes where no other name is chosen.
REPORT_FILE = "mlflow-uv-report.html"
# The folder that the step model-card writes where no other name is chosen.
CARD_FOLDER = "mlflow-uv-model-card"
# Documentation, which is not an input of training unless `!NAME` in `not-inputs` says so. Only at the top of a folder:
# deeper files may be prompts or training data.
_READ_BY_PEOPLE = (
    "README", "CHANGELOG", "CHANGES", "HISTORY", "NEWS", "CONTRIBUTING", "CODE_OF_CONDUCT", "SECURITY", "LICENSE",
    "LICENCE", "COPYING", "NOTICE", "AUTHORS", "CODEOWNERS", "CITATION",
)  # fmt: skip
DOCUMENTATION = (
    *(f"/{name}{suffix}" for name, suffix in product(_READ_BY_PEOPLE, ("", ".md", ".rst", ".txt", ".cff"))),
    "/docs/", "/mkdocs.yml", "/.readthedocs.y*ml", "/.github/", "/.gitlab/", "/.gitlab-ci.yml", "/.gitignore",
    "/.gitattributes", "/.editorconfig", "/.pre-commit-config.yaml", "/.vscode/", "/.idea/", "/.devcontainer/",
    f"/{REPORT_FILE}", f"/{CARD_FOLDER}/",
)  # fmt: skip
# Tables of a manifest that do not affect training: of development tools, and of mlflow-uv, whose settings are separate
# parts of the key.
_OF_NO_TRAINING = frozenset({
    "mlflow-uv", "ruff", "black", "isort", "flake8", "pylint", "mypy", "pyright", "basedpyright", "pytest", "coverage",
    "tox", "nox", "bumpversion", "commitizen", "codespell",
})  # fmt: skip
_SHORT = 12
_OLDER = "the release before recorded no inputs"


@lazy_dataclass
class TrainingInputs:
    """
    Everything that the model depends on.

    `files` maps paths to the ids of their content, `parts` maps the descriptions of all other inputs to digests.
    """

    files: Mapping[str, str] = field(repr=False)
    parts: Mapping[str, str]

    @property
    def key(self) -> str:
        """The release key, in hex; equal keys mean the same release."""
        return sha256(canonical(dict(self._all)))

    @property
    def tag(self) -> str:
        """A short form (JSON) that is stored with the model, so that a later release can tell what changed."""
        return canonical({name: digest[:_SHORT] for name, digest in self._all}).decode()

    @property
    def _all(self) -> tuple[tuple[str, str], ...]:
        return ("files", sha256(canonical(dict(self.files)))), *self.parts.items()

    def changed_parts(self, tag: str) -> tuple[str, ...]:
        """The names of the parts that differ from those in an earlier release's tag; `files` for any file."""
        try:
            before: Any = parse_json(tag)
        except ValueError:
            return (_OLDER,)
        if not isinstance(before, dict):
            return (_OLDER,)
        own = {name: digest[:_SHORT] for name, digest in self._all}
        return tuple(name for name in dict.fromkeys((*own, *before)) if own.get(name) != before.get(name))


def changed_files(before: Mapping[str, str], after: Mapping[str, str]) -> tuple[str, ...]:
    """The sorted paths of files that differ, or exist on one side only."""
    return tuple(sorted(name for name in {*before, *after} if before.get(name) != after.get(name)))


def manifest_id(data: bytes) -> str:
    """Digest of a pyproject.toml without comments and without the tables of tools that do not affect training."""
    try:
        table = parse_toml(data, limit=MANIFEST_LIMIT)
    except Unparsable:
        return sha256(data)
    tools = table.get("tool")
    if isinstance(tools, Mapping):
        table = {**table, "tool": {name: value for name, value in tools.items() if name not in _OF_NO_TRAINING}}
    return sha256(canonical(_plain(table)))


def _plain(value: Any) -> Any:
    """Convert dates and times to text for JSON, and drop empty tables."""
    if isinstance(value, Mapping):
        return {name: _plain(inner) for name, inner in value.items() if inner != {}}
    if isinstance(value, list):
        return [_plain(inner) for inner in value]
    return value if isinstance(value, str | int | float | bool) else str(value)


def local_folders(lock: Any, folder: str) -> Iterator[str]:
    """
    Yield the folders, relative to the lock, of local packages that the project in `folder` may be trained with.

    Every extra and group is followed, since the lock alone does not tell which of them are installed.
    """
    start = lock.local(folder)
    waiting = [start] if start is not None else [package for package in lock.packages if package.source.kind.local]
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
        waiting += [package for edge in edges for needed in edge for package in by_name.get(needed.name, ())]
