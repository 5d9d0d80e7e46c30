"""Reads an image as an engine saves it, and what its files say about its Python; nothing in it is executed."""

import re
import tarfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from errno import ENOSPC
from functools import cached_property
from pathlib import Path, PurePosixPath
from typing import IO, Any

from ...command.errors import ToolFailed
from ...command.lazy_pattern import lazy_pattern
from ...core.image.composition import BaseLayers, Blob
from ...core.image.file_tree import EntryKind, FileTree, TreeEntry
from ...core.security.documents import parse_json
from ...payloads.messages.lazy_dataclass import lazy_dataclass
from .archive import compress_archive
from .layer_archives import MALFORMED, MOST_PATHS, MOST_UNPACKED, decompressed, opened_archive, path_of

_DEFAULT_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
_PYTHONS = ("python3", "python")
_MOST_BYTES = 1 << 20
_MOST_DESCRIPTION = 32 << 20  # bytes of a manifest or a configuration
_MOST_LIBRARY = 64 << 20  # bytes of a C library
_MOST_LINKS = 40  # as in Linux
_GLIBC = lazy_pattern(rb"GNU C Library [^\n]*release version (\d{1,4})\.(\d{1,4})")
_CXX = lazy_pattern(rb"\0(GLIBCXX|CXXABI)_(\d{1,4}(?:\.\d{1,4})+)(?=\0)")
_FEATURE = lazy_pattern(rb"\0(GLIBC_ABI_[A-Z0-9_]{1,64})(?=\0)")
_VERSION = lazy_pattern(r"3\.\d{1,3}\.\d{1,3}(?:(?:a|b|rc)\d{1,3})?\+?")
_UNREADABLE = "the base image cannot be read"


class UnpackedLayers:
    """The uncompressed layers of an image, lowest first, and its paths; both are read when they are needed first."""

    def __init__(self, unpack: Callable[[], tuple[Path, ...]]) -> None:
        self._unpack = unpack

    @cached_property
    def plain(self) -> tuple[Path, ...]:
        """The layers. Raises ToolFailed."""
        return self._unpack()

    @cached_property
    def tree(self) -> FileTree:
        """The paths. Raises ToolFailed."""
        return _tree(self.plain)


@lazy_dataclass
class SavedImage:
    """
    An image in a folder: its configuration, its layers as the manifest of an image names them, and its files.

    `archives` are the compressed layers by their digests.
    """

    base: BaseLayers
    archives: Mapping[str, Path]
    unpacked: UnpackedLayers

    @property
    def plain(self) -> tuple[Path, ...]:
        """The uncompressed layers, lowest first."""
        return self.unpacked.plain

    @property
    def tree(self) -> FileTree:
        """The paths."""
        return self.unpacked.tree

    @property
    def variables(self) -> Mapping[str, str]:
        """The environment variables that it sets."""
        return dict(entry.partition("=")[::2] for entry in self.base.config.get("config", {}).get("Env") or ())

    def text(self, path: PurePosixPath) -> str:
        """The first megabyte of a file, links followed; empty if there is no such file."""
        entry = self.tree.resolved(path)
        if entry is None or entry.kind is not EntryKind.FILE:
            return ""
        return self.content(entry, _MOST_BYTES).decode(errors="replace")

    def content(self, entry: TreeEntry, most: int) -> bytes:
        """The first bytes of a file; none of a device. Raises ToolFailed."""
        if entry.start >= 0:
            with _reading(), self.plain[entry.layer].open("rb") as layer:
                layer.seek(entry.start)
                return layer.read(min(most, entry.size))
        with _reading(), opened_archive(self.plain[entry.layer]) as tar:
            file = tar.extractfile(_member(tar, entry.path))
            return b"" if file is None else file.read(most)

    def files(self, paths: Mapping[PurePosixPath, Path]) -> None:
        """
        Write files of the image to places on this machine: content alone, no mode and no owner.

        Raises ToolFailed, OSError.
        """
        wanted: dict[int, dict[PurePosixPath, Path]] = {}
        for path, target in paths.items():
            entry = self.tree.resolved(path)
            if entry is None or entry.kind is not EntryKind.FILE:
                continue
            if entry.start >= 0 and entry.size <= _MOST_BYTES:
                target.parent.mkdir(parents=True, exist_ok=True)
                target.write_bytes(self.content(entry, _MOST_BYTES))
            else:
                wanted.setdefault(entry.layer, {})[entry.path] = target
        for layer, targets in wanted.items():
            with _reading(), opened_archive(self.plain[layer]) as tar:
                for member in tar:
                    place = targets.get(path_of(member))
                    file = tar.extractfile(member) if place else None
                    if place and file:
                        _write(file, place)


@lazy_dataclass
class BasePython:
    """
    The Python of a base image: the path of its command, its version, and the folder of its standard library.

    The version has no patch number if no header and no variable has it.
    """

    command: PurePosixPath
    version: str
    library: PurePosixPath


def read_saved(archive: Path, folder: Path) -> SavedImage:
    """
    Read the archive that `docker save` writes for one image; its layers are unpacked from it into a folder.

    Raises ToolFailed for any other archive.
    """
    with _reading(), opened_archive(archive) as tar:
        (described,) = parse_json(_bytes(tar, "manifest.json"))
        config = parse_json(_bytes(tar, str(described["Config"])))
        plain = tuple(_unpacked(tar, str(name), folder / f"{at}.tar") for at, name in enumerate(described["Layers"]))
    blobs, archives = [], {}
    for at, path in enumerate(plain):
        compressed = folder / f"{at}.tar.gz"
        layer = compress_archive(f"base {at}", path, compressed)
        _require_layer(config, at, layer.diff_id)
        blobs.append(layer.blob)
        archives[layer.blob.digest] = compressed
    base = BaseLayers(config=config, layers=tuple(blobs))
    return SavedImage(base=base, archives=archives, unpacked=UnpackedLayers(lambda: plain))


def read_pulled(
    config: bytes, layers: tuple[Blob, ...], archives: Mapping[str, Path], folder: Path, *, most: int = MOST_UNPACKED
) -> SavedImage:
    """
    Read an image that was downloaded from a registry; its layers are unpacked to a folder, and keep their archives.

    Raises ToolFailed for layers that are not those of the configuration, compressed in another way, or together larger
    than `most` bytes.
    """
    with _reading():
        image = known_image(BaseLayers(config=parse_json(config), layers=layers), archives, folder, most=most)
        image.tree  # noqa: B018  # reads the layers
    return image


def known_image(
    base: BaseLayers, archives: Mapping[str, Path], folder: Path, *, most: int = MOST_UNPACKED
) -> SavedImage:
    """An image whose layers were read before; they are unpacked to a folder if that is necessary, and verified then."""

    def unpack() -> tuple[Path, ...]:
        left = most
        with _reading():
            plain = tuple(folder / f"{at}.tar" for at in range(len(base.layers)))
            for at, (blob, path) in enumerate(zip(base.layers, plain, strict=True)):
                _require_layer(base.config, at, decompressed(archives[blob.digest], blob, path, left))
                left -= path.stat().st_size
            return plain

    return SavedImage(base=base, archives=archives, unpacked=UnpackedLayers(unpack))


@contextmanager
def _reading() -> Iterator[None]:
    """
    Raise errors of an archive, whose content is not trusted, as ToolFailed.

    A full disk is left to the caller: it is the machine's.
    """
    try:
        yield
    except (OSError, *MALFORMED) as error:
        if isinstance(error, OSError) and error.errno == ENOSPC:
            raise
        raise ToolFailed(what=_UNREADABLE, why=str(error) or type(error).__name__) from error


def _require_layer(config: Mapping[str, Any], at: int, diff_id: str) -> None:
    diff_ids = config["rootfs"]["diff_ids"]
    if at >= len(diff_ids):
        raise ToolFailed(what=_UNREADABLE, why=f"its configuration names {len(diff_ids)} layers, and it has more")
    if diff_id != diff_ids[at]:
        raise ToolFailed(what=_UNREADABLE, why=f"its layer {at} is not that of its manifest")


def _tree(plain: tuple[Path, ...]) -> FileTree:
    tree = FileTree()
    with _reading():
        for at, path in enumerate(plain):
            with opened_archive(path) as tar:
                tree.add(_entries(tar, at, MOST_PATHS - len(tree)))
    return tree


def python_of(image: SavedImage) -> BasePython | None:
    """The Python that the image starts as `python3` or `python`; None if there is none, or no library beside it."""
    search_path = image.variables.get("PATH") or _DEFAULT_PATH
    for name in _PYTHONS:
        found = image.tree.find_program(name, search_path)
        if found is None:
            continue
        command, program = found
        if not (match := re.fullmatch(r"python(3\.\d+)", program.path.name)):
            continue
        prefix = program.path.parents[1]
        library = prefix / "lib" / f"python{match[1]}"
        if image.tree.resolved(library / "os.py") is None:
            continue
        header = image.text(prefix / "include" / f"python{match[1]}" / "patchlevel.h")
        exact = re.search(r'^#define PY_VERSION\s+"([^"]+)"', header, re.MULTILINE)
        version = exact[1] if exact else image.variables.get("PYTHON_VERSION", "")
        known = version.startswith(f"{match[1]}.") and _VERSION.fullmatch(version)
        return BasePython(command=command, version=version if known else match[1], library=library)
    return None


def glibc_of(image: SavedImage) -> tuple[int, int] | None:
    """The version of the GNU C library, from the banner in the library; None for another one, such as musl."""
    entry = libc_of(image)
    match = None if entry is None else _GLIBC.search(image.content(entry, _MOST_LIBRARY))
    return (int(match[1]), int(match[2])) if match else None


def glibc_features_of(image: SavedImage) -> frozenset[str]:
    """The names `GLIBC_ABI_*` that the GNU C library has for features of its loader."""
    entry = libc_of(image)
    found = _FEATURE.findall(b"" if entry is None else image.content(entry, _MOST_LIBRARY))
    return frozenset(name.decode() for name in found)


def cxx_versions_of(image: SavedImage) -> dict[str, tuple[int, ...]]:
    """The newest version of `GLIBCXX` and `CXXABI` that the C++ library has; empty without that library."""
    entry = _library(image, "libstdc++.so.6")
    newest: dict[str, tuple[int, ...]] = {}
    for name, text in _CXX.findall(b"" if entry is None else image.content(entry, _MOST_LIBRARY)):
        version = tuple(map(int, text.split(b".")))
        newest[name.decode()] = max(version, newest.get(name.decode(), ()))
    return newest


def libc_of(image: SavedImage) -> TreeEntry | None:
    """The file of the GNU C library; None without one."""
    return _library(image, "libc.so.6")


def _library(image: SavedImage, name: str) -> TreeEntry | None:
    machine = {"amd64": "x86_64", "arm64": "aarch64"}.get(str(image.base.config.get("architecture")), "")
    for folder in (f"/lib/{machine}-linux-gnu", f"/usr/lib/{machine}-linux-gnu", "/lib64", "/usr/lib64", "/lib"):
        entry = image.tree.resolved(PurePosixPath(folder) / name)
        if entry is not None and entry.kind is EntryKind.FILE:
            return entry
    return None


def _entries(tar: tarfile.TarFile, layer: int, most: int) -> Iterator[TreeEntry]:
    for at, member in enumerate(tar):
        if at >= most:
            raise ValueError(f"it has more than {MOST_PATHS} paths")
        vars(tar)["members"].clear()  # not in the type stubs; else they are kept in memory, as many as there are
        kind = EntryKind.FOLDER if member.isdir() else EntryKind.LINK if member.issym() else EntryKind.FILE
        target = member.linkname if member.issym() else ""
        plain = member.type in {tarfile.REGTYPE, tarfile.AREGTYPE} and not member.issparse()
        yield TreeEntry(
            path=path_of(member),
            kind=kind,
            layer=layer,
            target=target,
            executable=bool(member.mode & 0o111),
            start=member.offset_data if plain else -1,
            size=member.size if plain else 0,
        )


def _member(tar: tarfile.TarFile, path: PurePosixPath) -> tarfile.TarInfo:
    """The last entry of a path. Raises KeyError."""
    found = None
    for member in tar:
        if path_of(member) == path:
            found = member
    if found is None:
        raise KeyError(str(path))
    return found


def _bytes(tar: tarfile.TarFile, name: str) -> bytes:
    file = tar.extractfile(name)
    if file is None:
        raise ValueError(f"{name} is no file")
    content = file.read(_MOST_DESCRIPTION + 1)
    if len(content) > _MOST_DESCRIPTION:
        raise ValueError(f"{name} has more than {_MOST_DESCRIPTION >> 20} MiB")
    return content


def _unpacked(tar: tarfile.TarFile, name: str, target: Path) -> Path:
    """A layer of the archive as a file; the name in the archive is never used as a path."""
    member: Any = tar.getmember(name)
    for _ in range(_MOST_LINKS):
        if not (member.issym() or member.islnk()):
            break
        member = tar.getmember(str(PurePosixPath(member.name).parent / member.linkname))
    else:
        raise ValueError(f"{name} is a link that leads to no file")
    file = tar.extractfile(member)
    if file is None:
        raise ValueError(f"{name} is no file")
    _write(file, target)
    return target


def _write(content: IO[bytes], target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    with target.open("wb") as out:
        while piece := content.read(_MOST_BYTES):
            out.write(piece)
