"""Finds the missing shared library in an error, and the fix that installs it."""

from collections.abc import Iterable

from ...command.lazy_pattern import lazy_pattern
from ...command.wording import Wording, local, option

# The messages of glibc's and musl's loaders, and those of packages that load a library by its short name.
_ABSENT = lazy_pattern(
    r"(?:^|[\s/'])([\w.+-]+\.so[\w.]*): cannot open shared object file|loading shared library (\S+\.so[\w.]*): "
)
_BARE = lazy_pattern(r"locate a library called ['`\"](\w+)|\b(\w+) library not found using ctypes")
_BY_BARE_NAME = {"sndfile": "libsndfile.so.1", "geos_c": "libgeos_c.so.1", "pq": "libpq.so.5", "magic": "libmagic.so.1"}
# The Debian packages by the names of their libraries.
_PACKAGES = {
    "libGL.so.1": "libgl1", "libEGL.so.1": "libegl1", "libICE.so.6": "libice6", "libSM.so.6": "libsm6",
    "libX11.so.6": "libx11-6", "libXext.so.6": "libxext6", "libXrender.so.1": "libxrender1", "libxcb.so.1": "libxcb1",
    "libatomic.so.1": "libatomic1", "libcairo.so.2": "libcairo2", "libgeos_c.so.1": "libgeos-c1v5",
    "libgfortran.so.5": "libgfortran5", "libgio-2.0.so.0": "libglib2.0-0", "libglib-2.0.so.0": "libglib2.0-0",
    "libgobject-2.0.so.0": "libglib2.0-0", "libgomp.so.1": "libgomp1", "libgthread-2.0.so.0": "libglib2.0-0",
    "libmagic.so.1": "libmagic1", "libmariadb.so.3": "libmariadb3", "libnuma.so.1": "libnuma1",
    "libodbc.so.2": "libodbc2", "libopenblas.so.0": "libopenblas0", "libOpenCL.so.1": "ocl-icd-libopencl1",
    "libpango-1.0.so.0": "libpango-1.0-0", "libportaudio.so.2": "libportaudio2", "libpq.so.5": "libpq5",
    "libquadmath.so.0": "libquadmath0", "libsndfile.so.1": "libsndfile1", "libtbb.so.12": "libtbb12",
    "libusb-1.0.so.0": "libusb-1.0-0", "libxslt.so.1": "libxslt1.1",
}  # fmt: skip
# Distributions of the same code that need no system library.
_INSTEAD = {
    "opencv-contrib-python": "opencv-contrib-python-headless",
    "opencv-python": "opencv-python-headless",
    "psycopg2": "psycopg2-binary",
}


def missing_library(text: str) -> str:
    """The library that a program could not open, from the loader's message; empty without one."""
    if absent := _ABSENT.search(text):
        return absent[1] or absent[2]
    short_name = _BARE.search(text)
    return _BY_BARE_NAME.get(short_name[1] or short_name[2], "") if short_name else ""


def debian_packages(libraries: Iterable[str]) -> tuple[str, ...]:
    """The Debian packages that contain these libraries; unknown libraries are skipped."""
    packages = (_PACKAGES.get(package) for package in libraries)
    return tuple(dict.fromkeys(package for package in packages if package))


def base_image_fix(libraries: Iterable[str], *, base: str = "", needed_by: str = "") -> str:
    """The fix for libraries missing in an image: a base image with them, or a package that does not need them."""
    known = debian_packages(libraries)
    line = f"apt-get install {' '.join(known)}" if known else "the system package that contains it"
    replacement = replacement_fix(needed_by)
    return Wording(
        option("base-image", "NAME"),
        f" of an image built {f'`FROM {base}`' if base else 'from the same base'} with {line}",
        *((f", or {replacement}",) if replacement else ()),
    )


def replacement_fix(package: str) -> str:
    """The command that replaces a package by one that needs no system library; empty where there is none."""
    replacement = _INSTEAD.get(package)
    return f"uv remove {package} && uv add {replacement}" if replacement else ""


def machine_fix(text: str) -> str:
    """The fix for the missing library in an error on this machine; empty where the error names none."""
    absent = missing_library(text)
    return install_fix(absent) if absent else ""


def install_fix(library: str) -> str:
    """The fix for a library missing on this machine."""
    known = debian_packages([library])
    if not known:
        return f"install the package that contains {library} on this machine"
    line = f"apt-get install {known[0]}"
    return Wording(
        local(line, f"a step with `sudo {line}` before this one"), ", or the package that contains it on this machine"
    )
