"""Which environment does a model answer in, and does it hold what the model requires?"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ...command.errors import ModelUnusable, ToolFailed
from ...core.export.requirements import Requirements, holds, installed_difference, parse_requirements
from ...core.model import model_files
from ...core.release.digests import canonical, sha256
from ...core.release.record import WheelLink
from ...core.security.documents import parse_json
from ...tools.system.content import digests_in
from ...tools.toolbox import Tools
from ...tools.uv.network import index_variables

_LIST = "mlflow-uv-install.txt"
_STAMP = "mlflow-uv-inventory"


@dataclass(frozen=True, kw_only=True, slots=True)
class Needs:
    """
    What an environment of a model is made from: the list in its folder, the wheels beside it, its Python.

    `requirements` is None where MLflow inferred the list, or somebody else wrote it: it is not the whole closure then.
    """

    model: Path
    requirements: Requirements | None
    wheels: tuple[WheelLink, ...]
    python: str

    @property
    def list(self) -> Path:
        """The file to install from, relative to the model's folder."""
        return self.model / _LIST

    @property
    def hashed(self) -> bool:
        """Whether an installer can insist on hashes."""
        return self.requirements is not None and self.requirements.hashed

    @property
    def minor(self) -> str:
        """The Python that the model's pins and pickles are for."""
        return minor_of(self.python)

    def key(self, python: str) -> str:
        """What makes two environments the same: the list, the wheels, the interpreter."""
        listed = self.list.read_bytes() if self.requirements is None else self.requirements.text.encode()
        return sha256(canonical([sha256(listed), python, [wheel.sha256 for wheel in self.wheels]]))


def needs_of(model: Path, *, wheels: tuple[WheelLink, ...], python: str) -> Needs:
    """
    The needs of a model whose wheels and Python are known. Leaves the list to install from in its folder.

    Raises ModelUnusable for a model without a list.
    """
    hashed, listed = model / model_files.HASHED, model / model_files.REQUIREMENTS
    if not hashed.is_file() and not listed.is_file():
        what = "the model does not list the packages that it needs"
        raise ModelUnusable(what=what, why=f"it has no {model_files.REQUIREMENTS}", fix="log it again with MLflow")
    requirements = None
    text = (hashed if hashed.is_file() else listed).read_bytes()
    if hashed.is_file():
        said, _ = model_files.split_requirements(text.decode().replace(" \\\n", " "))
        requirements = parse_requirements(said)
    (model / _LIST).write_bytes(text)
    return Needs(model=model, requirements=requirements, wheels=wheels, python=python)


def needs_in(model: Path) -> Needs:
    """The needs of any model, as its own files tell them. Raises ModelUnusable where they do not."""
    lying = {path.name: digest for path, digest in digests_in(model / model_files.WHEELS)}
    listed = model / model_files.REQUIREMENTS
    _, named = model_files.split_requirements(listed.read_text(encoding="utf-8") if listed.is_file() else "")
    wheels = tuple(model_files.wheel_of(file, lying.get(file, ""), marker) for file, marker in named)
    return needs_of(model, wheels=wheels, python=_python_of(model))


def install(needs: Needs, tools: Tools, *, python: str) -> tuple[Path, str]:
    """Make an environment for a model from nothing; its interpreter, and its inventory. Raises ToolFailed."""
    folder = tools.environments.serving(needs.key(python))
    interpreter = tools.uv.install(
        needs.list,
        folder,
        python=python,
        hashed=needs.hashed,
        resolved=needs.requirements is not None,
        indexes=indexes_for(needs, tools),
        hear=tools.console.foreign,
    )
    inventory = tools.servers.inventory(interpreter)
    (folder / _STAMP).write_text(inventory_digest(inventory), encoding="utf-8")
    return interpreter, inventory


def restored(needs: Needs, tools: Tools, *, python: str) -> tuple[Path, str]:
    """The same, found again where it was made before and holds what it held then."""
    folder = tools.environments.serving(needs.key(python))
    interpreter, stamp = folder / "bin" / "python", folder / _STAMP
    if interpreter.is_file() and stamp.is_file():
        inventory = tools.servers.inventory(interpreter)
        if stamp.read_text(encoding="utf-8") == inventory_digest(inventory):
            return interpreter, inventory
    return install(needs, tools, python=python)


def indexes_for(needs: Needs, tools: Tools) -> Mapping[str, str]:
    """The variables that lead an installer to the indexes of the model's lock."""
    said = needs.model / model_files.INDEXES
    text = said.read_text(encoding="utf-8") if said.is_file() else "[]"
    return index_variables(text, tools.host.variables, hashed=needs.hashed)


def mismatches(needs: Needs, inventory: str) -> tuple[str, ...]:
    """
    Where what is installed is not what the model requires, or not what is imported.

    Of a list that MLflow inferred, the Python and what is imported alone.
    """
    said = read_inventory(inventory)
    lines: tuple[str, ...] = ()
    if minor_of(said["python"]) != needs.minor:
        lines += (f"it has Python {said['python']}, the model was trained with {needs.python}",)
    lines += tuple(f"`{name}` would be imported from {place}" for name, place in said["elsewhere"])
    if needs.requirements is not None:
        environment = said["marker_environment"]
        lines += installed_difference(
            needs.requirements,
            environment=environment,
            installed=tuple((name, version) for name, version in said["installed"]),
            local=tuple((one.name, one.version) for one in needs.wheels if holds(one.marker, environment)),
        )
    return lines


def inventory_digest(inventory: str) -> str:
    """Digest of what an environment holds; the order in which it was listed does not matter."""
    said = read_inventory(inventory)
    return sha256(canonical([said["python"], sorted(said["installed"])]))


def read_inventory(text: str) -> dict[str, Any]:
    """What serving/inventory.py printed. Raises ToolFailed for anything else."""
    try:
        said: dict[str, Any] = parse_json(text)
    except ValueError as error:
        raise ToolFailed(what="the package list of the serving environment cannot be read", why=str(error)) from error
    return said


def minor_of(python: str) -> str:
    """The minor version of a Python: pins and pickles depend on it, and on no more."""
    return ".".join(python.split(".")[:2])


def _python_of(model: Path) -> str:
    """The Python of a model: ours say it to the micro version, MLflow's own in the file that it restores from."""
    for name, pattern in (
        (model_files.PYTHON, r"\A\s*(\d+\.\d+[\w.]*)"),
        ("python_env.yaml", r"^python:\s*['\"]?(\d+\.\d+[\w.]*)"),
        ("conda.yaml", r"^\s*-\s*['\"]?python=+(\d+\.\d+[\w.]*)"),
    ):
        path = model / name
        if path.is_file() and (found := re.search(pattern, path.read_text(encoding="utf-8"), re.MULTILINE)):
            return found[1]
    what = "the model does not name the Python that it needs"
    raise ModelUnusable(
        what=what, why="it has neither a python_env.yaml nor a conda.yaml", fix="log it again with MLflow"
    )
