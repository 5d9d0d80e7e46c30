"""In which layers do packages lie? What is large seldom changes, and is built and sent again only then."""

from collections.abc import Iterable
from dataclasses import dataclass

from .lockfile import Package

LARGE, PACKAGES = "large", "packages"
# Compiled nowhere, and yet larger than most that are.
_LARGE_ANYWAY = frozenset({"mlflow", "mlflow-skinny"})


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
    The names of what is compiled, which has a wheel for some platform (PEP 425), and of MLflow.

    A lock need not say how large a file is. Of the wine example these are 27 of 87 packages, and 95 % of the bytes.
    """
    return _LARGE_ANYWAY | {
        package.name for package in packages if any(not wheel.file.endswith("-any.whl") for wheel in package.wheels)
    }
