"""Caches layers by what they were made from, and verifies the content of each before it is used."""

import hashlib
import json
import shutil
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from dataclasses import asdict, field
from pathlib import Path, PurePosixPath

from ...core.image.composition import Blob, LayerBlob, LayerList
from ...core.release.digests import canonical, sha256
from ...core.security.documents import parse_json
from ...payloads.messages.lazy_dataclass import lazy_dataclass
from ..engines.library_scanner import Descriptions
from ..system.partial_folders import new_folder, replace_file
from .layer_contents import LayerContents

_ATTEMPTS = 5  # to write a layer while others remove the folders of the cache


@lazy_dataclass
class CachedLayer:
    """
    A layer, its compressed archive, and the digest of each file that packages brought into it, by absolute path.

    The paths are text: an image has fifteen thousand, and most are only compared.

    `replaced` are the paths for which its packages brought different files, and `libraries` the descriptions of its
    shared libraries.
    """

    layer: LayerBlob
    archive: Path
    files: Mapping[str, str]
    replaced: tuple[PurePosixPath, ...] = ()
    libraries: Descriptions = field(default_factory=dict)


class LayerCache:
    """
    A folder with a description for each key, and archives named by their digests.

    Several processes may use it at once: equal keys have equal bytes, and each file is complete when it gets its name.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.changed: list[str] = []  # names of layers that were found damaged

    def find(self, key: str) -> CachedLayer | None:
        """
        The layer of a key; None if there is none, or if its description or archive was changed.

        A changed one is removed, and its name is added to `changed`.
        """
        description = self._description(key)
        if not description.is_file():
            return None
        try:
            content = parse_json(description.read_bytes())
            described = content["layer"]
            libraries = content["libraries"]
            digested = [key, described, content["files"], content["replaced"], libraries]
            if sha256(canonical(digested)) != content["sha256"]:
                raise ValueError("its description was changed")
            layer = LayerBlob(
                name=described["name"],
                blob=Blob(**described["blob"]),
                diff_id=described["diff_id"],
                listed=LayerList(**described["listed"]) if described["listed"] else None,
            )
            archive = self.archive(layer.blob.digest)
            _require_digest(archive, layer.blob)
            files = {str(path): str(digest) for path, digest in content["files"].items()}
            replaced = tuple(map(PurePosixPath, content["replaced"]))
        except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError):
            self.changed.append(key)
            description.unlink(missing_ok=True)
            return None
        return CachedLayer(layer=layer, archive=archive, files=files, replaced=replaced, libraries=libraries)

    def add(
        self,
        key: str,
        write: Callable[[Path], LayerBlob],
        contents: LayerContents,
        replaced: Iterable[PurePosixPath] = (),
    ) -> CachedLayer:
        """
        Write a layer to a file that `write` gets, and keep it; again if somebody removes the cache meanwhile.

        Raises OSError.
        """
        for _ in range(_ATTEMPTS - 1):
            with suppress(FileNotFoundError, FileExistsError):
                return self._added(key, write, contents, replaced)
        return self._added(key, write, contents, replaced)

    def _added(
        self,
        key: str,
        write: Callable[[Path], LayerBlob],
        contents: LayerContents,
        replaced: Iterable[PurePosixPath],
    ) -> CachedLayer:
        self.folder.mkdir(parents=True, exist_ok=True)
        with new_folder(self.folder) as scratch:
            written = scratch / "layer"
            layer = write(written)
            archive = self.archive(layer.blob.digest)
            archive.parent.mkdir(parents=True, exist_ok=True)
            replace_file(written, archive)
            described = asdict(layer)
            twice = sorted(map(str, replaced))
            files, libraries = dict(contents.files), dict(contents.libraries)
            digest = sha256(canonical([key, described, files, twice, libraries]))
            content = {
                "layer": described,
                "files": files,
                "replaced": twice,
                "libraries": libraries,
                "sha256": digest,
            }
            description = scratch / "description"
            description.write_text(json.dumps(content), encoding="utf-8")
            self._description(key).parent.mkdir(parents=True, exist_ok=True)
            replace_file(description, self._description(key))
        paths = tuple(map(PurePosixPath, twice))
        return CachedLayer(layer=layer, archive=archive, files=files, replaced=paths, libraries=libraries)

    def remove(self) -> None:
        """Remove all layers."""
        shutil.rmtree(self.folder, ignore_errors=True)

    def _description(self, key: str) -> Path:
        return self.folder / "keys" / f"{key}.json"

    def archive(self, digest: str) -> Path:
        """Where the archive with a digest is, if it is there."""
        return self.folder / "blobs" / digest.replace(":", "-")


def _require_digest(archive: Path, blob: Blob) -> None:
    if archive.is_symlink() or archive.stat().st_size != blob.size:
        raise ValueError("its archive was changed")
    with archive.open("rb") as content:
        if f"sha256:{hashlib.file_digest(content, 'sha256').hexdigest()}" != blob.digest:
            raise ValueError("its archive was changed")
