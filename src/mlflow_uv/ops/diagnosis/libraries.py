"""Compares the shared libraries that wheels of a model link with those of its base image or of this machine."""

from collections.abc import Iterable, Iterator
from pathlib import Path

from ...command.errors import NoEngine, StepError
from ...command.inputs import EngineChoice
from ...command.report import Finding, Severity
from ...core.image.system_libraries import base_image_fix, install_fix
from ...core.security.documents import parse_json
from ...payloads.messages.lazy_dataclass import lazy_dataclass
from ...tools.toolbox import Tools
from ..image.build import default_base, inspect_base
from ..image.environment import Needs


@lazy_dataclass
class SystemLibraries:
    """The names of the shared libraries of a base image; of this machine if `base` is empty."""

    base: str
    names: tuple[str, ...]

    @property
    def place(self) -> str:
        """Where they are, for messages."""
        return f"the base image `{self.base}`" if self.base else "this machine"


@lazy_dataclass
class MissingLibrary:
    """A library that a file of a package is linked with; `copy` is one in another package, which build-image links."""

    package: str
    file: str
    library: str
    copy: str


def libraries_of_base(base: str | None, needs: Needs, engine: EngineChoice, tools: Tools) -> SystemLibraries:
    """
    Return the libraries of a base image, by default the slim one of the model's Python.

    Without an engine, and without a base that was asked for, return those of this machine. Raises BaseImageMissing,
    BaseImageUnfit, NoEngine.
    """
    if engine is EngineChoice.NONE:
        return _of_machine(tools)
    try:
        container_engine = tools.engines.available(EngineChoice.ANY if engine is EngineChoice.AUTO else engine)
    except NoEngine:
        if base is None and engine is EngineChoice.AUTO:
            return _of_machine(tools)
        raise
    image = inspect_base(base or default_base(needs), needs, container_engine, tools)
    argv = (image.python, "-I", "-B", "-", "--names")
    names = parse_json(container_engine.run_inside(image.name, *argv, stdin=tools.contexts.libraries))
    return SystemLibraries(base=image.name, names=tuple(map(str, names)))


def _of_machine(tools: Tools) -> SystemLibraries:
    return SystemLibraries(base="", names=tools.libraries.system_names())


def missing_libraries(packages: Path, system: SystemLibraries, tools: Tools) -> tuple[MissingLibrary, ...]:
    """Return the libraries that packages in a folder are linked with, and that neither they nor the system have."""
    return tuple(
        MissingLibrary(package=package, file=file, library=library, copy=copy)
        for package, file, library, copy in tools.libraries.compare(packages, system.names, elsewhere=bool(system.base))
    )


def library_findings(missing: Iterable[MissingLibrary], system: SystemLibraries, *, links: bool) -> Iterator[Finding]:
    """
    Yield an error for each package with a missing library.

    With `links`, build-image makes the image, and a library with a copy in another package is a notice.
    """
    by_package: dict[str, list[MissingLibrary]] = {}
    for library in missing:
        by_package.setdefault(library.package, []).append(library)
    for package, libraries in by_package.items():
        absent = tuple(dict.fromkeys(item.library for item in libraries if not (links and item.copy)))
        linked = tuple(dict.fromkeys(item.library for item in libraries if links and item.copy))
        if absent:
            files = ", ".join(dict.fromkeys(item.file for item in libraries if not (links and item.copy)))
            yield Finding(
                rule="library-missing",
                what=f"{system.place} has no {', '.join(absent)}, which `{package}` is linked with",
                why=f"{files} cannot be loaded without it",
                fix=(
                    base_image_fix(absent, base=system.base, needed_by=package)
                    if system.base
                    else install_fix(absent[0])
                ),
            )
        if linked:
            yield Finding(
                rule="library-linked",
                severity=Severity.NOTICE,
                what=f"{system.place} has no {', '.join(linked)}, which `{package}` is linked with",
                why="build-image links the copy of another package; MLflow's own image lacks it",
                fix=base_image_fix(linked, base=system.base, needed_by=package) if system.base else "",
            )


def unknown_libraries(error: StepError) -> Finding:
    """Return the warning that libraries could not be compared: that is not the same as complete."""
    return Finding(
        rule="libraries-unknown",
        severity=Severity.WARNING,
        what=f"the shared libraries of the model's packages were not checked: {error.what}",
        why=error.why,
        fix=error.fix,
    )
