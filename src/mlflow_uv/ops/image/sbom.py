"""What is in an image, for those who keep bills of materials, or pay for bytes?"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from ...command.errors import StepError
from ...command.report import Finding, Severity, Table
from ...core.image.layers import Part
from ...core.image.sbom import installed_only, render_sbom
from ...core.model import model_files
from ...tools.engines.engine import BuiltImage, Engine
from ...tools.project.files import read_project, write_atomically
from ...tools.toolbox import Tools
from ..lineage.recompute import RecomputedRelease
from .environment import read_inventory


@dataclass(frozen=True, kw_only=True, slots=True)
class Bill:
    """The file of a bill of materials, or why there is none."""

    file: Path | None
    findings: tuple[Finding, ...] = ()


def bill_of(found: RecomputedRelease, inventory: str, record: Path, tools: Tools) -> Bill:
    """Write the lock's own bill (CycloneDX 1.5) of what an inventory lists, beside the record."""
    folder = found.model / Path(model_files.LOCK).parent
    if not (found.model / model_files.LOCK).is_file():
        return Bill(file=None)
    said = read_inventory(inventory)
    try:
        raw = tools.uv.sbom(read_project(folder), found.record.selection)
        text = render_sbom(
            installed_only(raw, {name for name, _ in said["installed"]}), environment=said["marker_environment"]
        )
    except (StepError, ValueError) as error:
        what = "no bill of materials was written"
        return Bill(
            file=None, findings=(Finding(rule="no-sbom", what=what, why=str(error), severity=Severity.WARNING),)
        )
    path = record.with_suffix(".cdx.json")
    write_atomically(path, text.encode(), within=tools.records.bounds_of(path))
    return Bill(file=path)


def sizes_of(image: BuiltImage, engine: Engine, parts: Sequence[Part]) -> Table:
    """The size of an image, by what its layers are for; `parts` are those of its packages."""
    layers = engine.layers(image.id)
    server, model = [at for at, layer in enumerate(layers) if "ADD " in layer.made_by][-2:]
    below = [layer.size for layer in layers[:server] if layer.size]  # a label has a place in the history, too
    sizes = {
        "base": sum(below[: -len(parts)]),
        **{part.folder: size for part, size in zip(parts, below[-len(parts) :], strict=True)},
        "server": layers[server].size,
        "model": layers[model].size,
    }
    rows = tuple((name, f"{size / 1e6:.1f} MB") for name, size in sizes.items())
    return Table(title="Image", columns=("layer", "size"), rows=(*rows, ("all", f"{image.size / 1e6:.1f} MB")))
