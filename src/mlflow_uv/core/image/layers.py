"""In which layers do packages lie? What is large seldom changes, and is built and sent again only then."""

from collections.abc import Iterable
from dataclasses import dataclass

from ..lock.lockfile import Artifact, Package

LARGE, PACKAGES = "large", "packages"
# Not compiled, and yet larger than most that are; they lie in one folder, so that they belong into one layer.
_LARGE_ANYWAY = frozenset({"mlflow", "mlflow-skinny", "mlflow-tracing"})
_LARGE_BYTES = 5_000_000


@dataclass(frozen=True, kw_only=True, slots=True)
class Part:
    """
    What one layer gets: the text of a list to install, and the names of what is installed without bytecode.

    `folder` is where the list lies in what an image is built from.
    """

    folder: str
    requirements: str
    idle: frozenset[str] = frozenset()


def large(packages: Iterable[Package]) -> frozenset[str]:
    """
    The names of what is compiled, which has a wheel for some platform (PEP 425), of what is of some MB, and of MLflow.

    A lock need not say how large a file is. Of the wine example these are a third of the packages, and 92 % of the
    bytes.
    """
    return _LARGE_ANYWAY | {package.name for package in packages if any(map(_large, _artifacts(package)))}


def _artifacts(package: Package) -> tuple[Artifact, ...]:
    return package.wheels or ((package.sdist,) if package.sdist else ())


def _large(artifact: Artifact) -> bool:
    compiled = artifact.file.endswith(".whl") and not artifact.file.endswith("-any.whl")
    return compiled or (artifact.size or 0) > _LARGE_BYTES
