"""Compares the platforms of an image with this machine."""

from collections.abc import Iterator

from ...command.errors import NoEngine
from ...command.report import Finding, Severity
from ...command.wording import Wording, option
from ...core.release.record import ImageLink
from ...tools.engines.engine import Engine
from ...tools.toolbox import Tools

# The architectures of `uname` as images write them.
ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64"}


def architecture_here(engine: Engine | None, tools: Tools) -> str:
    """Return the architecture of the engine, or of this machine, as images write it; empty for an unknown one."""
    return ARCHITECTURES.get(tools.host.machine, "") if engine is None else engine.architecture()


def require_native(image: ImageLink, tools: Tools) -> None:
    """Raise NoEngine for a composed image that is for other platforms than this machine: nothing is emulated."""
    if image.composition is None:
        return
    architectures, here = image.composition.composed_for, architecture_here(None, tools)
    if here not in architectures:
        platforms = [f"linux/{name}" for name in architectures]
        raise NoEngine(
            what=f"the image `{image.tag}` cannot be started here",
            why=f"it is for {', '.join(platforms)}, and this machine is linux/{here}",
            fix=Wording(option("platforms", ",".join((*platforms, f"linux/{here}"))), ", or test it on such a machine"),
        )


def untested_platforms(image: ImageLink | None, tools: Tools) -> Iterator[Finding]:
    """Yield a notice about the images of an index that a test on this machine did not start."""
    if image is None or image.composition is None or len(image.composition.composed_for) == 1:
        return
    here = architecture_here(tools.engines.named(image.engine) if image.engine else None, tools)
    others = [f"linux/{name}" for name in image.composition.composed_for if name != here]
    yield Finding(
        rule="platforms-not-tested",
        severity=Severity.NOTICE,
        what=f"the image for {', '.join(others)} was not started",
        why=f"this machine is linux/{here}; the packages and the model in its layers were compared",
    )
