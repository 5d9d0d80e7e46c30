"""Refuses a selection without MLflow, and names the group or extra of the lock that has it."""

from collections.abc import Iterable, Mapping

from ...command.errors import BadProject
from ...command.wording import Wording, option
from ...core.export.requirements import Requirements
from ...core.lock.lockfile import Dependency, Lockfile, NotALock, read_lockfile
from ...core.lock.package_names import canonicalize_name
from ...core.lock.selection import Selection
from ...core.model.model_files import SERVERS
from ...tools.project.files import Project


def require_mlflow(requirements: Requirements, selection: Selection, project: Project) -> None:
    """Raises BadProject where the served selection has no MLflow."""
    if {pin.name for pin in requirements.pins} & SERVERS:
        return
    try:
        lock = read_lockfile(project.lock.read_bytes())
    except (OSError, NotALock):
        return  # the export of the requirements reported it already
    fix = _fix(lock, selection, project)
    reason = "mlflow is in a group or extra that is not served" if fix else "no served package requires mlflow"
    raise BadProject(
        what="the served selection has no MLflow",
        why=f"{reason}, so the model could not be loaded",
        fix=fix or "uv add mlflow",
    )


def _fix(lock: Lockfile, selection: Selection, project: Project) -> str:
    """Return the input that adds MLflow to the selection; empty if no group or extra has it."""
    kind, holder = mlflow_holder(lock, selection.package or project.name)
    if not holder:
        return ""
    names = (*(selection.groups if kind == "groups" else selection.extras), holder)
    listed = ", ".join(f'"{selected}"' for selected in names)
    return Wording(option(kind, ",".join(names)), f", or `{kind} = [{listed}]` in [tool.mlflow-uv]")


def mlflow_holder(lock: Lockfile, name: str) -> tuple[str, str]:
    """Return `groups` or `extras` and the one of a package that has MLflow; empty if none has it, or all."""
    packages = lock.by_name.get(canonicalize_name(name), ())
    package = next((candidate for candidate in packages if candidate.source.kind.local), None)
    if package is None or _reached(lock, package.dependencies) & SERVERS:
        return "", ""
    kinds = (("groups", dict(package.groups)), ("extras", dict(package.extras)))
    return next(((kind, holder) for kind, tables in kinds if (holder := _holder(lock, tables))), ("", ""))


def _holder(lock: Lockfile, tables: Mapping[str, Iterable[Dependency]]) -> str:
    """Return the first group or extra that depends on MLflow, preferring one that names it directly."""
    direct = [name for name, edges in tables.items() if {edge.name for edge in edges} & SERVERS]
    reached = [name for name, edges in tables.items() if _reached(lock, edges) & SERVERS]
    return next(iter((*direct, *reached)), "")


def _reached(lock: Lockfile, edges: Iterable[Dependency]) -> set[str]:
    """Return the names of these packages and of all their dependencies."""
    names: set[str] = set()
    queue = [edge.name for edge in edges]
    while queue:
        name = queue.pop()
        if name not in names:
            names.add(name)
            queue += [edge.name for package in lock.by_name.get(name, ()) for edge in package.dependencies]
    return names
