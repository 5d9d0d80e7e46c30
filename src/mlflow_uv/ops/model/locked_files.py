"""Renders the files of a model that are the same for every model of a project with this lock."""

from pathlib import Path
from typing import Any

from ...command.errors import BadProject
from ...core.model import model_files
from ...core.security.size_limits import MANIFEST_LIMIT
from ...core.security.toml_documents import parse_toml
from ...core.security.url_credentials import holds_credentials, without_credentials
from ...tools.project.files import Project
from ...tools.uv.network import indexes_of
from ...tools.uv.settings import settings_of


def locked_files(project: Project, locked: bytes) -> dict[str, bytes]:
    """Return the lock, the manifest and the indexes by their paths in a model. Raises BadProject for credentials."""
    indexes = indexes_of(project.manifest, _settings(project))
    return {**_project_files(locked, project.folder / "pyproject.toml"), model_files.INDEXES: indexes.encode()}


def _project_files(locked: bytes, manifest: Path) -> dict[str, bytes]:
    """The lock, and the manifest without credentials. Raises BadProject if some would be stored."""
    stored = without_credentials(manifest.read_text(encoding="utf-8"))
    in_lock = without_credentials(text := locked.decode()) != text
    in_manifest = holds_credentials(parse_toml(stored.encode(), limit=MANIFEST_LIMIT))
    if in_lock or in_manifest:
        raise BadProject(
            what=f"{'uv.lock' if in_lock else 'pyproject.toml'} contains credentials",
            why="it is stored with the model",
            fix="remove them from the URL and put them into UV_INDEX_<NAME>_USERNAME and _PASSWORD, then `uv lock`",
        )
    return {model_files.LOCK: locked, model_files.MANIFEST: stored.encode()}


def _settings(project: Project) -> dict[str, Any]:
    """Return the uv settings of the project as a manifest, including those of a uv.toml or a parent folder."""
    settings = settings_of(project.root)
    return {"tool": {"uv": {} if settings is None else dict(settings.table)}}
