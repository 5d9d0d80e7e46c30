"""Reduces requirements to what serving needs: mlflow-skinny and the scoring server instead of MLflow."""

import re
from collections.abc import Iterable
from dataclasses import replace

from ...command.errors import BadInput
from ...command.wording import Wording, option
from ..export.requirements import Requirements
from ..lock.closure import selected_roots
from ..lock.lockfile import Lockfile, Package
from ..lock.selection import Selection
from ..lock.served_packages import served_packages

FULL, SKINNY = "mlflow", "mlflow-skinny"
# Dependencies of mlflow-skinny that no server imports: clients of a tracking server on Databricks, and of git.
_UNIMPORTED = frozenset({"databricks-sdk", "gitpython"})
# Imported by pandas if it is installed.
_IMPORTED = frozenset({"pyarrow"})
# What MLflow's scoring server imports besides mlflow-skinny, which depends on some of them since MLflow 2.22.
_SCORING = frozenset({"fastapi", "numpy", "pandas", "uvicorn"})
# The scoring server of MLflow 2 uses Flask.
_SCORING_2 = _SCORING | {"flask", "gunicorn"}
# What loading a model of these flavors imports besides the flavor's package; otherwise a dependency of MLflow.
_LOADING = {
    "catboost": {"scikit-learn"},
    "lightgbm": {"scikit-learn", "skops"},
    "sklearn": {"scikit-learn", "skops"},
    "xgboost": {"scikit-learn"},
}
# The text of an MLmodel file with every flavor.
ANY_MODEL = "".join(f"  {flavor}:\n" for flavor in _LOADING)


def slim_requirements(
    requirements: Requirements, lock: Lockfile, selection: Selection, *, name: str | None, mlmodel: str
) -> Requirements:
    """
    Remove MLflow and the packages that only MLflow needs; versions, markers and hashes stay the same.

    `name` is the project's, `mlmodel` the text of the model's MLmodel file. Requirements without `mlflow` are returned
    unchanged. Raises BadInput for a lock without what the scoring server needs, NotALock.
    """
    full = [package for package in lock.packages if package.name == FULL]
    if not any(pin.name == FULL for pin in requirements.pins):
        return requirements
    needed = {SKINNY, *_scoring(full)}
    pinned = {pin.name for pin in requirements.pins}
    if lacking := needed - pinned:
        raise BadInput(
            what=f"the lock has no {' and no '.join(sorted(lacking))}",
            why="`serving: slim` installs the scoring server from the lock",
            fix=Wording(option("serving", "locked"), ", or uv lock --upgrade-package mlflow"),
        )
    kept = needed | (_loading(mlmodel) & pinned)
    slim_lock = replace(
        lock,
        packages=tuple(
            _with_dependencies(package, kept) if package.name == FULL else package for package in lock.packages
        ),
    )
    roots = selected_roots(slim_lock, selection, name=name)
    names = {installed.package.name for installed in served_packages(slim_lock, roots)} - {FULL}
    return replace(requirements, pins=tuple(pin for pin in requirements.pins if pin.name in names))


def imported_requirements(
    requirements: Requirements, lock: Lockfile, selection: Selection, *, name: str | None
) -> Requirements:
    """
    Remove the packages that a server of MLflow imports for no model, unless something else requires them.

    Parameters and errors are those of `slim_requirements`.
    """
    smaller = replace(lock, packages=tuple(map(_without_unimported, lock.packages)))
    slim = slim_requirements(requirements, smaller, selection, name=name, mlmodel=ANY_MODEL)
    names = {pin.name for pin in slim.pins} | _IMPORTED
    return replace(requirements, pins=tuple(pin for pin in requirements.pins if pin.name in names))


def _scoring(full: Iterable[Package]) -> frozenset[str]:
    old = any((package.version or "").startswith("2.") for package in full)
    return _SCORING_2 if old else _SCORING


def _loading(mlmodel: str) -> frozenset[str]:
    flavors = set(re.findall(r"^  (\w+):\s*$", mlmodel, re.MULTILINE))
    flavors |= set(re.findall(r"^[ \t]+loader_module: mlflow\.(\w+)[ \t\r]*$", mlmodel, re.MULTILINE))
    return frozenset(name for flavor in flavors for name in _LOADING.get(flavor, ()))


def _without_unimported(package: Package) -> Package:
    if package.name != SKINNY:
        return package
    edges = package.table.get("dependencies", ())
    return _with_dependencies(package, {edge["name"] for edge in edges} - _UNIMPORTED)


def _with_dependencies(full: Package, kept: Iterable[str]) -> Package:
    """A package with fewer dependencies. Those of its extras stay, since they were selected by name."""
    edges = [edge for edge in full.table.get("dependencies", ()) if edge["name"] in set(kept)]
    return replace(full, table={**full.table, "dependencies": edges})
