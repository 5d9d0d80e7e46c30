"""Writes the SBOM of an image, and tabulates the sizes of its layers."""

import os
from collections.abc import Sequence
from pathlib import Path

from ...command.errors import StepError
from ...command.report import Finding, Severity, Table, TableKind
from ...core.image.composition import BASE_LIBRARY
from ...core.image.layers import PackageLayer
from ...core.image.sbom import keep_components, render_sbom
from ...core.model import model_files
from ...core.model.licences import Licences, read_licences
from ...core.release.record import Record
from ...core.security.size_limits import MANIFEST_LIMIT
from ...payloads.messages.lazy_dataclass import lazy_dataclass
from ...tools.engines.engine import BuiltImage, Engine, ImageLayer
from ...tools.project.files import read_project, write_atomically
from ...tools.system.untrusted_file import read_untrusted
from ...tools.toolbox import Tools
from ..lineage.recompute import RecomputedRelease
from .environment import read_inventory


@lazy_dataclass
class ImageSbom:
    """The SBOM file of an image, or a finding why there is none."""

    file: Path | None
    findings: tuple[Finding, ...] = ()


_INSTALLER = "/installer/install.py"
_ADDED = {"ADD server.tar": "server", "ADD model.tar": "model"}


def write_sbom(release: RecomputedRelease, inventory: str, record: Path, tools: Tools) -> ImageSbom:
    """Write the SBOM (CycloneDX 1.5) of the packages in an inventory, from the model's lock, next to the record."""
    folder = release.model / Path(model_files.LOCK).parent
    if not (release.model / model_files.LOCK).is_file():
        return ImageSbom(file=None)
    contents = read_inventory(inventory)
    try:
        raw = tools.uv.sbom(read_project(folder), release.record.selection)
        text = render_sbom(
            keep_components(raw, {name for name, _ in contents["installed"]}),
            environment=contents["marker_environment"],
            licences=_licences(release.model),
        )
    except (StepError, ValueError) as error:
        what = "no SBOM was written"
        return ImageSbom(
            file=None, findings=(Finding(rule="no-sbom", what=what, why=str(error), severity=Severity.WARNING),)
        )
    path = record.with_suffix(".cdx.json")
    write_atomically(path, text.encode(), within=tools.records.bounds_of(path))
    return ImageSbom(file=path)


def locked_sbom(model: Path, record: Record, tools: Tools) -> str:
    """Return the SBOM of the lock in a model, empty without one. Raises StepError and ValueError if there is none."""
    if not (model / model_files.LOCK).is_file():
        return ""
    folder = model / Path(model_files.LOCK).parent
    return render_sbom(
        tools.uv.sbom(read_project(folder), record.selection), environment=None, licences=_licences(model)
    )


def _licences(model: Path) -> Licences:
    """
    Return the licences that were recorded with a model; an earlier release recorded none.

    Raises ValueError and BadInput for a file that is something else.
    """
    file = model / model_files.LICENCES
    return read_licences(read_untrusted(file, limit=MANIFEST_LIMIT)) if os.path.lexists(file) else {}


def named_layers(layers: Sequence[ImageLayer]) -> tuple[tuple[str, int], ...]:
    """
    Return the layers of an image that this program built, from the first, by what they contain, with their sizes.

    All layers below those of this program are the base. A layer of another program keeps the command that made it, and
    a composed layer its name.
    """
    filled = [layer for layer in layers if layer.size]
    first = next((at for at, layer in enumerate(filled) if _is_above_base(layer)), 0)
    installs = sum(_INSTALLER in layer.made_by for layer in filled)
    named = [("base image", sum(layer.size for layer in filled[:first]))] if first else []
    for layer in filled[first:]:
        if _INSTALLER in layer.made_by:
            large = installs > 1 and " --more " not in layer.made_by
            name = "large packages" if large else "packages"
        else:
            name = next((name for words, name in _ADDED.items() if words in layer.made_by), layer.made_by)
        named.append((name, layer.size))
    return tuple(named)


def _is_above_base(layer: ImageLayer) -> bool:
    return _INSTALLER in layer.made_by or layer.made_by == BASE_LIBRARY


def layer_sizes(image: BuiltImage, engine: Engine, parts: Sequence[PackageLayer]) -> Table:
    """Return a table of layer sizes by purpose; `parts` are the package layers."""
    layers = engine.layers(image.id)
    server, model = [at for at, layer in enumerate(layers) if "ADD " in layer.made_by][-2:]
    below = [layer.size for layer in layers[:server] if layer.size]  # labels are in the history too
    sizes = {
        "base": sum(below[: -len(parts)]),
        **{part.folder: size for part, size in zip(parts, below[-len(parts) :], strict=True)},
        "server": layers[server].size,
        "model": layers[model].size,
    }
    rows = tuple((name, f"{size / 1e6:.1f} MB") for name, size in sizes.items())
    return Table(
        title="Image",
        columns=("layer", "size"),
        rows=(*rows, ("all", f"{image.size / 1e6:.1f} MB")),
        kind=TableKind.DETAILS,
    )
