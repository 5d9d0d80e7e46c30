"""Keeps which repository of a registry got a blob, so that the registry can give it to another one."""

import json
from collections.abc import Iterable, Mapping
from contextlib import suppress
from pathlib import Path

from ...command.lazy_pattern import lazy_pattern
from ...core.release.digests import sha256
from ...core.security.documents import parse_json
from ..project.files import write_atomically

# The newest ones are kept; a hint that is lost costs a blob that is sent again.
MOST = 4000
_DIGEST = lazy_pattern(r"sha256:[0-9a-f]{64}")
_REPOSITORY = lazy_pattern(r"[a-z0-9]+(?:[._/-]+[a-z0-9]+)*")


class PushedBlobs:
    """A file for each registry; it holds hints, which the registry verifies."""

    def __init__(self, cache: Path) -> None:
        self._folder = cache / "pushed"

    def sources(self, host: str) -> Mapping[str, str]:
        """The repository that got each blob, by digest; empty if nothing is known."""
        with suppress(OSError, ValueError, RecursionError):
            content = parse_json(self._file(host).read_bytes())
            pairs = content.items() if isinstance(content, dict) else ()
            return {
                digest: name
                for digest, name in pairs
                if isinstance(name, str) and _DIGEST.fullmatch(digest) and _REPOSITORY.fullmatch(name)
            }
        return {}

    def add(self, host: str, repository: str, digests: Iterable[str]) -> None:
        """Note that a repository has these blobs."""
        known = {**self.sources(host)}
        for digest in digests:
            known.pop(digest, None)
            known[digest] = repository
        newest = dict(list(known.items())[-MOST:])
        with suppress(OSError):
            write_atomically(self._file(host), json.dumps(newest).encode())

    def _file(self, host: str) -> Path:
        return self._folder / f"{sha256(host.encode())}.json"
