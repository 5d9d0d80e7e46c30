"""Says which shared library of the system is missing, and what brings it."""

import re
from collections.abc import Iterable

from ...command.wording import Wording, local, option

# As the loaders of glibc and of musl say it, and what asks for a library by its bare name.
_ABSENT = re.compile(
    r"(?:^|[\s/'])([\w.+-]+\.so[\w.]*): cannot open shared object file|loading shared library (\S+\.so[\w.]*): "
)
_BARE = re.compile(r"locate a library called ['`\"](\w+)|\b(\w+) library not found using ctypes")
_BY_BARE_NAME = {"sndfile": "libsndfile.so.1", "geos_c": "libgeos_c.so.1", "pq": "libpq.so.5", "magic": "libmagic.so.1"}
# The Debian packages with these, by the beginning of a library's name; on another system a package of another name.
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
# The same code without what only a screen or a compiler needs.
_INSTEAD = {
    "opencv-contrib-python": "opencv-contrib-python-headless",
    "opencv-python": "opencv-python-headless",
    "psycopg2": "psycopg2-binary",
}


def missing_library(text: str) -> str:
    """The library that a program could not open, by the loader's own words; empty where they are not there."""
    if found := _ABSENT.search(text):
        return found[1] or found[2]
    bare = _BARE.search(text)
    return _BY_BARE_NAME.get(bare[1] or bare[2], "") if bare else ""


def debian_packages(libraries: Iterable[str]) -> tuple[str, ...]:
    """The packages of Debian that bring them; a search for the name of each that is not known."""
    names = (_PACKAGES.get(name) for name in libraries)
    return tuple(dict.fromkeys(name for name in names if name))


def base_with(libraries: Iterable[str], *, base: str = "", needed_by: str = "") -> str:
    """What puts libraries into the image: a base image that has them, or a package that needs none."""
    known = debian_packages(libraries)
    line = f"apt-get install {' '.join(known)}" if known else "a package of its system that brings it"
    instead = instead_of(needed_by)
    return Wording(
        option("base-image", "NAME"),
        f" of an image that is made {f'`FROM {base}`' if base else 'from the same base'} with {line}",
        *((f", or {instead}",) if instead else ()),
    )


def instead_of(package: str) -> str:
    """The line that puts a package in another's place which needs nothing of the system; empty where there is none."""
    instead = _INSTEAD.get(package)
    return f"uv remove {package} && uv add {instead}" if instead else ""


def machine_fix(text: str) -> str:
    """What puts the library onto this machine that a program could not open; empty where its words name none."""
    absent = missing_library(text)
    return machine_with(absent) if absent else ""


def machine_with(library: str) -> str:
    """What puts a library onto this machine."""
    known = debian_packages([library])
    if not known:
        return f"install what brings {library} on this machine"
    line = f"apt-get install {known[0]}"
    return Wording(local(line, f"a step with `sudo {line}` before this one"), ", or what brings it on this machine")
