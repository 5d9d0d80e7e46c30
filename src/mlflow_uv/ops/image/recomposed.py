"""Composes the image of a version again, and compares it with the one in the registry, without pulling that."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import takewhile
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from ...command.errors import BaseImageUnfit, ChainBroken, StepError
from ...command.inputs import Serving
from ...command.lazy_pattern import lazy_pattern
from ...command.report import Finding, first_names
from ...core.image.composition import Compression
from ...core.image.labels import BuildProvenance
from ...core.image.oci_manifest import PulledImage
from ...core.release.chain import LinkCheck, LinkState
from ...core.release.record import CompositionLink, ImageLink, VersionLink
from ...core.security.documents import parse_json
from ...payloads.messages.lazy_dataclass import lazy_dataclass
from ...tools.oci.repository import RegistryUnanswered
from ...tools.system.disk_errors import disk_errors
from ...tools.toolbox import Tools
from ..lineage.audit import Audited
from ..lineage.recompute import RecomputedRelease, note_version
from ..lineage.registry_client import RegistryClient
from .builders import PackageNotComposable
from .composed import ComposedServingImage, changed_layers
from .composed_base import LayerOrigin, read_recorded_base
from .composed_packages import Composition
from .composed_release import ReleaseImages, compose_release, composition_link
from .environment import INSTALLED_LIST
from .layers import needs_for

BASE = "the base image"
_UNSHOWN = "layers that the release does not have"
_ORDER = "the order of its layers"
_SETTINGS = "the settings"
_PLATFORMS = "the list of its platforms"
_PYTHON = lazy_pattern(r"3\.\d{1,3}\.\d{1,3}(?:(?:a|b|rc)\d{1,2}\+?)?")
# Their fixes are inputs of a build, which would give another image.
_REFUSED_BUILDS = (BaseImageUnfit, PackageNotComposable)
_MOST_SHOWN = 80  # characters of a name from a registry
_MOST_NAMED = 300  # characters of the name of an image in a record


@lazy_dataclass
class Recomposed:
    """The check of an image that was composed again, if it was a composed one, and findings about this machine."""

    checks: tuple[LinkCheck, ...] = ()
    findings: tuple[Finding, ...] = ()


def recomposed(audit: Audited, registry: RegistryClient) -> Recomposed:
    """Return the check of an audited version, see `from_parts`; none without a record of a composed image."""
    if audit.record is None:
        return Recomposed()
    release = RecomputedRelease(
        record=audit.record,
        client=registry.client,
        project=registry.project,
        model=audit.model,
        checks=audit.checks,
    )
    return from_parts(release, registry.tools)


def from_parts(release: RecomputedRelease, tools: Tools) -> Recomposed:
    """
    Check that a composed image is what base, lock, selection, model, serving set and this program give.

    Its digest is computed from these, which the release names, and compared with the recorded one. Where that is not
    possible the link is unverified, and the reason says what is missing; there is no check of a built image. A notice
    says that layers in the cache had changed; they were made again.
    """
    image = release.record.image
    if image is None or image.composition is None:
        return Recomposed()
    findings: tuple[Finding, ...] = ()
    try:
        with (
            TemporaryDirectory(prefix="mlflow-uv-compose-") as folder,
            disk_errors("the image", Path(folder), fix="free space there, or set TMPDIR to a larger disk"),
            tools.console.group(f"compose {image.tag} again"),
        ):
            again = _composed_again(release, image, image.composition, Path(folder), tools)
            findings = tuple(changed_layers(again.images.composed))
            check = _compared(again, image, image.composition, tools)
    except ChainBroken as error:
        check = _broken(error.why or error.what)
    except StepError as error:
        why = f"{error.what}: {error.why}" if error.why else error.what
        made_with = image.composition
        programs = f"mlflow-uv {made_with.program}, uv {made_with.uv} and Python {made_with.python}"
        fix = "" if isinstance(error, _REFUSED_BUILDS) else error.fix
        check = _unverified(f"{why}; it was composed with {programs}", fix)
    finally:
        (release.model / INSTALLED_LIST).unlink(missing_ok=True)
    return Recomposed(checks=(check,), findings=findings)


@lazy_dataclass
class _Again:
    """A release whose selection is the recorded one, and its images, composed again."""

    release: RecomputedRelease
    images: ReleaseImages


def _composed_again(
    release: RecomputedRelease, image: ImageLink, recorded: CompositionLink, scratch: Path, tools: Tools
) -> _Again:
    """Raises ChainBroken for a record that names what does not exist."""
    # A record comes from a server: uv would take a path as `python`, too, and start it.
    if not recorded.composed_for or len(set(recorded.composed_for)) < len(recorded.composed_for):
        raise ChainBroken("image", why="the record does not say for which platforms it is")
    if image.serving not in {serving.value for serving in Serving} or not _PYTHON.fullmatch(recorded.python):
        what = f"serving set `{image.serving[:_MOST_SHOWN]}` or Python `{recorded.python[:_MOST_SHOWN]}`"
        raise ChainBroken("image", why=f"the record has a {what}, which does not exist")
    serving = Serving(image.serving)
    release = _as_built(release, recorded)
    needs = needs_for(release, serving)
    provenance = BuildProvenance(
        base=image.base,
        base_digest=image.base_digest,
        serving=image.serving,
        created=recorded.created,
        source=recorded.source,
    )
    python, compression = tools.environments.interpreter(recorded.python), _compression(recorded)
    compositions = []
    for at, architecture in enumerate(recorded.composed_for):
        base = read_recorded_base(image, architecture, needs, scratch / f"base-{at}", tools)
        composition = Composition(
            needs=needs,
            base=base,
            provenance=provenance,
            python=python,
            compression=compression,
            verify=image.verify,
        )
        compositions.append(composition)
    composed = compose_release(release, compositions, scratch, tools)
    images = ReleaseImages(compositions=tuple(compositions), composed=composed, native=None)
    return _Again(release=release, images=images)


def _compared(again: _Again, image: ImageLink, recorded: CompositionLink, tools: Tools) -> LinkCheck:
    images, composed = again.images, again.images.composed
    expected = images.image
    ids = () if image.digest else (each.image.id for each in composed)
    if (image.digest or image.id) in {expected.digest, *ids}:
        return LinkCheck(link="image", state=LinkState.HOLDS)
    different = tuple(_all_differences(images, image, tools))
    if _is_another_build(composed, different):
        names = first_names(sorted({package.name for each in composed for package in each.built}))
        return _unverified(f"{names} was built from source, and another build gives other bytes")
    reason = f"composed again, it has the digest {expected.digest[7:19]}; it differs in {first_names(different)}"
    if recorded.layers_from:
        reason += f"; layers of it were taken from {recorded.layers_from[:_MOST_NAMED]}"
    changed = _changed(recorded, composition_link(again.release, images.compositions, composed, tools))
    if not changed or (
        any(part.startswith(BASE) for part in different) and recorded.layers_of_base == LayerOrigin.REGISTRY.value
    ):
        return _broken(reason)
    return _unverified(f"it was composed with {first_names(changed)}, and what is here gives another image")


def _compression(recorded: CompositionLink) -> Compression:
    """How the layers were compressed. Raises ChainBroken for what does not exist."""
    try:
        return Compression(recorded.compression or Compression.GZIP.value)
    except ValueError:
        what = f"the record has a compression `{recorded.compression[:_MOST_SHOWN]}`, which does not exist"
        raise ChainBroken("image", why=what) from None


def _is_another_build(composed: Sequence[ComposedServingImage], different: Sequence[str]) -> bool:
    """Whether only layers differ whose packages were built from source."""
    parts = {part.partition(" for ")[0] for part in different} - {_UNSHOWN}
    return bool(parts) and parts <= {_layer(name) for each in composed for name in each.packages.built}


def _layer(name: str) -> str:
    return f"the layer `{name}`"


def _as_built(release: RecomputedRelease, recorded: CompositionLink) -> RecomputedRelease:
    """The release as it was when the image was composed: without a version, if it was not registered yet."""
    record = release.record
    version: VersionLink | None = None
    if recorded.version and record.version is not None:
        version = replace(record.version, version=recorded.version)
    note_version(version, release.model)
    return replace(release, record=replace(record, version=version))


def _all_differences(images: ReleaseImages, image: ImageLink, tools: Tools) -> Iterator[str]:
    """Name the parts in which the images of a registry differ; of several images with the architecture."""
    several, any_difference = len(images.composed) > 1, False
    for composed in images.composed:
        architecture = composed.image.architecture
        for part in differences(composed, _held(image, architecture, tools)):
            any_difference = True
            yield f"{part} for {architecture}" if several else part
    if not any_difference:
        yield _PLATFORMS


def _held(image: ImageLink, architecture: str, tools: Tools) -> PulledImage | None:
    """What the registry has for an architecture, None if the image was not pushed or the registry does not say."""
    try:
        return tools.registries.documents(image.tag, image.digest, architecture) if image.digest else None
    except RegistryUnanswered:
        return None


def differences(composed: ComposedServingImage, held: PulledImage | None) -> Iterator[str]:
    """Name the parts in which the image of a registry differs from the composed one."""
    if held is None:
        yield "parts that are not known, because no registry returns the image"
        return
    config, actual = parse_json(composed.image.config), _object(held.config)
    names = [entry["created_by"] for entry in config["history"][-composed.own_layers :]]
    expected = [blob.digest for blob in composed.image.blobs[1:]]
    own = expected[-composed.own_layers :]
    digests = [blob.digest for blob in held.layers]
    absent = [_layer(name) for name, digest in zip(names, own, strict=True) if digest not in digests]
    base = expected[: -composed.own_layers]
    lowest = list(takewhile(lambda digest: digest not in own, digests))
    if lowest[: len(base)] != base or len(lowest) - len(base) > len(absent):
        yield BASE
    yield from absent
    if set(digests) - set(expected):
        yield _UNSHOWN
    elif digests != expected and sorted(digests) == sorted(expected):
        yield _ORDER
    expected_labels, labels = config["config"]["Labels"], _object(_object(actual.get("config")).get("Labels"))
    for name in sorted({*expected_labels, *labels}):
        if expected_labels.get(name) != labels.get(name):
            yield f"the label `{name[:_MOST_SHOWN]}`"
    if _settings(config) != _settings(actual):
        yield _SETTINGS


def _settings(config: Mapping[str, Any]) -> dict[str, Any]:
    """A configuration without labels and layers."""
    settings = {name: value for name, value in _object(config.get("config")).items() if name != "Labels"}
    return {**config, "config": settings, "rootfs": None, "history": None}


def _object(value: object) -> Mapping[str, Any]:
    content = parse_json(value) if isinstance(value, bytes) else value
    return content if isinstance(content, dict) else {}


def _changed(recorded: CompositionLink, here: CompositionLink) -> tuple[str, ...]:
    """Name the programs that were others when the image was composed."""
    programs = {
        "mlflow-uv": (recorded.program, here.program),
        "uv": (recorded.uv, here.uv),
        "Python": (recorded.python, here.python),
    }
    return tuple(f"{name} {before}, not {now}" for name, (before, now) in programs.items() if before != now)


def _broken(reason: str) -> LinkCheck:
    return LinkCheck(link="image", state=LinkState.BROKEN, reason=reason)


def _unverified(reason: str, fix: str = "") -> LinkCheck:
    return LinkCheck(link="image", state=LinkState.UNVERIFIED, reason=f"it cannot be composed again: {reason}", fix=fix)
