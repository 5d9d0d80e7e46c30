"""Creates the environment that a model is served in, and compares its packages with the requirements."""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ...command.errors import ChainBroken, ModelUnusable, StepError, ToolFailed
from ...command.report import Finding
from ...command.wording import step_call
from ...core.export.requirements import Requirements, parse_requirements
from ...core.image.installed_packages import installed_difference
from ...core.lock.markers import holds
from ...core.model import model_files
from ...core.release.digests import canonical, sha256
from ...core.release.record import ImageLink, WheelLink
from ...core.security.documents import parse_json
from ...payloads.messages.lazy_dataclass import lazy_dataclass
from ...tools.project.files import write_atomically
from ...tools.system.content import digests_in
from ...tools.toolbox import Tools
from ...tools.uv.network import index_variables

INSTALLED_LIST = "mlflow-uv-install.txt"
_STAMP = "mlflow-uv-inventory"
_UNREADABLE = "the package list of the serving environment cannot be read"


@lazy_dataclass
class Needs:
    """
    The inputs of a model's environment: requirements in the model folder, wheels next to them, and Python.

    `requirements` is None if the list is not from a lock, for example inferred by MLflow: it may be incomplete then.
    """

    model: Path
    requirements: Requirements | None
    wheels: tuple[WheelLink, ...]
    python: str

    @property
    def list(self) -> Path:
        """The requirements file to install from."""
        return self.model / INSTALLED_LIST

    @property
    def hashed(self) -> bool:
        """Whether every requirement has a hash."""
        return self.requirements is not None and self.requirements.hashed

    @property
    def minor(self) -> str:
        """The Python minor version of the model's pins and pickles."""
        return minor_of(self.python)

    def key(self, python: str) -> str:
        """Return the cache key of the environment: SHA-256 of requirements, wheels and interpreter."""
        listed = self.list.read_bytes() if self.requirements is None else self.requirements.text.encode()
        return sha256(canonical([sha256(listed), python, [wheel.sha256 for wheel in self.wheels]]))


@lazy_dataclass
class ServingPlace:
    """What a server of an image is started from, an image or an environment, and what there is to report."""

    image: ImageLink
    findings: tuple[Finding, ...] = ()


def needs_of(model: Path, *, wheels: tuple[WheelLink, ...], python: str) -> Needs:
    """
    Return the needs of a model with known wheels and Python, and write the list to install from into its folder.

    Raises ModelUnusable for a model without requirements, or with a hashed list that log-model does not write.
    """
    hashed, listed = model / model_files.HASHED, model / model_files.REQUIREMENTS
    if not hashed.is_file() and not listed.is_file():
        what = "the model does not list the packages that it needs"
        raise ModelUnusable(what=what, why=f"it has no {model_files.REQUIREMENTS}", fix="log it again with MLflow")
    requirements = None
    text = (hashed if hashed.is_file() else listed).read_bytes()
    if hashed.is_file():
        try:
            requirement_lines, _ = model_files.split_requirements(text.decode().replace(" \\\n", " "))
            requirements = parse_requirements(requirement_lines)
        except ValueError as error:
            what = f"the model's {model_files.HASHED} cannot be read"
            raise ModelUnusable(what=what, why=str(error), fix="release the model again") from error
    write_atomically(model / INSTALLED_LIST, text)  # processes that share the folder read it meanwhile
    return Needs(model=model, requirements=requirements, wheels=wheels, python=python)


def needs_in(model: Path) -> Needs:
    """Return the needs of any model, from its own files. Raises ModelUnusable if they are incomplete."""
    wheel_digests = {path.name: digest for path, digest in digests_in(model / model_files.WHEELS)}
    listed = model / model_files.REQUIREMENTS
    _, named = model_files.split_requirements(listed.read_text(encoding="utf-8") if listed.is_file() else "")
    wheels = tuple(model_files.wheel_of(file, wheel_digests.get(file, ""), marker) for file, marker in named)
    return needs_of(model, wheels=wheels, python=_python_of(model))


def install(needs: Needs, tools: Tools, *, python: str) -> tuple[Path, str]:
    """
    Reuse or create an environment for a model, as `restored`; one of requirements that are not a lock's is created.

    What an installer resolves them to may be another by now. Raises ToolFailed.
    """
    if needs.requirements is not None:
        return restored(needs, tools, python=python)
    environment = tools.environments.serving(needs.key(python))
    environment.make_anew(lambda folder: _make(folder, needs, tools, python))
    return environment.python, tools.servers.inventory(environment.python)


def restored(needs: Needs, tools: Tools, *, python: str) -> tuple[Path, str]:
    """Return the interpreter and the inventory of an environment, which is made unless it is unchanged."""
    environment = tools.environments.serving(needs.key(python))
    inventories: list[str] = []

    def unchanged() -> bool:
        inventories[:] = [tools.servers.inventory(environment.python)]
        return stamp_in(environment.folder) == inventory_digest(inventories[0])

    def make(folder: Path) -> None:
        inventories.clear()
        _make(folder, needs, tools, python)

    environment.make_once(make, unchanged)
    return environment.python, inventories[0] if inventories else tools.servers.inventory(environment.python)


def recorded_environment(image: ImageLink, tools: Tools) -> Path:
    """Return the interpreter of the environment that serves a release. Raises ChainBroken if it is not as recorded."""
    from ...tools.layers.linked_files import LinkedFiles  # noqa: PLC0415  # few steps serve from an environment

    environment = tools.environments.at(Path(image.tag))
    state = ""
    try:
        if not environment.python.is_file():
            state = "was removed"
        elif stamp_of(environment.folder, tools) != image.id:
            state = "is not the recorded one"
        elif environment.damaged:
            state = "is damaged: files were changed, added or removed since it was made"
        elif (linked := LinkedFiles(environment.folder, tools.runner)).listed and not linked.unchanged:
            state = "is damaged: another process wrote into files that several environments share"
    except StepError as error:  # its interpreter prints nothing that can be read
        state = f"is damaged: {error.what}"
    if state:
        raise ChainBroken("image", why=f"the environment in {environment.folder} {state}", fix=step_call("build-image"))
    return environment.python


def _make(folder: Path, needs: Needs, tools: Tools, python: str) -> None:
    tools.uv.install(
        needs.list,
        folder,
        python=python,
        hashed=needs.hashed,
        resolved=needs.requirements is not None,
        indexes=indexes_for(needs, tools),
        on_line=tools.console.foreign,
    )
    write_stamp(folder, tools)


def write_stamp(folder: Path, tools: Tools) -> None:
    """Keep the digest of the inventory that a new environment has."""
    (folder / _STAMP).write_text(stamp_of(folder, tools), encoding="utf-8")


def stamp_of(folder: Path, tools: Tools) -> str:
    """Return the digest of the inventory that an environment has now."""
    return inventory_digest(tools.servers.inventory(folder / "bin" / "python"))


def stamp_in(folder: Path) -> str:
    """Return the digest of the inventory that an environment had when it was made; empty if it has none."""
    stamp = folder / _STAMP
    return stamp.read_text(encoding="utf-8", errors="replace") if stamp.is_file() else ""


def indexes_for(needs: Needs, tools: Tools) -> Mapping[str, str]:
    """Return the variables that point an installer to the indexes of the model's lock."""
    indexes_file = needs.model / model_files.INDEXES
    text = indexes_file.read_text(encoding="utf-8") if indexes_file.is_file() else "[]"
    return index_variables(text, tools.host.variables, hashed=needs.hashed)


def mismatches(needs: Needs, inventory: str) -> tuple[str, ...]:
    """
    Return the differences between an inventory and the requirements, and packages imported from elsewhere.

    If the requirements are not from a lock, only Python and imports are compared.
    """
    contents = read_inventory(inventory)
    lines: tuple[str, ...] = ()
    if minor_of(contents["python"]) != needs.minor:
        lines += (f"it has Python {contents['python']}, the model was trained with {needs.python}",)
    lines += tuple(f"`{name}` would be imported from {place}" for name, place in contents["elsewhere"])
    if needs.requirements is not None:
        environment = contents["marker_environment"]
        lines += installed_difference(
            needs.requirements,
            environment=environment,
            installed=tuple((name, version) for name, version in contents["installed"]),
            local=tuple((wheel.name, wheel.version) for wheel in needs.wheels if holds(wheel.marker, environment)),
        )
    return lines


def inventory_digest(inventory: str) -> str:
    """Return the SHA-256 of an inventory, independent of its order. Raises ToolFailed."""
    contents = read_inventory(inventory)
    try:
        return sha256(canonical([contents["python"], sorted(contents["installed"])]))
    except (LookupError, TypeError) as error:
        raise ToolFailed(what=_UNREADABLE, why="it is not what this program asks for") from error


def read_inventory(text: str) -> dict[str, Any]:
    """Parse the output of serving/inventory.py. Raises ToolFailed for anything else."""
    try:
        contents: dict[str, Any] = parse_json(text)
    except ValueError as error:
        raise ToolFailed(what=_UNREADABLE, why=str(error)) from error
    return contents


def minor_of(python: str) -> str:
    """Return the minor version of a Python version, which is all that pins and pickles depend on."""
    return ".".join(python.split(".")[:2])


def _python_of(model: Path) -> str:
    """Return the Python version of a model, from our file or from the environment files of MLflow."""
    for name, pattern in (
        (model_files.PYTHON, r"\A\s*(\d+\.\d+[\w.]*)"),
        ("python_env.yaml", r"^python:\s*['\"]?(\d+\.\d+[\w.]*)"),
        ("conda.yaml", r"^[ \t]*-[ \t]*['\"]?python=+(\d+\.\d+[\w.]*)"),
    ):
        path = model / name
        if path.is_file() and (match := re.search(pattern, path.read_text(encoding="utf-8"), re.MULTILINE)):
            return match[1]
    what = "the model does not name the Python that it needs"
    raise ModelUnusable(
        what=what, why="it has neither a python_env.yaml nor a conda.yaml", fix="log it again with MLflow"
    )
