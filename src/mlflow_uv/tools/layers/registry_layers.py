"""Takes layers that an image in a registry has, by what they were made from, in place of making them."""

import csv
import io
import os
import threading
from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial
from itertools import islice
from pathlib import Path, PurePosixPath
from typing import Protocol

from ...command.errors import ToolFailed
from ...command.wording import Wording, option
from ...core.image.composition import Blob, LayerBlob, LayerList, digest_of
from ...core.image.layers import deletes
from ...core.image.oci_manifest import PulledImage
from ...core.release.digests import canonical, sha256
from ...core.security.documents import parse_json
from ...payloads.messages.lazy_dataclass import lazy_dataclass
from ..engines.library_scanner import Descriptions, is_named_as_library
from ..oci.repository import RegistryUnanswered
from ..project.files import write_atomically
from ..system.archives import extract
from ..system.partial_folders import new_folder
from ..system.process import Runner
from .cache import CachedLayer, LayerCache
from .layer_archives import MALFORMED, MOST_PATHS, MOST_UNPACKED, decompressed, opened_archive, path_of
from .layer_contents import LayerContents, read_list
from .unpacked_layers import environment_path

# Changes when the same layer gives another list of files.
_FORMAT = 2
FOLDER = "layers-of-registries"  # in the cache, apart from the layers that this machine made: audit does not look there
_MOST_RECORD = 64 << 20  # bytes of the list of files of a package
_OTHER = "a layer is not that of its configuration"
_NO_KEYS = "its layers do not say what they were made from, like those of an image that an engine built"


class BlobSource(Protocol):
    """Where blobs come from; see `Registries`."""

    def download(self, name: str, targets: Mapping[Blob, Path]) -> None:
        """Write blobs of the repository of a name to files, each verified. Raises RegistryUnanswered."""

    def ends(self, name: str, wanted: Mapping[Blob, LayerList]) -> Mapping[Blob, bytes]:
        """The ends of blobs of the repository of a name, each verified. Raises RegistryUnanswered."""


@lazy_dataclass
class _OfferedLayer:
    """A layer as the image has it, with the list at its end."""

    blob: Blob
    diff_id: str
    listed: LayerList | None


class RegistryLayers:
    """
    The layers of an image that have a key. They are kept in a folder of their own, which nothing else uses.

    Whoever made the image decided what is in a layer, and what its list says. That both have the digests in the
    manifest is verified, and not that they are what the key says. `taken` are the names of the layers that were used,
    sorted, as they are taken side by side, and `problem` says why one could not be read, or why there is none.

    If only the lists are wanted, a layer that has one is not downloaded until something asks for its archive, by one of
    `downloads`; then the layer must have the files that the list says.
    """

    def __init__(  # noqa: PLR0913, PLR0917  # where they are, and how they are read
        self,
        source: BlobSource,
        runner: Runner,
        name: str,
        held: PulledImage | str,
        folder: Path,
        describe: Callable[[Path], Descriptions],
        *,
        lists_only: bool,
    ) -> None:
        """
        `name` is that of the image, with its digest; in place of what the registry has, the reason for nothing.

        `describe` reads the shared libraries in a folder.
        """
        self._source = source
        self._describe = describe
        self._lists_only = lists_only
        self._lists = folder / "lists"
        self._runner = runner
        self.image = name
        self._folder = folder
        self._kept = LayerCache(folder)
        self._offered = {} if isinstance(held, str) else _offered(held)
        self._adding = threading.Lock()  # layers of packages and of the base are taken side by side
        self.taken: tuple[str, ...] = ()
        self.downloads: dict[str, Callable[[], Path]] = {}
        self.problem = held if isinstance(held, str) else "" if self._offered else _NO_KEYS

    def take(self, wanted: Mapping[str, str]) -> dict[str, CachedLayer]:
        """The layers with these keys that the image has, with the names that are given for them. Raises NoSpace."""
        offered = {key: self._offered[key] for key in wanted if key in self._offered}
        found = {key: layer for key, each in offered.items() if (layer := self._kept.find(_kept_as(key, each)))}
        absent = {key: each for key, each in offered.items() if key not in found}
        if absent:
            self._folder.mkdir(parents=True, exist_ok=True)
            try:
                if self._lists_only:
                    found |= self._by_lists(absent)
                found |= self._downloaded({key: each for key, each in absent.items() if key not in found})
            except (RegistryUnanswered, *MALFORMED) as error:
                self.problem = str(error) or type(error).__name__
        with self._adding:
            self.taken = tuple(sorted((*self.taken, *(wanted[key] for key in found))))
        return {key: _named(layer, wanted[key]) for key, layer in found.items()}

    def _by_lists(self, layers: Mapping[str, _OfferedLayer]) -> dict[str, CachedLayer]:
        """The layers with a list that the registry gives, without their archives."""
        ends = {each.blob: each.listed for each in layers.values() if each.listed is not None}
        kept = {blob: end for blob, listed in ends.items() if (end := self._kept_list(listed)) is not None}
        wanted = {blob: listed for blob, listed in ends.items() if blob not in kept}
        try:
            kept |= self._source.ends(self.image.partition("@")[0], wanted) if wanted else {}
            contents = {blob: read_list(end) for blob, end in kept.items()}
        except (RegistryUnanswered, ValueError):
            return {}  # they are downloaded
        for blob in wanted:
            write_atomically(self._lists / ends[blob].digest.replace(":", "-"), kept[blob])
        found = {}
        for key, each in layers.items():
            if each.blob not in contents:
                continue
            self.downloads[each.blob.digest] = partial(self._archive_of, key, each)
            found[key] = CachedLayer(
                layer=LayerBlob(name="", blob=each.blob, diff_id=each.diff_id, listed=each.listed),
                archive=self._kept.archive(each.blob.digest),
                files=contents[each.blob].files,
                libraries=contents[each.blob].libraries,
            )
        return found

    def _kept_list(self, listed: LayerList) -> bytes | None:
        """A list that was read before, if it is as it was."""
        try:
            end = (self._lists / listed.digest.replace(":", "-")).read_bytes()
        except OSError:
            return None
        return end if digest_of(end) == listed.digest else None

    def _archive_of(self, key: str, offered: _OfferedLayer) -> Path:
        """Download a layer of which only the list was read. Raises RegistryUnanswered, ToolFailed for another layer."""
        try:
            return self._downloaded({key: offered})[key].archive
        except MALFORMED as error:
            raise ToolFailed(
                what=f"a layer of `{self.image}` cannot be used: {offered.blob.digest}",
                why=str(error) or type(error).__name__,
                fix=Wording("leave out ", option("layers-from"), ", or name another image with it"),
            ) from error

    def _downloaded(self, layers: Mapping[str, _OfferedLayer]) -> dict[str, CachedLayer]:
        if not layers:
            return {}
        with new_folder(self._folder) as scratch:
            archives = {each.blob: scratch / each.blob.digest.replace(":", "-") for each in layers.values()}
            self._source.download(self.image.partition("@")[0], archives)
            tasks = [partial(self._read, key, each, archives[each.blob]) for key, each in layers.items()]
            return dict(zip(layers, self._runner.side_by_side(tasks), strict=True))

    def _read(self, key: str, offered: _OfferedLayer, archive: Path) -> CachedLayer:
        plain = archive.with_name(f"{archive.name}-{key[:12]}.tar")
        if decompressed(archive, offered.blob, plain, MOST_UNPACKED) != offered.diff_id:
            raise ValueError(_OTHER)
        contents = self._contents(archive, plain, offered)
        plain.unlink()

        def keep(out: Path) -> LayerBlob:
            out.hardlink_to(archive)  # two keys may have one archive
            return LayerBlob(name="", blob=offered.blob, diff_id=offered.diff_id, listed=offered.listed)

        return self._kept.add(_kept_as(key, offered), keep, contents)

    def _contents(self, archive: Path, plain: Path, offered: _OfferedLayer) -> LayerContents:
        """What packages brought into a downloaded layer. Raises ValueError for a list that says something else."""
        files = files_in(plain)
        if offered.listed is not None:
            _require_listed(archive, offered.listed, files)
        if not any(map(is_named_as_library, files)):
            return LayerContents(files=files)
        libraries = plain.with_suffix(".libraries")
        libraries.mkdir()
        extract(plain, libraries, _library_path)
        return LayerContents(files=files, libraries=self._describe(libraries))


def require_list(layer: LayerBlob, archive: Path, scratch: Path) -> None:
    """Raise what is in MALFORMED for a layer that was downloaded later and has other files than its list says."""
    plain = scratch / "layer.tar"
    if decompressed(archive, layer.blob, plain, MOST_UNPACKED) != layer.diff_id:
        raise ValueError(_OTHER)
    if layer.listed is not None:
        _require_listed(archive, layer.listed, files_in(plain))
    plain.unlink()


def _require_listed(archive: Path, listed: LayerList, files: Mapping[str, str]) -> None:
    """Raise ValueError for a list at the end of a blob that is not that of these files."""
    with archive.open("rb") as blob:
        blob.seek(-listed.size, os.SEEK_END)
        end = blob.read()
    if digest_of(end) != listed.digest or read_list(end).files != files:
        raise ValueError("its list of files is not that of its packages")


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


def _library_path(name: str) -> PurePosixPath | None:
    """Where a member of a layer is in its environment, if it may be a library or lists those of a package."""
    return environment_path(name) if is_named_as_library(name) or name.endswith("/RECORD") else None


def _offered(image: PulledImage) -> dict[str, _OfferedLayer]:
    """The layers with a key; none if the configuration does not describe all layers."""
    try:
        diff_ids = [str(each) for each in parse_json(image.config)["rootfs"]["diff_ids"]]
        lists = image.lists or (None,) * len(image.layers)
        rows = zip(image.keys, image.layers, diff_ids, lists, strict=True)
        return {
            key: _OfferedLayer(blob=blob, diff_id=diff_id, listed=listed) for key, blob, diff_id, listed in rows if key
        }
    except (ValueError, LookupError, TypeError, RecursionError):
        return {}


def _kept_as(key: str, offered: _OfferedLayer) -> str:
    """Another image may have another layer for a key."""
    listed = "" if offered.listed is None else offered.listed.digest
    return sha256(canonical([_FORMAT, key, offered.blob.digest, offered.diff_id, listed]))


def _named(layer: CachedLayer, name: str) -> CachedLayer:
    return replace(layer, layer=replace(layer.layer, name=name))
