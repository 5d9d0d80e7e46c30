"""What is said of a library that is missing."""

import pytest

from mlflow_uv.core.image.system_libraries import base_image_fix, install_fix, missing_library

LOADER = "OSError: libgomp.so.1: cannot open shared object file: No such file or directory"


@pytest.mark.parametrize(
    ("text", "library"),
    [
        (LOADER, "libgomp.so.1"),
        ("ImportError: libGL.so.1: cannot open shared object file: No such file or directory", "libGL.so.1"),
        ("Error loading module: /opt/x/libpq.so.5: cannot open shared object file: No such file", "libpq.so.5"),
        ("Error loading shared library libpq.so.5: No such file or directory (needed by /usr/x.so)", "libpq.so.5"),
        ("OSError: sndfile library not found using ctypes.util.find_library", "libsndfile.so.1"),
        ("ctypes.util.find_library() did not manage to locate a library called 'sndfile'", "libsndfile.so.1"),
        ("KeyError: 'a.so'", ""),
    ],
)
def test_the_library_is_named_by_whoever_misses_it(text: str, library: str) -> None:
    """
    The loader of either C library, or a package that asks for it by its bare name; another error names none.
    """
    assert library == missing_library(text)


def test_a_base_image_is_made_with_the_packages_of_all_that_is_missing() -> None:
    """
    Each once, and a package that needs none of it where there is one.
    """
    told = base_image_fix(
        ["libGL.so.1", "libglib-2.0.so.0", "libgthread-2.0.so.0"], base="python:3.11-slim", needed_by="opencv-python"
    )

    assert (
        "--base-image NAME of an image built `FROM python:3.11-slim` with apt-get install libgl1 libglib2.0-0,"
        " or uv remove opencv-python && uv add opencv-python-headless"
    ) == told


def test_a_library_that_nobody_knows_has_no_made_up_package() -> None:
    """
    What brings it is not guessed.
    """
    assert "the system package that contains it" in base_image_fix(["libstrange.so.4"])
    assert "install the package that contains libstrange.so.4 on this machine" == install_fix("libstrange.so.4")
