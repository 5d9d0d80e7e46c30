"""Takes layers that an image in a registry has, by what they were made from, in place of making them."""

import csv
import io
import os
import threading
from collections.abc import Iterable, Mapping
from functools import partial
from itertools import islice
from pathlib import Path, PurePosixPath
from typing import Protocol

from ...core.image.composition import Blob, LayerBlob
from ...core.image.layers import deletes
from ...core.release.digests import canonical, sha256
from ...core.security.documents import parse_json
from ...payloads.messages.lazy_dataclass import lazy_dataclass
from ..oci.repository import PulledImage, RegistryUnanswered
from ..system.partial_folders import new_folder
from ..system.process import Runner
from .cache import CachedLayer, LayerCache
from .layer_archives import MALFORMED, MOST_PATHS, MOST_UNPACKED, decompressed, opened_archive, path_of

# Changes when the same layer gives another list of files.
_FORMAT = 1
_MOST_RECORD = 64 << 20  # bytes of the list of files of a package
_NO_KEYS = "its layers do not say what they were made from, like those of an image that an engine built"


class BlobSource(Protocol):
    """Where blobs come from; see `Registries`."""

    def download(self, name: str, targets: Mapping[Blob, Path]) -> None:
        """Write blobs of the repository of a name to files, each verified. Raises RegistryUnanswered."""


@lazy_dataclass
class _OfferedLayer:
    """A layer as the image has it."""

    blob: Blob
    diff_id: str


class RegistryLayers:
    """
    The layers of an image that have a key. They are kept in a folder of their own, which nothing else uses.

    Whoever made the image decided what is in a layer. That the content is that of the digest in the manifest is
    verified, and not that it is what the key says. `taken` are the names of the layers that were used, sorted, as
    they are taken side by side, and `problem` says why one could not be read, or why there is none.
    """

    def __init__(self, source: BlobSource, runner: Runner, name: str, held: PulledImage | str, folder: Path) -> None:
        """`name` is that of the image, with its digest; in place of what the registry has, the reason for nothing."""
        self._source = source
        self._runner = runner
        self.image = name
        self._folder = folder
        self._kept = LayerCache(folder)
        self._offered = {} if isinstance(held, str) else _offered(held)
        self._adding = threading.Lock()  # layers of packages and of the base are taken side by side
        self.taken: tuple[str, ...] = ()
        self.problem = held if isinstance(held, str) else "" if self._offered else _NO_KEYS

    def take(self, wanted: Mapping[str, str]) -> dict[str, CachedLayer]:
        """The layers with these keys that the image has, with the names that are given for them. Raises NoSpace."""
        offered = {key: self._offered[key] for key in wanted if key in self._offered}
        found = {key: layer for key, each in offered.items() if (layer := self._kept.find(_kept_as(key, each)))}
        absent = {key: each for key, each in offered.items() if key not in found}
        if absent:
            self._folder.mkdir(parents=True, exist_ok=True)
            try:
                found |= self._downloaded(absent)
            except (RegistryUnanswered, *MALFORMED) as error:
                self.problem = str(error) or type(error).__name__
        with self._adding:
            self.taken = tuple(sorted((*self.taken, *(wanted[key] for key in found))))
        return {key: _named(layer, wanted[key]) for key, layer in found.items()}

    def _downloaded(self, layers: Mapping[str, _OfferedLayer]) -> dict[str, CachedLayer]:
        with new_folder(self._folder) as scratch:
            archives = {each.blob: scratch / each.blob.digest.replace(":", "-") for each in layers.values()}
            self._source.download(self.image.partition("@")[0], archives)
            tasks = [partial(self._read, key, each, archives[each.blob]) for key, each in layers.items()]
            return dict(zip(layers, self._runner.side_by_side(tasks), strict=True))

    def _read(self, key: str, offered: _OfferedLayer, archive: Path) -> CachedLayer:
        plain = archive.with_name(f"{archive.name}-{key[:12]}.tar")
        if decompressed(archive, offered.blob, plain, MOST_UNPACKED) != offered.diff_id:
            raise ValueError("a layer is not that of its configuration")
        files = files_in(plain)
        plain.unlink()

        def keep(out: Path) -> LayerBlob:
            out.hardlink_to(archive)  # two keys may have one archive
            return LayerBlob(name="", blob=offered.blob, diff_id=offered.diff_id)

        return self._kept.add(_kept_as(key, offered), keep, files)


def files_in(archive: Path) -> dict[str, str]:
    """
    The files that packages brought into a layer, by absolute path, each with the digest that its RECORD has.

    Bytecode that no RECORD lists was compiled for the image. Raises ValueError for any other file that none lists, and
    for one that is listed and not there; OSError, TarError.
    """
    listed: dict[str, str] = {}
    present: list[str] = []
    with opened_archive(archive) as tar:
        for member in islice(tar, MOST_PATHS):
            path = path_of(member)
            if deletes(path):
                raise ValueError(f"it has {path}, which deletes other files")
            if member.isdir():
                continue
            present.append(str(path))
            if path.name == "RECORD" and path.parent.suffix == ".dist-info":
                content = tar.extractfile(member)
                if content is None or member.size > _MOST_RECORD:
                    raise ValueError(f"{path} is no list of files")
                listed |= _recorded(path, content.read().decode())
    paths = frozenset(present)
    if strays := sorted(path for path in paths - listed.keys() if not path.endswith(".pyc")):
        raise ValueError(f"it has {strays[0]}, which no package lists")
    if absent := sorted(listed.keys() - paths):
        raise ValueError(f"it lacks {absent[0]}, which a package lists")
    return listed


def _recorded(record: PurePosixPath, text: str) -> dict[str, str]:
    """The files in a RECORD, whose paths are relative to the folder of packages."""
    rows = (row for row in csv.reader(io.StringIO(text, newline="")) if row)
    top = record.parents[1]
    return {os.path.normpath(top / row[0]): row[1] if len(row) > 1 else "" for row in rows}


def _offered(image: PulledImage) -> dict[str, _OfferedLayer]:
    """The layers with a key; none if the configuration does not describe all layers."""
    try:
        diff_ids = [str(each) for each in parse_json(image.config)["rootfs"]["diff_ids"]]
        rows: Iterable[tuple[str, Blob, str]] = zip(image.keys, image.layers, diff_ids, strict=True)
        return {key: _OfferedLayer(blob=blob, diff_id=diff_id) for key, blob, diff_id in rows if key}
    except (ValueError, LookupError, TypeError, RecursionError):
        return {}


def _kept_as(key: str, offered: _OfferedLayer) -> str:
    """Another image may have another layer for a key."""
    return sha256(canonical([_FORMAT, key, offered.blob.digest, offered.diff_id]))


def _named(layer: CachedLayer, name: str) -> CachedLayer:
    blob = LayerBlob(name=name, blob=layer.layer.blob, diff_id=layer.layer.diff_id)
    return CachedLayer(layer=blob, archive=layer.archive, files=layer.files)
