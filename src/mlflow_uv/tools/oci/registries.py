"""Queries container registries for images, and pushes composed images to them."""

import hashlib
import threading
from collections.abc import Mapping
from pathlib import Path

from ...command.errors import ToolFailed
from ...core.image.composition import Blob, ComposedImage, ImageIndex, LayerList, digest_of
from ...core.image.oci_manifest import PulledImage
from ...core.image.reference import ImageReference, image_reference
from ...payloads.messages.lazy_dataclass import lazy_dataclass
from ..system.clock import Clock
from ..system.web import Web
from .downloads import BlobDownloads
from .image_copy import copy_image
from .logins import Login, Logins
from .referrers import Attachment, attach, attached
from .repository import PublishedImage, RegistryUnanswered, Repository
from .uploads import BlobContent, BlobFile, BlobUploads, SentEarlier, total

NO_SOURCES: Mapping[str, str] = {}


@lazy_dataclass
class Published:
    """
    The image with a digest, and the digest of the tag; None for what the registry does not have.

    `tagged_labels` are the labels of the tagged image for each platform, if it is another image.
    """

    tagged: str | None
    image: PublishedImage | None
    tagged_labels: tuple[Mapping[str, str], ...] = ()


@lazy_dataclass
class PushedImage:
    """
    The digest of a pushed image in the registry, and the number of bytes of the blobs that were sent.

    `mounted` are the bytes of those that the registry took from another repository.
    """

    digest: str
    sent: int
    mounted: int = 0


@lazy_dataclass
class RegistryImage:
    """
    A downloaded image, and the archives of its layers by their digests.

    `digest` is that of its manifest, or of the index that lists it for its platform.
    """

    digest: str
    image: PulledImage
    archives: Mapping[str, Path]


class Registries:
    """Container registries, remote and on this machine."""

    def __init__(self, web: Web, logins: Logins, clock: Clock) -> None:
        self._web = web
        self._logins = logins
        self._clock = clock
        self._cancelled = threading.Event()

    def cancel(self) -> None:
        """End all downloads of blobs, and let none begin: the step was cancelled."""
        self._cancelled.set()

    def has(self, name: str) -> bool:
        """Whether a registry has an image under a name with a tag or a digest. Raises RegistryUnanswered."""
        place, _, digest = name.partition("@")
        reference = image_reference(place)
        repository = Repository(self._web, self._clock, reference, self._logins.of(reference))
        return repository.manifest(digest or reference.served_tag) is not None

    def require_push(self, name: str) -> None:
        """
        Start an upload to the repository of a name and cancel it; nothing is stored.

        Raises RegistryUnanswered, `denied` if the current login may not push.
        """
        reference = image_reference(name)
        Repository(self._web, self._clock, reference, self._logins.of(reference), rights="pull,push").begin_upload()

    def uploads(self, name: str, sources: Mapping[str, str] = NO_SOURCES) -> BlobUploads:
        """What sends layers to the repository of a name before an image has them; `sources` as for `push`."""
        reference = image_reference(name)
        return BlobUploads(self._pushed_to(reference, sources), _others(reference, sources))

    def push(
        self,
        name: str,
        image: ComposedImage | ImageIndex,
        archives: Mapping[str, BlobFile],
        sources: Mapping[str, str] = NO_SOURCES,
        *,
        early: SentEarlier | None = None,
    ) -> PushedImage:
        """
        Push a composed image, or those of an index, under the tag of a name; `archives` are layers by their digests.

        In place of an archive there may be what downloads it, which is called only for a blob that has to be sent.

        A blob that the repository has is not sent, nor one that the registry takes from another of its repositories,
        which `sources` name by the digests of blobs, nor one of `early` uploads, for which this waits. Several blobs
        are sent at once, and again after a lost connection or to a busy registry. The tag moves when all blobs are
        there, and the manifest is read back. Raises RegistryUnanswered, `denied` if the current login may not push, and
        ToolFailed for an archive that is missing.
        """
        reference = image_reference(name)
        repository = self._pushed_to(reference, sources)
        blobs: dict[Blob, BlobContent] = {each.blobs[0]: each.config for each in image.images}
        for blob in dict.fromkeys(blob for each in image.images for blob in each.blobs[1:]):
            archive = archives.get(blob.digest)
            if isinstance(archive, Path) and not archive.is_file():
                archive = None
            if archive is None or (isinstance(archive, Path) and archive.stat().st_size != blob.size):
                why = f"the layer {blob.digest} was deleted or changed after the image was composed"
                raise ToolFailed(what=f"`{name}` cannot be pushed", why=why, fix="run the step again")
            blobs[blob] = archive
        earlier = {} if early is None else early.sent()
        rest = {blob: content for blob, content in blobs.items() if blob not in earlier}
        uploads = BlobUploads(repository, _others(reference, sources))
        uploaded = total((*(each for blob, each in earlier.items() if blob in blobs), uploads.send(rest)))
        for each in image.images if isinstance(image, ImageIndex) else ():
            repository.put_manifest(each.digest, each.manifest, kind=each.media_type)
        repository.put_manifest(reference.served_tag, image.document, kind=image.media_type)
        if repository.manifest(image.digest) != image.document:
            raise RegistryUnanswered(f"{reference.host} does not return the manifest that was pushed", reached=True)
        return PushedImage(digest=image.digest, sent=uploaded.sent, mounted=uploaded.mounted)

    def _pushed_to(self, reference: ImageReference, sources: Mapping[str, str]) -> Repository:
        others = frozenset(_others(reference, sources).values())
        login = self._logins.of(reference)
        return Repository(self._web, self._clock, reference, login, rights="pull,push", sources=others)

    def copy(self, source: str, target: str, login: Login | None) -> int:
        """
        Copy an image by its digest (`HOST/NAME@sha256:…`) to another repository, and return the bytes that were sent.

        `login` is for the target; without one it is that of the user. Raises RegistryUnanswered.
        """
        (place, _, digest), (there, _, expected) = source.partition("@"), target.partition("@")
        assert digest == expected  # noqa: S101  # what is copied does not change
        reference, new = image_reference(place), image_reference(there)
        login = login or self._logins.of(new)
        return copy_image(
            Repository(self._web, self._clock, reference, self._logins.of(reference)),
            Repository(self._web, self._clock, new, login, rights="pull,push"),
            digest,
        )

    def pull(self, name: str, architecture: str, folder: Path) -> "RegistryImage | None":
        """
        Download an image for an architecture (`amd64`) to a folder, where its layers are kept by their digests.

        None if the registry has no such image. A layer that is there is verified, and downloaded again if it was
        changed. Raises RegistryUnanswered.
        """
        place, _, digest = name.partition("@")
        reference = image_reference(place)
        repository = Repository(self._web, self._clock, reference, self._logins.of(reference))
        manifest = repository.manifest(digest or reference.served_tag)
        image = None if manifest is None else repository.pulled(manifest, architecture)
        if manifest is None or image is None:
            return None
        folder.mkdir(parents=True, exist_ok=True)
        archives = {blob.digest: folder / blob.digest.replace(":", "-") for blob in image.layers}
        absent = [blob for blob in dict.fromkeys(image.layers) if not holds_blob(archives[blob.digest], blob)]
        BlobDownloads(repository, self._cancelled).fetch({blob: archives[blob.digest] for blob in absent})
        return RegistryImage(digest=digest_of(manifest), image=image, archives=archives)

    def download(self, name: str, targets: Mapping[Blob, Path]) -> None:
        """
        Write blobs of the repository of a name to files, several at once; each is verified by its digest.

        Raises RegistryUnanswered.
        """
        reference = image_reference(name)
        repository = Repository(self._web, self._clock, reference, self._logins.of(reference))
        BlobDownloads(repository, self._cancelled).fetch(targets)

    def ends(self, name: str, wanted: Mapping[Blob, LayerList]) -> dict[Blob, bytes]:
        """
        The ends of blobs of the repository of a name, several at once; each is verified by its digest.

        Raises RegistryUnanswered, also for a registry that gives whole blobs alone.
        """
        reference = image_reference(name)
        repository = Repository(self._web, self._clock, reference, self._logins.of(reference))
        return BlobDownloads(repository, self._cancelled).ends(wanted)

    def documents(self, name: str, digest: str, architecture: str) -> PulledImage | None:
        """
        The configuration and the layers of the image with a digest, for an architecture; no layer is downloaded.

        None if the registry has no such image. Raises RegistryUnanswered.
        """
        reference = image_reference(name)
        repository = Repository(self._web, self._clock, reference, self._logins.of(reference))
        manifest = repository.manifest(digest)
        return None if manifest is None else repository.pulled(manifest, architecture)

    def published(self, name: str, digest: str) -> Published:
        """
        The image with this digest, and what the tag of `name` refers to. All content is verified by its digest.

        Raises RegistryUnanswered.
        """
        reference = image_reference(name)
        repository = Repository(self._web, self._clock, reference, self._logins.of(reference))
        tagged = repository.manifest(reference.served_tag)
        under_tag = None if tagged is None else digest_of(tagged)
        of_digest = tagged if under_tag == digest else repository.manifest(digest)
        return Published(
            tagged=under_tag,
            image=None if of_digest is None else repository.image(digest, of_digest),
            tagged_labels=() if tagged is None or under_tag == digest else repository.labels(tagged),
        )

    def attach(self, name: str, digest: str, attachment: Attachment) -> int:
        """
        Attach a document to the image with a digest; return the number of bytes that were sent, 0 if it was there.

        Raises RegistryUnanswered, `denied` if the current login may not push.
        """
        reference = image_reference(name)
        login = self._logins.of(reference)
        return attach(Repository(self._web, self._clock, reference, login, rights="pull,push"), digest, attachment)

    def attached(self, name: str, digest: str, media_type: str) -> tuple[bytes, ...]:
        """The documents of a media type that are attached to the image with a digest. Raises RegistryUnanswered."""
        reference = image_reference(name)
        repository = Repository(self._web, self._clock, reference, self._logins.of(reference))
        return attached(repository, digest, media_type)

    def digest_of_tag(self, name: str) -> str | None:
        """The digest of the image that a tag names, None if there is none. Raises RegistryUnanswered."""
        reference = image_reference(name)
        repository = Repository(self._web, self._clock, reference, self._logins.of(reference))
        tagged = repository.manifest(reference.served_tag)
        return None if tagged is None else digest_of(tagged)

    def labels(self, name: str) -> tuple[Mapping[str, str], ...]:
        """The labels of a tagged image for each platform, empty if there is none. Raises RegistryUnanswered."""
        reference = image_reference(name)
        repository = Repository(self._web, self._clock, reference, self._logins.of(reference))
        tagged = repository.manifest(reference.served_tag)
        return () if tagged is None else repository.labels(tagged)


def _others(reference: ImageReference, sources: Mapping[str, str]) -> dict[str, str]:
    """The sources that are other repositories."""
    return {digest: other for digest, other in sources.items() if other != reference.repository}


def holds_blob(archive: Path, blob: Blob) -> bool:
    """Whether a file is the content of a blob."""
    if archive.is_symlink() or not archive.is_file() or archive.stat().st_size != blob.size:
        return False
    with archive.open("rb") as content:
        return f"sha256:{hashlib.file_digest(content, 'sha256').hexdigest()}" == blob.digest
