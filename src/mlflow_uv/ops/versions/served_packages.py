"""Finds the packages of a version's lock that its image or a target of the project installs."""

from collections.abc import Sequence
from pathlib import Path

from ...core.image.sbom import served_components
from ...core.lock.targets import Target, parse_target
from ...core.promotion.licences import image_targets
from ...core.release.record import Record
from ...payloads.messages.lazy_dataclass import lazy_dataclass
from ...tools.toolbox import Tools
from ..image.sbom import locked_sbom


@lazy_dataclass
class ServedPackages:
    """The SBOM of the packages that are installed, the names and versions of the others, and the targets."""

    sbom: str
    others: tuple[str, ...]
    targets: tuple[Target, ...]


def served_packages(model: Path, record: Record, project_targets: Sequence[str], tools: Tools) -> ServedPackages:
    """Return the packages of a model's lock. Raises StepError and ValueError if they cannot be read."""
    sbom = locked_sbom(model, record, tools)
    if not sbom:
        raise ValueError("the model has no lock")
    image = record.image
    architectures = image.composition.composed_for if image and image.composition else ()
    targets = (*image_targets(record.model.python, architectures), *map(parse_target, project_targets))
    kept, others = served_components(sbom, [target.environment for target in targets])
    return ServedPackages(sbom=kept, others=others, targets=targets)
