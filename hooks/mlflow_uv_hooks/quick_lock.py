"""
Decides with uv alone that the hook check-lock has nothing to report.

uv starts before anything is imported that takes longer than a few milliseconds. The step itself runs, and reports, if
uv alone cannot decide: with flags, variables, settings of uv or of this project that the step reads, a policy, a
workspace, local packages, or a lock that is not fresh.
"""

import os
import stat
import sys
from collections.abc import Iterator, Mapping, Sequence

from mlflow_uv.core.lock.foreign_folders import is_foreign
from mlflow_uv.core.security.git_guard import FLAGS
from mlflow_uv.core.security.kept_variables import git_variables, steers_uv, uv_variables
from mlflow_uv.core.security.size_limits import LOCK_LIMIT, MANIFEST_LIMIT
from mlflow_uv.tools.git.bare_repository import bare_repository_at
from mlflow_uv.tools.git.listing import names_in, not_ignored
from mlflow_uv.tools.project.nearest import nearest_project
from mlflow_uv.tools.system.spawned import AT_ONCE, Spawned
from mlflow_uv.tools.uv.lock_check import (
    IGNORED_SETTINGS,
    NO_ENVIRONMENT,
    TRUSTED_INDEXES,
    lock_arguments,
    program_on,
    says_only_fresh,
)
from mlflow_uv.tools.uv.settings_places import machine_files, users_file

_ESCAPES = (rb"\u", rb"\U", rb"\x")  # a key with escapes may be written in other bytes
# Words with which the project, or a folder above it, could change what uv reads or where it writes. They are looked for
# before uv starts, and the manifests are parsed while it runs.
_SETTINGS = (*_ESCAPES, b"workspace", *map(str.encode, IGNORED_SETTINGS))
# UV_NO_BUILD does not apply to editable packages: these words are in a manifest or a lock for which uv may build one.
_BUILDS = (b"dynamic", b"editable")
_LOCAL = {b"editable": b'source = { editable = "." }', b"virtual": b'source = { virtual = "." }'}
_NO_BUILDS = {"UV_NO_BUILD": "1"}


def are_fresh(words: Sequence[str], variables: Mapping[str, str]) -> bool:
    """Whether every project of the changed files that are named by these words has a fresh lock and no finding."""
    top = os.getcwd()
    files = [os.path.join(top, word) for word in words]
    if any(word.startswith("-") for word in words) or any(os.path.normpath(file) != file for file in files):
        return False
    folders = list(dict.fromkeys(folder for file in files if (folder := nearest_project(file, top)) is not None))
    if not _is_plain_caller(variables) or not all(map(_is_plain, folders)):
        return False
    try:
        return _all_fresh(folders, files, top, variables)
    except OSError:
        return False  # the step reports the error


def _is_plain_caller(variables: Mapping[str, str]) -> bool:
    """Whether no variable, and no settings file of the user or the machine, changes what is asked or reported."""
    return (
        variables.get("GITHUB_ACTIONS") != "true"  # then the event decides whether uv may build
        and not variables.get(TRUSTED_INDEXES)
        and not variables.get("UV_CONFIG_FILE")
        and not any(map(steers_uv, variables))
        and not any(map(os.path.lexists, (users_file(variables), *machine_files(variables))))
    )


def _is_plain(folder: str) -> bool:
    """Whether uv alone decides about a project, and runs no code of it; its manifest is parsed later."""
    manifest, lock = _read(folder, "pyproject.toml", MANIFEST_LIMIT), _read(folder, "uv.lock", LOCK_LIMIT)
    if manifest is None or lock is None or any(word in manifest for word in (*_SETTINGS, *_BUILDS)):
        return False
    # Each look at a lock of 0.7 MB takes 0.5 ms, and uv has not been started yet.
    own = all(word not in lock or lock.count(word) == lock.count(line) for word, line in _LOCAL.items())
    if not own or (b"\\" in lock and any(word in lock for word in _ESCAPES)):
        return False
    # uv ignores the Python that this file requests, since it gets one, but it would read from a device.
    request = os.path.join(folder, ".python-version")
    if os.path.lexists(request) and _read(folder, ".python-version", MANIFEST_LIMIT) is None:
        return False
    return not os.path.lexists(os.path.join(folder, "uv.toml")) and all(map(_is_plain_above, _above(folder)))


def _is_plain_above(folder: str) -> bool:
    """Whether a folder above a project has no uv.toml, and no word of a setting that matters before it is parsed."""
    if os.path.lexists(os.path.join(folder, "uv.toml")):
        return False
    if not os.path.lexists(os.path.join(folder, "pyproject.toml")):
        return True
    manifest = _read(folder, "pyproject.toml", MANIFEST_LIMIT)
    return manifest is not None and not any(word in manifest for word in _SETTINGS)


def _above(folder: str) -> Iterator[str]:
    while (above := os.path.dirname(folder)) != folder:
        yield above
        folder = above


def _read(folder: str, name: str, limit: int) -> bytes | None:
    """The bytes of a regular file of at most `limit` bytes; None for anything else."""
    try:
        descriptor = os.open(os.path.join(folder, name), os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError:
        return None
    with open(descriptor, "rb") as file:
        status = os.fstat(descriptor)
        if not stat.S_ISREG(status.st_mode) or status.st_size > limit:
            return None
        return file.read(limit)


def _all_fresh(folders: list[str], files: list[str], top: str, variables: Mapping[str, str]) -> bool:
    """Ask uv about each project, and git about projects that depend on changed files; parse the manifests meanwhile."""
    kept = uv_variables(variables, respect=False, keyring=False) | _NO_BUILDS | NO_ENVIRONMENT
    own = os.path.join(os.path.dirname(sys.executable), "uv")
    uv = program_on(kept.get("PATH"), "uv") or (own if os.path.isfile(own) else None)
    if uv is None:
        return False
    argv = (uv, *lock_arguments("--check", script=None, offline=True, python=sys.executable))
    running: list[Spawned] = []
    waiting = iter(folders)
    try:
        for folder, _ in zip(waiting, range(AT_ONCE), strict=False):
            running.append(Spawned(argv, folder=folder, variables=kept, stream=2))
        if not _no_other_project(folders, files, top, variables) or not all(map(_has_no_rules, folders)):
            return False
        while running:
            if not says_only_fresh(*running.pop(0).wait()):
                return False
            for folder, _ in zip(waiting, range(1), strict=False):
                running.append(Spawned(argv, folder=folder, variables=kept, stream=2))
        return True
    finally:
        for process in running:
            process.stop()


def _no_other_project(folders: list[str], files: list[str], top: str, variables: Mapping[str, str]) -> bool:
    """Whether no other locked project can depend on the changed files."""
    if all(os.path.basename(file) == "uv.lock" for file in files):
        return True
    kept = git_variables(variables)
    git = program_on(kept.get("PATH"), "git")
    if git is None or bare_repository_at(top) is not None:
        return False
    argv = (git, *FLAGS, *not_ignored("*uv.lock"))
    code, output = Spawned(argv, folder=top, variables=kept, stream=1).wait()
    locks = (os.path.split(name) for name in names_in(output))
    others = {
        os.path.join(top, folder).rstrip("/") for folder, name in locks if name == "uv.lock" and not is_foreign(folder)
    }
    return code == 0 and others <= {*folders}


def _has_no_rules(folder: str) -> bool:
    """Whether a manifest is valid, has a range of Pythons, and no settings or policy that check-lock reads."""
    # uv runs meanwhile.
    from mlflow_uv.command.settings import CHECK_LOCK_KEYS, KEYS  # noqa: PLC0415
    from mlflow_uv.core.security.toml_documents import Unparsable, parse_toml  # noqa: PLC0415

    try:
        manifest, *above = [
            parse_toml(data, limit=MANIFEST_LIMIT)
            for place in (folder, *_above(folder))
            if (data := _read(place, "pyproject.toml", MANIFEST_LIMIT)) is not None
        ]
    except Unparsable:
        return False
    project, tool = manifest.get("project"), manifest.get("tool", {})
    if not isinstance(project, dict) or not project.get("requires-python") or not isinstance(tool, dict):
        return False
    settings = tool.get("mlflow-uv", {})
    own = isinstance(settings, dict) and settings.keys() <= KEYS - CHECK_LOCK_KEYS
    tools = [table.get("tool", {}) for table in above]
    return own and all(isinstance(table, dict) and "uv" not in table for table in tools)
