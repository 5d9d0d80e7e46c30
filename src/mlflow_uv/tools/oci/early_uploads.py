"""Sends layers of an image while others are still made."""

from collections.abc import Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor, wait
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from threading import Lock

from ...core.image.composition import Blob
from ..system.threads import POLL_S, require_not_stopped, stoppable
from .uploads import AT_ONCE, BlobUploads, SentBlobs


class EarlyUploads:
    """
    Sends each blob when it is added, at most AT_ONCE at a time.

    No manifest names the blobs until the image is pushed. A blob that cannot be sent is sent again by the push, which
    raises the error.
    """

    def __init__(self, uploads: BlobUploads) -> None:
        self._uploads = uploads
        self._executor = ThreadPoolExecutor(AT_ONCE)
        self._results: dict[Blob, Future[SentBlobs | None]] = {}
        self._order, self._ended = Lock(), False

    def add(self, blob: Blob, archive: Path) -> None:
        """Send a blob, unless that was begun. Nothing after the end, which whoever makes layers learns of later."""
        with self._order:
            if not self._ended and blob not in self._results:
                task = stoppable(partial(self._uploads.send_one, blob, archive), self._uploads.is_stopped)
                self._results[blob] = self._executor.submit(task)

    def sent(self) -> Mapping[Blob, SentBlobs]:
        """Wait for the blobs that were added; those that the repository has now."""
        # A signal that the kernel delivers to another thread does not interrupt a wait without a timeout.
        while wait(self._results.values(), timeout=POLL_S).not_done:
            require_not_stopped()
        results = ((blob, each.result()) for blob, each in self._results.items() if each.exception() is None)
        return {blob: result for blob, result in results if result is not None}

    def stop(self) -> None:
        """End what is being sent, and send nothing more; do not wait for it."""
        with self._order:
            self._ended = True
        self._uploads.stop()
        self._executor.shutdown(wait=False, cancel_futures=True)


@contextmanager
def early_uploads(uploads: BlobUploads) -> Iterator[EarlyUploads]:
    """Provide early uploads, which are stopped when the block ends."""
    early = EarlyUploads(uploads)
    try:
        yield early
    finally:
        early.stop()
