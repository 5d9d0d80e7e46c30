"""Reports about a composed image: findings about its layers, and their sizes."""

from collections.abc import Iterator

from ...command.report import Finding, Severity, Table, TableKind, first_names
from .composed import ComposedServingImage, changed_layers
from .composed_base import ComposableBase
from .composed_sources import source_findings, unloadable_findings
from .layer_offer import not_taken


def composed_findings(composed: ComposedServingImage, base: ComposableBase) -> Iterator[Finding]:
    """Yield the findings about the base, and notices about packages, their files and changed layers in the cache."""
    yield from base.findings
    yield from source_findings(composed.built, base)
    yield from unloadable_findings(composed.unloadable, base)
    yield from changed_layers((composed,))
    if composed.taken:
        one = len(composed.taken) == 1
        layers = "a layer of the image is" if one else f"{len(composed.taken)} layers of the image are"
        yield Finding(
            rule="image-layers-taken",
            severity=Severity.NOTICE,
            what=f"{layers} from {composed.taken_from}, and {'was' if one else 'were'} not made here",
            why="whoever pushed that image decided what is in them; audit makes each layer again, and compares",
        )
    if composed.not_taken:
        yield not_taken(composed.taken_from, composed.not_taken)
    if replaced := [str(path) for path in composed.packages.replaced]:
        yield Finding(
            rule="image-files-differ",
            severity=Severity.NOTICE,
            what=f"packages bring different files for {first_names(replaced)}",
            why="the image has that of the package whose layer is higher; an installation has any of them",
        )


def composed_sizes(composed: ComposedServingImage, base: ComposableBase) -> Table:
    """Return a table of the compressed sizes of the layers by purpose."""
    below = len(base.image.base.layers)
    layers = composed.image.blobs[1:]
    packages = layers[below + 2 : below + 2 + len(composed.packages.layers)]
    sizes = {
        "base": layers[:below],
        "bytecode of the base": layers[below : below + 1],
        "environment": layers[below + 1 : below + 2],
        f"packages ({len(packages)} layers)": packages,
        "server": layers[-2:-1],
        "model": layers[-1:],
        "all": layers,
    }
    rows = tuple((name, f"{sum(blob.size for blob in blobs) / 1e6:.1f} MB") for name, blobs in sizes.items())
    return Table(title="Image", columns=("layer", "compressed size"), rows=rows, kind=TableKind.DETAILS)
