"""Layers: which packages get one of their own, because they are large and change rarely; names that delete files."""

from collections.abc import Iterable
from pathlib import PurePosixPath

from ...payloads.messages.lazy_dataclass import lazy_dataclass
from ..lock.lockfile import Artifact, Package

LARGE, PACKAGES = "large", "packages"
# MLflow and its smaller editions: large although not compiled. They have most files in common, and one version, because
# `mlflow` requires the others with `==`; therefore they share a layer.
MLFLOW_EDITIONS = frozenset({"mlflow", "mlflow-skinny", "mlflow-tracing"})
_LARGE_BYTES = 5_000_000
# A layer removes a file of lower layers, or all of a folder's, by these names (OCI image specification, "Whiteouts").
WHITEOUT, OPAQUE = ".wh.", ".wh..wh..opq"


@lazy_dataclass
class PackageLayer:
    """
    The packages of one layer: a requirements file, and the names of packages installed without bytecode (`idle`).

    `folder` is the folder of the requirements file in the build context.
    """

    folder: str
    requirements: str
    idle: frozenset[str] = frozenset()


def deletes(path: PurePosixPath) -> bool:
    """Whether an engine takes a path of a layer for the deletion of another one, and makes no file of it."""
    return deletes_path(str(path))


def deletes_path(path: str) -> bool:
    """The same for a path as text."""
    return f"/{WHITEOUT}" in path or path.startswith(WHITEOUT)


def large_packages(packages: Iterable[Package]) -> frozenset[str]:
    """
    The names of large packages: those with a platform wheel (PEP 425), those of more than 5 MB, and MLflow.

    The platform counts because a lock may lack sizes. In the wine example these are a third of the packages, and 92 %
    of the bytes.
    """
    return MLFLOW_EDITIONS | {package.name for package in packages if any(map(_large, artifacts_of(package)))}


def artifacts_of(package: Package) -> tuple[Artifact, ...]:
    """The wheels of a package, else its source distribution."""
    return package.wheels or ((package.sdist,) if package.sdist else ())


def _large(artifact: Artifact) -> bool:
    compiled = artifact.file.endswith(".whl") and not artifact.file.endswith("-any.whl")
    return compiled or (artifact.size or 0) > _LARGE_BYTES
