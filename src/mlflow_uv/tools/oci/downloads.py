"""Downloads blobs of a repository, several at once."""

import threading
from collections.abc import Mapping
from functools import partial
from pathlib import Path

from ...core.image.composition import Blob, LayerList
from ..system.threads import side_by_side
from .repository import Repository
from .uploads import AT_ONCE


class BlobDownloads:
    """Downloads blobs to files, which get their names when their content is verified."""

    def __init__(self, repository: Repository, cancelled: threading.Event) -> None:
        """Downloads end, and none begins, once they are `cancelled`."""
        self._repository = repository
        self._cancelled = cancelled
        self._stop = threading.Event()

    def fetch(self, targets: Mapping[Blob, Path]) -> None:
        """Download blobs, at most AT_ONCE at a time; where one fails, the others end. Raises RegistryUnanswered."""
        tasks = [partial(self._fetch, blob, target) for blob, target in targets.items()]
        side_by_side(tasks, at_once=AT_ONCE, cancel=self._stop.set)

    def ends(self, wanted: Mapping[Blob, LayerList]) -> dict[Blob, bytes]:
        """The ends of blobs, at most AT_ONCE at a time. Raises RegistryUnanswered."""
        tasks = [partial(self._repository.end_of, blob, end) for blob, end in wanted.items()]
        return dict(zip(wanted, side_by_side(tasks, at_once=AT_ONCE, cancel=self._stop.set), strict=True))

    def _fetch(self, blob: Blob, target: Path) -> None:
        if self._stop.is_set():
            return
        try:
            self._repository.download(blob, target, stop=self._is_stopped)
        except BaseException:
            if not self._stop.is_set():  # else the error that stopped it is raised
                self._stop.set()
                raise

    def _is_stopped(self) -> bool:
        return self._stop.is_set() or self._cancelled.is_set()
