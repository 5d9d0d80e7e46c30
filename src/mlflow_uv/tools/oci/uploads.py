"""Sends blobs to a repository: several at once, large ones in pieces, and none that another repository can give."""

import threading
from collections.abc import Callable, Iterable, Mapping
from functools import partial
from pathlib import Path
from typing import Protocol

from ...command.lazy_pattern import lazy_pattern
from ...core.image.composition import Blob
from ...payloads.messages.lazy_dataclass import lazy_dataclass
from ..system.threads import side_by_side
from ..system.web import WebReply, WebUnreachable
from .registry_replies import BlobMount, codes_of, pause_s
from .repository import ACCEPTED, CREATED, WAITS_S, BlobPart, RegistryUnanswered, Repository

# Uploads at once: a single connection rarely fills a line, and registries limit the requests of a client.
AT_ONCE = 4
# The size of the pieces of a larger blob: after a lost connection, those that arrived are not sent again.
PIECE = 32 << 20
_NO_CONTENT = 204
_ARRIVED = lazy_pattern(r"(?:bytes=)?0-([0-9]{1,18})")
_NUMBER = lazy_pattern(r"[0-9]{1,12}")
# What a registry says of an upload that it does not have any more, or not up to where a piece begins.
_LOST = frozenset({"BLOB_UPLOAD_UNKNOWN", "BLOB_UPLOAD_INVALID", "RANGE_INVALID"})
# A file that has a blob, or what downloads the blob to one.
BlobFile = Path | Callable[[], Path]
BlobContent = bytes | BlobFile


@lazy_dataclass
class SentBlobs:
    """The bytes of the blobs that were sent, and of those that the registry took from another repository."""

    sent: int
    mounted: int


class SentEarlier(Protocol):
    """Blobs that are sent before others are made; see `EarlyUploads`."""

    def sent(self) -> Mapping[Blob, SentBlobs]:
        """Wait for them; those that the repository has now."""


class BlobUploads:
    """Sends the blobs that a repository lacks; `sources` are repositories of the registry that may have one."""

    def __init__(self, repository: Repository, sources: Mapping[str, str], *, piece: int = PIECE) -> None:
        self._repository = repository
        self._sources = sources
        self._piece = piece
        self._stop = threading.Event()

    def send(self, blobs: Mapping[Blob, BlobContent]) -> SentBlobs:
        """Send the blobs that are missing, at most AT_ONCE at a time. Raises RegistryUnanswered."""
        tasks = [partial(self.send_one, blob, content) for blob, content in blobs.items()]
        return total(filter(None, side_by_side(tasks, at_once=AT_ONCE, cancel=self.stop)))

    def stop(self) -> None:
        """End what is being sent, and send nothing more."""
        self._stop.set()

    def is_stopped(self) -> bool:
        """Whether it was stopped."""
        return self._stop.is_set()

    def send_one(self, blob: Blob, content: BlobContent) -> SentBlobs | None:
        """
        Send one blob if it is missing; None if it was stopped.

        Where it fails the others end too, since the image cannot be complete. Raises RegistryUnanswered.
        """
        if self._stop.is_set():
            return None
        place: BlobMount | str = BlobMount.REFUSED
        if source := self._sources.get(blob.digest, ""):  # first: one request, if the registry takes it from there
            place = self._repository.mount(blob.digest, source)
            if place is BlobMount.TAKEN:
                return SentBlobs(sent=0, mounted=blob.size)
        if self._repository.has_blob(blob.digest):
            return SentBlobs(sent=0, mounted=0)
        if self._stop.is_set():  # while the registry was asked
            return None
        if isinstance(place, BlobMount):
            place = self._repository.begin()
        try:
            if callable(content):
                content = content()
            _Upload(self._repository, blob, content, self._piece, self._stop).run(place)
        except RegistryUnanswered:
            if self._stop.is_set():  # the error that stopped it is raised
                return None
            self._stop.set()
            raise
        return SentBlobs(sent=blob.size, mounted=0)


def total(results: Iterable[SentBlobs]) -> SentBlobs:
    """The bytes of all of them."""
    all_of_them = tuple(results)
    return SentBlobs(sent=sum(each.sent for each in all_of_them), mounted=sum(each.mounted for each in all_of_them))


class _Upload:
    """One upload: where it goes, and how much of the blob has arrived there."""

    def __init__(
        self, repository: Repository, blob: Blob, content: bytes | Path, piece: int, stop: threading.Event
    ) -> None:
        self._repository = repository
        self._blob = blob
        self._content = content
        self._piece = piece
        self._stop = stop
        self._place = ""
        self._arrived = 0
        self._whole = isinstance(content, bytes) or blob.size <= piece

    def run(self, place: str) -> None:
        """
        Send the blob: again after a lost connection, to a busy registry, and with a new token if that expired.

        It goes on where the registry says that it is, else it begins again. Raises RegistryUnanswered.
        """
        self._place, attempt = place, 0
        while True:
            before = self._arrived
            reply: WebReply | None = None
            error: WebUnreachable | None = None
            try:
                reply = self._sent()
            except WebUnreachable as lost:
                error = lost
            if reply is not None and reply.status == CREATED:
                return
            attempt = attempt + 1 if self._arrived <= before else 1
            if self._stop.is_set() or (error is not None and attempt > len(WAITS_S)):
                raise RegistryUnanswered(str(error or "the push was cancelled"))
            if reply is not None and (attempt > len(WAITS_S) or not self._may_repeat(reply)):
                raise self._repository.refused_push(reply)
            self._repository.wait(pause_s(WAITS_S[attempt - 1], reply))
            self._resume()

    def _sent(self) -> WebReply:
        """Send what has not arrived; the reply to the last request. Raises WebUnreachable."""
        while not self._whole and self._arrived < self._blob.size:
            end = min(self._arrived + self._piece, self._blob.size)
            reply = self._repository.send_part(self._place, self._part(range(self._arrived, end)))
            if reply.status != ACCEPTED:
                return reply
            self._place = self._repository.place_of(reply) or self._place
            self._piece = max(self._piece, _least(reply))
            self._arrived = end
        rest = b"" if not self._whole else self._content
        if isinstance(rest, Path):
            return self._repository.finish(self._place, self._blob.digest, self._part(range(self._blob.size)))
        return self._repository.finish(self._place, self._blob.digest, rest)

    def _part(self, span: range) -> BlobPart:
        assert isinstance(self._content, Path)  # noqa: S101  # only files are sent in pieces
        return BlobPart(file=self._content, span=span, stop=self._stop.is_set)

    def _may_repeat(self, reply: WebReply) -> bool:
        """Whether another attempt can succeed; pieces that a registry refuses are sent as one."""
        if self._repository.may_repeat(reply) or (self._arrived and codes_of(reply.body) & _LOST):
            return True
        whole, self._whole = self._whole, True
        return not whole and self._arrived < self._blob.size  # not after the last piece: the whole is refused

    def _resume(self) -> None:
        """Ask how much has arrived; begin again where the registry does not say, or has other than what was sent."""
        reply = None if self._whole else self._repository.ask_upload(self._place)
        match = _ARRIVED.fullmatch(reply.headers.get("range", "")) if reply and reply.status == _NO_CONTENT else None
        arrived = int(match[1]) + 1 if match else 0
        if reply is not None and 1 < arrived <= self._blob.size:  # `0-0` is what registries say of nothing
            self._place, self._arrived = self._repository.place_of(reply) or self._place, arrived
        else:
            self._place, self._arrived = self._repository.begin(), 0


def _least(reply: WebReply) -> int:
    """The smallest piece that a registry takes (OCI-Chunk-Min-Length), within limits."""
    text = reply.headers.get("oci-chunk-min-length", "")
    return min(int(text), 16 * PIECE) if _NUMBER.fullmatch(text) else 0
