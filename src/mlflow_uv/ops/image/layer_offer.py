"""Finds the image whose layers may be taken, and decides whether it is trusted enough."""

from collections.abc import Iterator

from ...command.errors import StepError
from ...command.report import Finding, Severity
from ...command.wording import option
from ...core.image.oci_manifest import PulledImage
from ...core.image.reference import image_reference
from ...core.release.chain import LinkState
from ...core.release.record import Record
from ...core.signing.trust_policy import TrustLevel
from ...payloads.messages.lazy_dataclass import lazy_dataclass
from ...tools.layers.registry_layers import FOLDER, RegistryLayers
from ...tools.oci.repository import RegistryUnanswered
from ...tools.project.files import Project
from ...tools.toolbox import Tools
from ..signing.subjects import checked_image
from ..signing.trust import trust_of

# The value of `layers-from` for the last image of the same repository.
AUTO = "auto"
_MOST_VERSIONS = 10  # before this one that are looked for
_ABSENT = "its registry has no such image"


@lazy_dataclass
class LayerOffer:
    """The image whose layers may be taken, as `HOST/NAME@sha256:…`, empty for none, and what there is to say of it."""

    image: str = ""
    findings: tuple[Finding, ...] = ()


NO_OFFER = LayerOffer()


def layer_offer(wanted: str | None, tag: str, record: Record, project: Project | None, tools: Tools) -> LayerOffer:
    """
    Return the image that `wanted` names, or the last one before `tag` in its repository; none without `wanted`.

    With trust settings, somebody whom the project trusts must have signed it. An image that does not exist, or is not
    trusted, is a finding: the layers are made then.
    """
    if not wanted:
        return NO_OFFER
    try:
        image = _last_image(tag, record, tools) if wanted == AUTO else _named_image(wanted, tools)
    except RegistryUnanswered as error:
        return LayerOffer(findings=(not_taken(wanted, str(error)),))
    if not image:
        return LayerOffer(findings=(not_taken(wanted, _ABSENT),))
    if why := _untrusted(image, project, tools):
        return LayerOffer(findings=(not_taken(image, why, Severity.WARNING),))
    return LayerOffer(image=image)


def offered_layers(offer: LayerOffer, architecture: str, tools: Tools, *, lists_only: bool) -> RegistryLayers | None:
    """
    Return the layers that an offered image has for an architecture, or why it has none; None without an image.

    If `lists_only` is set, a layer is downloaded when its archive is needed, and else only its list is read.
    """
    if not offer.image:
        return None
    name, _, digest = offer.image.partition("@")
    held: PulledImage | str
    try:
        held = tools.registries.documents(name, digest, architecture) or f"{_ABSENT} for {architecture}"
    except RegistryUnanswered as error:
        held = str(error)
    folder = tools.host.cache / FOLDER
    return RegistryLayers(
        tools.registries, tools.runner, offer.image, held, folder, tools.libraries.describe, lists_only=lists_only
    )


def _named_image(wanted: str, tools: Tools) -> str:
    place, _, digest = wanted.partition("@")
    found = digest or tools.registries.digest_of_tag(place)
    return image_reference(place).at(found) if found else ""


def _last_image(tag: str, record: Record, tools: Tools) -> str:
    """The image that has the tag already, or that of the newest earlier version; empty if there is none."""
    for name in _earlier(tag, record):
        if digest := tools.registries.digest_of_tag(name):
            return image_reference(name).at(digest)
    return ""


def _earlier(tag: str, record: Record) -> Iterator[str]:
    yield tag
    version = record.version.version if record.version else ""
    if version.isdecimal() and tag.endswith(f":{version}"):
        for number in range(int(version) - 1, max(0, int(version) - 1 - _MOST_VERSIONS), -1):
            yield f"{tag.removesuffix(version)}{number}"


def _untrusted(image: str, project: Project | None, tools: Tools) -> str:
    """Say why an image is not trusted; empty if it is, or if the project has no trust settings."""
    trust = trust_of(project, tools)
    if trust.policy.policy is TrustLevel.OFF:
        return ""
    try:
        found = checked_image(image, None, trust, tools)
    except StepError as error:
        return error.why or error.what
    return "; ".join(check.reason for check in found.checks if check.state is not LinkState.HOLDS)


def not_taken(image: str, why: str, severity: Severity = Severity.NOTICE) -> Finding:
    """Return the finding that layers are made although an image was named that may have them."""
    return Finding(
        rule="image-layers-not-taken",
        severity=severity,
        what=f"no layer is taken from `{image}`, so that all that are not here are made",
        why=why,
        fix=option("layers-from", "IMAGE"),
    )
