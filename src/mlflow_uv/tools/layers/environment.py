"""Describes the layers of an image that hold no packages: the environment itself, and the base's compiled library."""

from collections.abc import Iterator
from pathlib import Path, PurePosixPath

from ...core.image.dockerfile import VENV
from .archive import LayerFile
from .compiler import Compiler
from .saved_image import BasePython, SavedImage

_LIBRARY = "standard library"
# Folders of a standard library in which other programs install packages.
_ELSEWHERE = frozenset({"dist-packages", "site-packages"})


def environment_files(python: BasePython) -> dict[PurePosixPath, LayerFile]:
    """
    The files of an empty environment of the base's Python: its interpreter, and where that finds its library.

    Scripts that activate an environment in a shell are left out; PATH of the image has its programs.
    """
    home = PurePosixPath(VENV)
    minor = ".".join(python.version.split(".")[:2])
    settings = {
        "home": str(python.command.parent),
        "implementation": "CPython",
        "version_info": python.version,
        "include-system-site-packages": "false",
    }
    return {
        home / "bin" / "python": LayerFile(target=str(python.command)),
        home / "bin" / "python3": LayerFile(target="python"),
        home / "bin" / f"python{minor}": LayerFile(target="python"),
        home / "lib64": LayerFile(target="lib"),
        home / "pyvenv.cfg": LayerFile(data="".join(f"{k} = {v}\n" for k, v in settings.items()).encode()),
    }


def library_files(
    image: SavedImage, python: BasePython, compiler: Compiler, scratch: Path
) -> dict[PurePosixPath, LayerFile]:
    """The bytecode of the base's standard library, for the modules that have none; written below `scratch`."""
    sources = {path: scratch / "sources" / path.relative_to("/") for path in _uncompiled(image, python)}
    image.files(sources)
    modules = [(path, source) for path, source in sources.items() if source.is_file()]
    return compiler.compile({_LIBRARY: modules}, scratch / "bytecode")[_LIBRARY]


def _uncompiled(image: SavedImage, python: BasePython) -> Iterator[PurePosixPath]:
    compiled = f".cpython-{''.join(python.version.split('.')[:2])}.pyc"
    for entry in image.tree.below(python.library):
        path = entry.path
        bytecode = path.parent / "__pycache__" / f"{path.stem}{compiled}"
        if path.suffix == ".py" and _ELSEWHERE.isdisjoint(path.parts) and bytecode not in image.tree:
            yield path
