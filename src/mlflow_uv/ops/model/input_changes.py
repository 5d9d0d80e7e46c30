"""Checks that what a training depends on is the same after it as before it."""

import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from urllib.parse import unquote, urlsplit

from ...command.errors import InputsChanged
from ...command.report import first_names
from ...command.wording import Wording, step_call
from ...core.release.digests import lock_digest
from ...core.release.training_inputs import MANIFEST, changed_files
from ...tools.mlflow.store import Store
from ...tools.mlflow.tracking_uris import SQLITE
from ...tools.toolbox import Tools
from .release_key import SETTING, Key, folder_part
from .training import Job
from .training_programs import programs_of

_TRAINED = "while training ran, so its model is not used"
_PREPARED = "while training was prepared"


def unchanged_lock(job: Job) -> bytes:
    """Return the content of uv.lock. Raises InputsChanged if it is not the lock that the step began with."""
    try:
        data = job.project.lock.read_bytes()
    except OSError:
        data = b""
    if not data or lock_digest(data) != job.lock.sha256:
        raise _error(
            "uv.lock " + ("changed" if data else "was removed"),
            why="the environment was made from the lock as it was before",
            fix=Wording("let nothing write uv.lock while it runs, then ", step_call("release")),
            path=job.project.lock if data else job.project.folder / MANIFEST,
        )
    return data


def require_unchanged(job: Job, key: Key | None, tools: Tools) -> None:
    """
    Compare the training inputs with their state before training. Raises InputsChanged.

    A file that is new is no difference: training may have created it. The store's own files are none either.
    """
    unchanged_lock(job)
    if key is None:
        return
    _require_same_files(job, key, tools)
    _require_same_outside(job, key, tools)
    part, digest = folder_part(job)
    if part and key.inputs.parts.get(part) != digest:
        raise _error(
            f"{part.removeprefix('the ')} changed",
            why="the model was logged from either content, and only the one before is what the release records",
            fix=step_call("release"),
            path=job.project.folder / MANIFEST,
        )
    if edited := tools.environments.edited_file(job.python):
        first = f"{edited.advice}, since a new run alone can end in the same way; then "
        raise _error(
            f"`{edited.name}` changed in the environment of training",
            why=edited.why,
            fix=Wording(first, step_call("release"), ", which makes the environment again"),
            path=job.project.lock,
        )


def require_settled(before: Mapping[str, str], job: Job, key: Key, tools: Tools) -> None:
    """
    Compare the inputs at the start of the step with those of the key: packages were built from the former.

    Raises InputsChanged. Files that are new are no difference: building a package may have created them.
    """
    top = Path(os.path.realpath(tools.git.top(job.project.folder) or job.project.folder))
    names = _changed(before, key.inputs.files, job, top)
    if names:
        shown = first_names(key.scope.shown(names, tools))
        verb = _verb(names, removed=all(name not in key.inputs.files for name in names))
        raise _error(
            f"{shown} {verb}",
            during=_PREPARED,
            why="packages may have been built from either content",
            fix=step_call("release"),
            path=job.project.folder / MANIFEST,
        )


def _require_same_outside(job: Job, key: Key, tools: Tools) -> None:
    if not key.outside:
        return
    after = key.scope.outside(tools)
    names = _changed(key.outside, after, job, Path("/"))
    if names:
        folder = job.project.folder
        shown = tuple(os.path.relpath(name, os.path.realpath(folder)) for name in names)
        raise _error(
            f"{first_names(shown)} {_verb(names, removed=all(name not in after for name in names))}",
            why="the model has a wheel of the package that was built before, and training may have used another",
            fix=Wording(step_call("release"), ", and let nothing write the package while it runs"),
            path=folder / MANIFEST,
        )


def _require_same_files(job: Job, key: Key, tools: Tools) -> None:
    before, after = key.inputs.files, key.scope.counted(key.scope.now(tools), tools)
    top = Path(os.path.realpath(tools.git.top(job.project.folder) or job.project.folder))
    names = _changed(before, after, job, top)
    if names:
        (first, *_), shown = names, key.scope.shown(names, tools)
        removed = all(name not in after for name in names)
        path = top / first
        raise _error(
            f"{first_names(shown)} {_verb(names, removed=removed)}",
            why="training may have used either content, and only the one before is what the release records",
            fix=_fix(key, job, names, top),
            path=path if path.is_file() else job.project.folder / MANIFEST,
        )


def _changed(before: Mapping[str, str], after: Mapping[str, str], job: Job, top: Path) -> tuple[str, ...]:
    """Return the files below `top` that changed or are gone, without those of the store."""
    changed = (name for name in changed_files(before, after) if name in before)
    return tuple(name for name in changed if not _is_of_store(top / name, job.store))


def _verb(names: tuple[str, ...], *, removed: bool) -> str:
    if removed:
        return "were removed" if len(names) > 1 else "was removed"
    return "changed"


def _fix(key: Key, job: Job, names: tuple[str, ...], top: Path) -> str:
    """Return to train again, and for files that training itself may write, the setting by which they are no inputs."""
    programs = {os.path.realpath(job.project.folder / name) for name in programs_of(job.source)}
    patterns = tuple(f'"/{key.scope.inside(name, top)}"' for name in names if key.scope.inside(name, top))
    again = step_call("release")
    if len(patterns) < len(names) or any(os.path.realpath(top / name) in programs for name in names):
        return Wording(again, ", and let nothing write these files while it runs" if len(names) > 1 else
                       ", and let nothing write this file while it runs")  # fmt: skip
    them = "them" if len(names) > 1 else "it"
    setting = f"`{SETTING} = [{', '.join(patterns)}]` in [tool.mlflow-uv]"
    return Wording(again, f"; if training itself writes {them} and does not read {them}, first {setting}")


def _error(what: str, *, why: str, fix: str, path: Path, during: str = _TRAINED) -> InputsChanged:
    error = InputsChanged(what=f"{what} {during}", why=why, fix=fix)
    error.path = path
    return error


def _is_of_store(path: Path, store: Store) -> bool:
    """Whether a file belongs to a store in the checkout: MLflow and this program write it while a training runs."""
    return any(path.is_relative_to(place) or path in _beside(place) for place in _places(store))


def _places(store: Store) -> Iterator[Path]:
    if match := SQLITE.fullmatch(store.uri):
        yield Path(os.path.realpath(match[2]))
    elif store.uri.startswith("file:"):
        yield Path(os.path.realpath(unquote(urlsplit(store.uri).path)))


def _beside(database: Path) -> tuple[Path, ...]:
    """Return the files that SQLite keeps beside a database."""
    return tuple(database.with_name(f"{database.name}{suffix}") for suffix in ("-journal", "-wal", "-shm"))
