"""Looks up the image of a version by digest or id, and the image that its name points to now."""

import shlex
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import replace

from ...command.errors import ChainBroken, NoEngine
from ...command.report import Finding, Severity
from ...command.wording import Wording, local, option, step_call
from ...core.image.dockerfile import ATTESTATIONS
from ...core.image.labels import MODEL, link_labels, other_version_in
from ...core.image.reference import image_reference, registry_fix
from ...core.release.chain import LinkCheck, LinkState, compare_link
from ...core.release.record import ImageLink, Record
from ...tools.engines.build_errors import NotPulled
from ...tools.engines.engine import Engine
from ...tools.oci.registries import Published
from ...tools.oci.repository import RegistryUnanswered
from ...tools.toolbox import Tools

Labels = Mapping[str, str]


def address_of(image: ImageLink | None) -> str:
    """
    Return the immutable reference of an image: repository@digest, or its id in the local engine.

    Empty without an image.
    """
    if image is None or image.kind != "image":
        return ""
    return image_reference(image.tag).at(image.digest) if image.digest else image.id


def serve_command(record: Record, address: str) -> str:
    """
    Return the command that serves an image, which gets the caller's variables that its model needs, by name.

    A server that verifies its model gets the attestations from a file in the current folder.
    """
    variables = record.answers.variables if record.answers else ()
    environment_flags = (word for name in variables for word in ("--env", name))
    engine = (record.image.engine if record.image else "") or "docker"
    attestations = f"./attestations.jsonl:{ATTESTATIONS}:ro"
    mounted = ("--volume", attestations) if record.image is not None and record.image.verify else ()
    return shlex.join((engine, "run", "--rm", "--publish", "8080:8080", *mounted, *environment_flags, address))


def serve_line(record: Record | None, address: str = "") -> tuple[str, ...]:
    """Return the line with the command that serves a version, at an address or the immutable one; empty without one."""
    image = record.image if record is not None else None
    address = address or address_of(image)
    if record is None or image is None or not address:
        return ()
    line = f"serve it:    {serve_command(record, address)}"
    return (line if image.digest else local(line),)


def names_reused(links: Iterable[LinkCheck], version: str) -> tuple[Finding, ...]:
    """Return a warning if the name of the version's image points to another version's image now."""
    return tuple(
        Finding(
            rule="image-name-reused",
            severity=Severity.WARNING,
            what=f"the image of {version} exists, but its name points to another image",
            why=link.reason,
            fix=link.fix,
        )
        for link in links
        if link.state is LinkState.HOLDS and link.fix
    )


def from_image(record: Record, tools: Tools) -> Iterator[LinkCheck]:
    """
    Check that the image exists, is the recorded one, and that its name points to it.

    A pushed image is looked up in its registry by digest; the local engine is used for images that were not pushed,
    or if the registry does not answer.
    """
    yield from _looked_up(record, tools, lambda _: False)


def from_identity(record: Record, tools: Tools) -> Iterator[LinkCheck]:
    """
    Do the same for a version that may be an old one, whose name may point to the image of another version.

    In that case it is looked up by digest or id only, and the result has a reason and the reference that serves it.
    """
    yield from _looked_up(record, tools, lambda labels: labels.get(MODEL, record.model.sha256) != record.model.sha256)


def _looked_up(record: Record, tools: Tools, belongs_to_another: Callable[[Labels], bool]) -> Iterator[LinkCheck]:
    """`belongs_to_another` decides by the labels of the named image whether the name is another version's now."""
    image = record.image
    if image is None or image.kind != "image":
        return
    if not image.digest:
        fix = step_call("release", push=True, image="REGISTRY/NAME")
        unverified = LinkCheck(
            link="image", state=LinkState.UNVERIFIED, reason="it was not pushed to a registry", fix=fix
        )
        yield _from_engine(record, tools, unverified, belongs_to_another)
        return
    try:
        published = tools.registries.published(image.tag, image.digest)
    except RegistryUnanswered as error:
        fix = registry_fix(image.tag, error, program=image.engine or "docker")
        unverified = LinkCheck(link="image", state=LinkState.UNVERIFIED, reason=str(error), fix=fix)
        yield _from_engine(record, tools, unverified, belongs_to_another)
        return
    if (
        published.image is not None
        and published.tagged_labels
        and all(map(belongs_to_another, published.tagged_labels))
    ):
        yield _renamed(record, image, published.tagged_labels[0])
        published = replace(published, tagged=None)
    yield from _from_registry_of_images(record, image, published)


def _renamed(record: Record, image: ImageLink, labels: Labels) -> LinkCheck:
    """Return the result for an existing image whose name points to another version's image."""
    reason = f"its name `{image.tag}` now points to the image of {other_version_in(labels, record)}"
    return LinkCheck(link="image", state=LinkState.HOLDS, reason=reason, fix=f"start it as {address_of(image)}")


def _from_registry_of_images(record: Record, image: ImageLink, published: Published) -> Iterator[LinkCheck]:
    source = image_reference(image.tag).host
    if published.image is None:
        yield compare_link("image", recorded=image.digest, observed="that it has no such image", source=source)
        return
    # Deployments use the name.
    actual = published.tagged or image.digest
    yield compare_link("image", recorded=image.digest, observed=actual, source=f"{source}, of {image.tag},")
    actual = image.id if image.id in published.image.ids else min(published.image.ids)
    yield compare_link("image", recorded=image.id, observed=actual, source=f"{source}, of its id,")
    recorded = link_labels(record)
    for labels in published.image.labels:
        for name, value in recorded.items():
            actual = labels.get(name, "nothing")
            yield compare_link("image", recorded=value, observed=actual, source=f"{source}, of its label {name},")


def _from_engine(
    record: Record, tools: Tools, unverified: LinkCheck, belongs_to_another: Callable[[Labels], bool]
) -> LinkCheck:
    """Check the image in the local engine by its name; `unverified` is the result if the engine does not have it."""
    image = record.image
    assert image is not None  # noqa: S101  # `_looked_up` returns without one
    engine = tools.engines.named(image.engine)
    try:
        local_image = engine.image(image.tag)
        if local_image is not None and local_image.id != image.id and belongs_to_another(local_image.labels):
            if engine.image(image.id) is not None:
                return _renamed(record, image, local_image.labels)
            reason = f"{engine.name} no longer has it, and {_renamed(record, image, local_image.labels).reason}"
            broken = LinkCheck(link="image", state=LinkState.BROKEN, reason=reason)
            return replace(unverified, reason=f"{reason}; {unverified.reason}") if image.digest else broken
    except NoEngine as error:
        return replace(unverified, reason=f"{error.why or error.what}, and {unverified.reason}")
    if local_image is None:
        return replace(unverified, reason=f"{engine.name} has no {image.tag} here, and {unverified.reason}")
    return compare_link("image", recorded=image.id, observed=local_image.id, source="the engine")


def require_image(image: ImageLink, record: Record, tools: Tools) -> None:
    """
    Raise ChainBroken unless the name of the image points to the recorded image in the local engine.

    An image that another machine pushed is pulled by its digest.
    """
    engine = tools.engines.named(image.engine)
    local_image = engine.image(image.tag)
    if local_image is None:
        absent, fix = f"{engine.name} has no {image.tag}", step_call("build-image")
        if not image.digest:
            raise ChainBroken("image", why=absent, fix=fix)
        try:
            local_image = engine.pull(image_reference(image.tag).at(image.digest))
        except NotPulled as error:
            raise ChainBroken(
                "image", why=f"{absent}, and cannot pull it: {error.why}", fix=error.fix or fix
            ) from error
    if local_image.id != image.id or local_image.labels.get(MODEL) != record.model.sha256:
        raise ChainBroken("image", why=f"{image.tag} is not the recorded image", fix=step_call("build-image"))


def name_taken(
    name: str, requested_name: str | None, record: Record, engine: Engine | None, pushing: Tools | None
) -> tuple[Finding, ...]:
    """
    Return a warning if the name of a new image is in use for the image of another version.

    `requested_name` is the name in the inputs; `pushing` are the tools to look it up in the registry, if it is pushed.
    """
    local_image = None if engine is None else engine.image(name)
    labels: tuple[Labels, ...] = () if local_image is None else (local_image.labels,)
    if pushing is not None:
        with suppress(RegistryUnanswered):  # the push itself reports it
            labels = (*pushing.registries.labels(name), *labels)
    other_labels = next(
        (candidate for candidate in labels if candidate.get(MODEL, record.model.sha256) != record.model.sha256), None
    )
    if other_labels is None:
        return ()
    chosen = requested_name is not None and image_reference(requested_name).tag
    fix = (option("image", name.rpartition(":")[0]), ", without a tag, so that each version has its own")
    finding = Finding(
        rule="image-name-reused",
        severity=Severity.WARNING,
        what=f"`{name}` already names another image, that of {other_version_in(other_labels, record)}",
        why="the name starts this image from now on; the other one can still be started by its digest or id",
        fix=Wording(*fix) if chosen else option("image", "ANOTHER_NAME"),
    )
    return (finding,)
