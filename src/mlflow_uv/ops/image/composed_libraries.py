"""Finds shared libraries that packages of a composed image lack, and links to copies in other packages."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import asdict
from pathlib import PurePosixPath

from ...command.report import Finding, Severity
from ...core.image.dockerfile import VENV
from ...core.image.system_libraries import base_image_fix
from ...core.release.digests import canonical, sha256
from ...core.security.documents import parse_json
from ...payloads.messages.lazy_dataclass import lazy_dataclass
from ...payloads.messages.reader import read
from ...tools.engines.library_scanner import CompiledCode
from ...tools.layers.archive import LayerFile
from ...tools.layers.loader import Loader
from ...tools.layers.package_layers import PackagesAsLayers
from ...tools.project.files import write_atomically
from ...tools.toolbox import Tools
from .build import linked_library

# Changes when the same packages give other results.
FORMAT = 4


@lazy_dataclass
class LackingLibrary:
    """A library that a file of a package is linked with; `copy` is the path of one in another package, or empty."""

    package: str
    library: str
    copy: str


@lazy_dataclass
class SharedLibraries:
    """The libraries that neither packages nor base have, and what those of the packages need of the base."""

    lacking: tuple[LackingLibrary, ...] = ()
    code: CompiledCode = CompiledCode()

    @property
    def links(self) -> Mapping[str, str]:
        """The copy of each library that has one which fits every package that lacks it."""
        copies: dict[str, set[str]] = {}
        for item in self.lacking:
            copies.setdefault(item.library, set()).add(item.copy)
        return {name: min(paths) for name, paths in sorted(copies.items()) if len(paths) == 1 and "" not in paths}


def shared_libraries(packages: PackagesAsLayers, loader: Loader, tools: Tools) -> SharedLibraries:
    """
    Return what is lacking, a function of the described libraries and the base, which is kept.

    The descriptions in the lists of the layers are examined, and no library is unpacked. Raises ToolFailed, OSError.
    """
    # The key has no digests of layers: whoever composed an image that is in a registry described its layers.
    described = packages.libraries
    key = sha256(canonical([FORMAT, described, loader.names, str(loader.folder), tools.libraries.programs]))
    file = tools.host.cache / "shared-libraries" / f"{key}.json"
    try:
        content = parse_json(file.read_bytes())
        if content["sha256"] == sha256(canonical([key, content["found"]])):
            return read(SharedLibraries, content["found"], what="the list of shared libraries")
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        pass  # not kept yet, or changed
    examined = tools.libraries.examine(described, loader.names)
    lacking = {(package, library, f"{VENV}/{copy}" if copy else "") for package, _, library, copy in examined.lacking}
    found = SharedLibraries(
        lacking=tuple(
            LackingLibrary(package=package, library=library, copy=copy) for package, library, copy in sorted(lacking)
        ),
        code=examined.code,
    )
    kept = asdict(found)
    write_atomically(file, json.dumps({"found": kept, "sha256": sha256(canonical([key, kept]))}).encode())
    return found


def library_links(found: SharedLibraries, loader: Loader) -> dict[PurePosixPath, LayerFile]:
    """Return the links of a layer, in the folder that the loader searches last."""
    if loader.folder is None:
        return {}
    return {loader.folder / name: LayerFile(target=copy) for name, copy in found.links.items()}


def unexamined_libraries(found: SharedLibraries, base: str) -> Iterator[Finding]:
    """Yield what an examination in the image would find, for an image that no engine here can start."""
    links = found.links
    for library, copy in links.items():
        yield linked_library(library, copy.removeprefix(f"{VENV}/"))
    lacking: dict[str, list[str]] = {}
    for item in found.lacking:
        if item.library not in links:
            lacking.setdefault(item.package, []).append(item.library)
    for package, libraries in lacking.items():
        names = tuple(dict.fromkeys(libraries))
        yield Finding(
            rule="image-library-missing",
            severity=Severity.WARNING,
            what=f"`{package}` is linked with libraries that the image does not have: {', '.join(names)}",
            why="no engine started the image, so that it is not known whether the model loads without them",
            fix=base_image_fix(names, base=base, needed_by=package),
        )
