"""Which part of a lock does a model need to be served, where MLflow itself is not?"""

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
# What MLflow's scoring server imports beside mlflow-skinny; the first few are dependencies of that since MLflow 2.22.
_SCORING = frozenset({"fastapi", "numpy", "pandas", "uvicorn"})
# In MLflow 2 it is an application of Flask.
_SCORING_2 = _SCORING | {"flask", "gunicorn"}
# What loads a model of these flavors imports beside the flavor's own package, and MLflow would have brought.
_LOADING = {
    "catboost": {"scikit-learn"},
    "lightgbm": {"scikit-learn", "skops"},
    "sklearn": {"scikit-learn", "skops"},
    "xgboost": {"scikit-learn"},
}
# The text of an MLmodel file of every flavor at once.
ANY_MODEL = "".join(f"  {flavor}:\n" for flavor in _LOADING)


def slim(
    requirements: Requirements, lock: Lockfile, selection: Selection, *, name: str | None, mlmodel: str
) -> Requirements:
    """
    The requirements without what only MLflow needs, and without it: the same versions, markers and hashes.

    `name` is the project's, `mlmodel` the text of the model's MLmodel file. Where the project asks for mlflow-skinny
    itself, they stay as they are. Raises BadInput for a lock without what scoring needs, NotALock.
    """
    full = [package for package in lock.packages if package.name == FULL]
    if not any(pin.name == FULL for pin in requirements.pins):
        return requirements
    wanted = {SKINNY, *_scoring(full)}
    pinned = {pin.name for pin in requirements.pins}
    if lacking := wanted - pinned:
        raise BadInput(
            what=f"the lock has no {' and no '.join(sorted(lacking))}",
            why="`serving: slim` takes what serves a model from the lock, at its version",
            fix=Wording(option("serving", "locked"), ", or uv lock --upgrade-package mlflow"),
        )
    kept = wanted | (_loading(mlmodel) & pinned)
    thin = replace(lock, packages=tuple(_thinned(one, kept) if one.name == FULL else one for one in lock.packages))
    roots = selected_roots(thin, selection, name=name)
    names = {one.package.name for one in served_packages(thin, roots)} - {FULL}
    return replace(requirements, pins=tuple(pin for pin in requirements.pins if pin.name in names))


def _scoring(full: Iterable[Package]) -> frozenset[str]:
    old = any((package.version or "").startswith("2.") for package in full)
    return _SCORING_2 if old else _SCORING


def _loading(mlmodel: str) -> frozenset[str]:
    flavors = set(re.findall(r"^  (\w+):\s*$", mlmodel, re.MULTILINE))
    flavors |= set(re.findall(r"^\s+loader_module: mlflow\.(\w+)\s*$", mlmodel, re.MULTILINE))
    return frozenset(name for flavor in flavors for name in _LOADING.get(flavor, ()))


def _thinned(full: Package, kept: Iterable[str]) -> Package:
    """MLflow as if it needed only this of what it needs. What its extras bring was asked for by name, and stays."""
    edges = [edge for edge in full.table.get("dependencies", ()) if edge["name"] in set(kept)]
    return replace(full, table={**full.table, "dependencies": edges})
