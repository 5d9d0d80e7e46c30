"""A missing library is an error, and one that build-image links a notice."""

import pytest

from mlflow_uv.command.report import Severity
from mlflow_uv.ops.diagnosis.libraries import MissingLibrary, SystemLibraries, library_findings

BASE = SystemLibraries(base="python:3.11-slim", names=())
GOMP = MissingLibrary(
    package="lightgbm", file="lib_lightgbm.so", library="libgomp.so.1", copy="libgomp-0123456789ab.so.1.0.0"
)
GL = MissingLibrary(package="opencv-python", file="cv2.so", library="libGL.so.1", copy="")


@pytest.mark.parametrize(
    ("links", "expected"),
    [
        (True, [("library-linked", Severity.NOTICE), ("library-missing", Severity.ERROR)]),
        (False, [("library-missing", Severity.ERROR), ("library-missing", Severity.ERROR)]),
    ],
)
def test_a_library_that_is_linked_by_build_image_is_no_error(links: bool, expected: list[tuple[str, Severity]]) -> None:
    """
    Without this program's image nothing links the copy.
    """
    found = list(library_findings((GOMP, GL), BASE, links=links))

    assert expected == [(finding.rule, finding.severity) for finding in found]
    assert ("libGL.so.1" in found[1].what, "apt-get install libgl1" in found[1].fix) == (True, True)


def test_a_library_of_this_machine_is_installed_here() -> None:
    """
    Where no base image is known, the model is served on this machine.
    """
    (found,) = library_findings((GL,), SystemLibraries(base="", names=()), links=False)

    assert ("this machine has no libGL.so.1", True) == (found.what.partition(",")[0], "libgl1" in found.fix)
