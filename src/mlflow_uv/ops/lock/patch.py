"""Makes a patch for `git apply` of the changes that `uv lock` would make."""

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

from ...command.errors import BadProject
from ...core.freshness.declared_requirements import Workspace, declared_requirements
from ...core.freshness.requirement import address_of
from ...tools.lock_toolbox import LockTools
from ...tools.project.files import Project, leads_out, read_project
from ...tools.project.manifests import read_workspace
from ...tools.uv.lock_copy import copy_of_repository
from ...tools.uv.uv import LockRequest


def patch_of(project: Project, tools: LockTools, request: LockRequest) -> bytes:
    """
    Lock in a copy of the repository, and return the patch for `git apply` in its root, empty without a difference.

    Outside git the paths are relative to the folder of the lock. Raises BadProject for a project that needs folders
    outside its repository, and ToolFailed, ToolMissing.
    """
    workspace = read_workspace(project, None)
    index_folders = tuple(Path(address) for address in dict.fromkeys(_indexes(workspace)))
    with copy_of_repository(project.root, tools.git, beside=index_folders) as (base, top):
        _refuse_outside(workspace, top)
        _refuse_stray(base / project.lock.relative_to(project.lock.anchor), base)
        copy = read_project(base / project.root.relative_to(project.root.anchor))
        versions = {side: base / side / project.lock.relative_to(top) for side in ("a", "b")}
        _keep(copy.lock, versions["a"])
        tools.uv.lock(copy, request)
        _keep(copy.lock, versions["b"])
        # The path of a folder that is an index may be in the lock.
        versions["b"].write_bytes(versions["b"].read_bytes().replace(f"file://{base}/".encode(), b"file:///"))
        return tools.git.patch(base, *(path.relative_to(base) for path in versions.values()))


def _refuse_stray(lock: Path, base: Path) -> None:
    """Refuse a symbolic link that leads out of the copy, because uv writes through it."""
    if leads_out(lock, base):
        raise BadProject(
            what="uv.lock is a symbolic link to a path outside the repository",
            why=f"uv would write {os.path.realpath(lock)}",
            fix="rm uv.lock && uv lock, in the checkout",
        )


def _keep(lock: Path, version: Path) -> None:
    version.parent.mkdir(parents=True)
    if lock.is_file():
        shutil.copyfile(lock, version)


def _indexes(workspace: Workspace) -> Iterator[str]:
    """Yield the folders that are package indexes."""
    manifests = ((manifest, ("tool", "uv")) for manifest in (workspace.root, *workspace.members))
    for manifest, keys in ((workspace.settings, workspace.options), *manifests):
        for entry in (*manifest.list_at(*keys, "index"), *manifest.list_at(*keys, "find-links")):
            url = entry.get("url") if isinstance(entry, dict) else entry
            address = address_of(url, manifest.folder) if isinstance(url, str) else ""
            if address.startswith("/"):
                yield address


def _refuse_outside(workspace: Workspace, top: Path) -> None:
    for manifest in (workspace.root, *workspace.members):
        for listed in declared_requirements(manifest, workspace).scopes.values():
            for requirement in listed:
                if requirement.origin.kind == "path" and not Path(requirement.origin.address).is_relative_to(top):
                    raise BadProject(
                        what=f"`{requirement.name}` comes from `{requirement.origin.address}`, which is outside the"
                        " repository",
                        why="the patch is computed in a copy of the repository",
                        fix="uv lock, in the checkout",
                    )
