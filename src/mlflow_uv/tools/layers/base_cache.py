"""Caches what was read from a base image, so that an engine need not save it and its layers need not be unpacked."""

import json
import shutil
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path, PurePosixPath
from typing import Any

from ...core.image.composition import BaseLayers, Blob
from ...core.release.digests import canonical, sha256
from ...core.security.documents import parse_json
from ...payloads.messages.lazy_dataclass import lazy_dataclass
from ..oci.registries import holds_blob
from ..project.files import write_atomically
from ..system.partial_folders import new_folder
from .archive import LEVEL
from .loader import Loader
from .saved_image import BasePython, SavedImage, known_image

# Changes when the same image gives other facts.
FORMAT = 3
NONE_VERIFIED: Mapping[str, Path] = {}


@lazy_dataclass
class BaseFacts:
    """
    What the files of a base say.

    `glibc` is None without a GNU C library, `features` are those of its loader (`GLIBC_ABI_DT_RELR`), and `cxx` are the
    newest versions of `GLIBCXX` and `CXXABI` in the C++ library, empty without one. `used` are folders of ours in which
    it has something, and `has_model` says that it has a model where the server would look first.
    """

    python: BasePython | None
    glibc: tuple[int, int] | None
    features: frozenset[str]
    cxx: Mapping[str, tuple[int, ...]]
    loader: Loader
    used: tuple[str, ...]
    has_model: bool


class BaseCache:
    """
    A folder with a description for each image, by an id whose content never changes, and one with compressed layers.

    Descriptions and layers are verified when they are used. Several processes may use it at once.
    """

    def __init__(self, cache: Path) -> None:
        self._descriptions = cache / "base-facts"
        self.layers = cache / "base-layers"

    @property
    def knows_any(self) -> bool:
        """Whether an image was read on this machine."""
        return any(self._descriptions.glob("*.json"))

    def find(
        self, image: str, scratch: Path, *, verified: Mapping[str, Path] = NONE_VERIFIED
    ) -> tuple[SavedImage, BaseFacts] | None:
        """
        The image and its facts; None if it is not known, or if a file of it was changed or removed.

        Files that were `verified` by their digests a moment ago, as by `Registries.pull`, are not read again.
        """
        key = _key(image)
        try:
            content = parse_json(self._description(key).read_bytes())
            described = content["described"]
            if content["sha256"] != sha256(canonical([key, described])):
                return None
            layers = tuple(Blob(**blob) for blob in described["layers"])
            facts = _facts(described["facts"])
        except (OSError, ValueError, KeyError, TypeError, RecursionError):
            return None
        archives = {blob.digest: self._archive(blob.digest) for blob in layers}
        unverified = (blob for blob in layers if verified.get(blob.digest) != archives[blob.digest])
        if not all(holds_blob(archives[blob.digest], blob) for blob in unverified):
            return None
        return known_image(BaseLayers(config=described["config"], layers=layers), archives, scratch), facts

    def add(self, image: str, saved: SavedImage, facts: BaseFacts) -> SavedImage:
        """Keep an image and its facts; the image with its layers in the cache. Raises OSError."""
        self.layers.mkdir(parents=True, exist_ok=True)
        for digest, archive in saved.archives.items():
            if archive != self._archive(digest):
                with new_folder(self.layers) as scratch:
                    copied = scratch / "layer"
                    shutil.copyfile(archive, copied)
                    copied.replace(self._archive(digest))
        described = {
            "config": saved.base.config,
            "layers": [asdict(blob) for blob in saved.base.layers],
            "facts": _plain(facts),
        }
        key = _key(image)
        content = {"described": described, "sha256": sha256(canonical([key, described]))}
        write_atomically(self._description(key), json.dumps(content).encode())
        archives = {digest: self._archive(digest) for digest in saved.archives}
        return SavedImage(base=saved.base, archives=archives, unpacked=saved.unpacked)

    def _description(self, key: str) -> Path:
        return self._descriptions / f"{key}.json"

    def _archive(self, digest: str) -> Path:
        return self.layers / digest.replace(":", "-")


def _key(image: str) -> str:
    return sha256(canonical([FORMAT, LEVEL, image]))


def _plain(facts: BaseFacts) -> dict[str, Any]:
    python = facts.python
    return {
        "python": None if python is None else [str(python.command), python.version, str(python.library)],
        "glibc": facts.glibc,
        "features": sorted(facts.features),
        "cxx": {name: list(version) for name, version in sorted(facts.cxx.items())},
        "libraries": facts.loader.names,
        "loader": None if facts.loader.folder is None else str(facts.loader.folder),
        "used": facts.used,
        "has_model": facts.has_model,
    }


def _facts(plain: Mapping[str, Any]) -> BaseFacts:
    python = plain["python"]
    if python is not None:
        command, version, library = python
        python = BasePython(command=PurePosixPath(command), version=version, library=PurePosixPath(library))
    return BaseFacts(
        python=python,
        glibc=None if plain["glibc"] is None else tuple(plain["glibc"]),
        features=frozenset(plain["features"]),
        cxx={name: tuple(version) for name, version in plain["cxx"].items()},
        loader=Loader(
            names=tuple(plain["libraries"]),
            folder=None if plain["loader"] is None else PurePosixPath(plain["loader"]),
        ),
        used=tuple(plain["used"]),
        has_model=plain["has_model"],
    )
