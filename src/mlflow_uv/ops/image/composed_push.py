"""Pushes composed images to their registry, without an engine, and tries that before an image is composed."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager

from ...command.errors import ToolFailed
from ...command.wording import Wording, option
from ...core.image.composition import ZSTD_TYPE, ComposedImage, ImageIndex
from ...core.image.reference import image_reference, registry_fix
from ...tools.engines.engine import Engine
from ...tools.layers.cache import CachedLayer
from ...tools.oci.early_uploads import EarlyUploads, early_uploads
from ...tools.oci.pushed_blobs import PushedBlobs
from ...tools.oci.registries import NO_SOURCES
from ...tools.oci.repository import RegistryUnanswered
from ...tools.oci.uploads import BlobFile
from ...tools.toolbox import Tools
from .builders import RegistryNotReached


def require_push(tag: str, tools: Tools, *, engine: Engine | None) -> None:
    """
    Begin an upload to the registry of an image and cancel it, before the image is composed.

    Raises ToolFailed if the registry denies access or, without an engine, gives no response; else RegistryNotReached.
    """
    try:
        tools.registries.require_push(tag)
    except RegistryUnanswered as error:
        if error.denied or engine is None:
            raise _push_refused(tag, error) from error
        raise RegistryNotReached(
            what=f"`{tag}` cannot be pushed without an engine",
            why=str(error),
            fix=registry_fix(tag, error),
        ) from error


def _push_refused(tag: str, error: RegistryUnanswered) -> ToolFailed:
    return ToolFailed(what=f"`{tag}` cannot be pushed", why=str(error), fix=registry_fix(tag, error))


@contextmanager
def sending_layers(tag: str, tools: Tools) -> Iterator[EarlyUploads]:
    """Provide uploads of layers to the repository of an image that is not composed yet; they end with the block."""
    sources = PushedBlobs(tools.host.cache).sources(image_reference(tag).host)
    with early_uploads(tools.registries.uploads(tag, sources)) as early:
        yield early


def layer_sender(early: EarlyUploads) -> Callable[[CachedLayer], None]:
    """Return a function that sends a layer early; one without files is in no image."""

    def send(layer: CachedLayer) -> None:
        if layer.files:
            early.add(layer.layer.blob, layer.archive)

    return send


def push_composed(  # noqa: PLR0913  # what is pushed, and what the registry has
    tag: str,
    image: ComposedImage | ImageIndex,
    archives: Mapping[str, BlobFile],
    tools: Tools,
    *,
    taken: Mapping[str, str] = NO_SOURCES,
    early: EarlyUploads | None = None,
) -> str:
    """
    Push images, without an engine, and return the digest in the registry.

    `archives` are the layers by their digests. `taken` are the names of other images that have some of them, by the
    digests of these: a registry takes a layer from there. Layers that were sent `early` are not sent again. Raises
    ToolFailed.
    """
    reference, known = image_reference(tag), PushedBlobs(tools.host.cache)
    host = reference.host
    try:
        sources = {**known.sources(host), **_repositories(host, taken)}
        pushed = tools.registries.push(tag, image, archives, sources, early=early)
    except RegistryUnanswered as error:
        refused = _push_refused(tag, error)
        if not error.denied and any(blob.media_type == ZSTD_TYPE for each in image.images for blob in each.blobs):
            fix = Wording(option("compression", "gzip"), ", if the registry does not take layers that zstd compressed")
            refused = ToolFailed(what=refused.what, why=refused.why, fix=fix)
        raise refused from error
    known.add(host, reference.repository, (blob.digest for each in image.images for blob in each.blobs))
    mounted = f", {pushed.mounted / 1e6:.1f} MB are from other repositories there" if pushed.mounted else ""
    tools.console.say(f"sent {pushed.sent / 1e6:.1f} MB to {host}{mounted}")
    return pushed.digest


def _repositories(host: str, images: Mapping[str, str]) -> dict[str, str]:
    """The repositories of those images that are in the registry of a host, by the same digests."""
    places = {digest: image_reference(name.partition("@")[0]) for digest, name in images.items()}
    return {digest: place.repository for digest, place in places.items() if place.host == host}
