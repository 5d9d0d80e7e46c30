"""Looks up the image of a version by its digest or id, and what its name leads to now."""

import shlex
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import replace

from ...command.errors import ChainBroken, NoEngine
from ...command.report import Finding, Severity
from ...command.wording import Wording, local, option, step_call
from ...core.image.labels import MODEL, link_labels, version_in
from ...core.image.reference import image_reference
from ...core.release.chain import LinkCheck, LinkState, compare_link
from ...core.release.record import ImageLink, Record
from ...tools.engines.engine import Engine
from ...tools.oci.registries import Published, RegistryUnanswered
from ...tools.toolbox import Tools

Labels = Mapping[str, str]


def address_of(image: ImageLink | None) -> str:
    """
    What starts exactly this image, whatever its name leads to: repository@digest, or its id in the engine.

    Empty where there is no image.
    """
    if image is None or image.kind != "image":
        return ""
    return image_reference(image.tag).at(image.digest) if image.digest else image.id


def served_by(image: ImageLink | None) -> tuple[str, ...]:
    """The line that says how a version is served; none where it has no image."""
    address = address_of(image)
    if image is None or not address:
        return ()
    command = f"serve it:    {shlex.join((image.engine, 'run', '--rm', '--publish', '8080:8080', address))}"
    return (command if image.digest else local(command),)


def names_reused(links: Iterable[LinkCheck], version: str) -> tuple[Finding, ...]:
    """A warning where an image's name leads to another version's now, so that only its address starts this one."""
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
    Whether the image is still there, is the recorded one, and is what its name leads to.

    What was pushed is asked for at its registry, by digest; the engine here is asked about what never was, and where
    the registry does not tell.
    """
    yield from _looked_up(record, tools, lambda _: False)


def from_identity(record: Record, tools: Tools) -> Iterator[LinkCheck]:
    """
    The same for a version that may be an old one: its name may lead to the image of another version of ours.

    Then it is looked up by its digest or id alone; that it holds comes with a reason, and the address that serves it.
    """
    yield from _looked_up(record, tools, lambda labels: labels.get(MODEL, record.model.sha256) != record.model.sha256)


def _looked_up(record: Record, tools: Tools, passed_on: Callable[[Labels], bool]) -> Iterator[LinkCheck]:
    """`passed_on` says of the labels of what the name leads to that the name was given to another version."""
    image = record.image
    if image is None or image.kind != "image":
        return
    if not image.digest:
        fix = step_call("release", push=True, image="REGISTRY/NAME")
        untold = LinkCheck(link="image", state=LinkState.UNVERIFIED, reason="it was not pushed to a registry", fix=fix)
        yield _from_engine(image, tools, untold, passed_on)
        return
    try:
        published = tools.registries.published(image.tag, image.digest)
    except RegistryUnanswered as error:
        host = image_reference(image.tag).host
        fix = f"reach {host} from here"
        if error.denied:
            fix = local(f"{image.engine} login {host}", f"a step with docker/login-action for {host} before this one")
        untold = LinkCheck(link="image", state=LinkState.UNVERIFIED, reason=str(error), fix=fix)
        yield _from_engine(image, tools, untold, passed_on)
        return
    if published.image is not None and published.tagged_labels and all(map(passed_on, published.tagged_labels)):
        yield _renamed(image, published.tagged_labels[0])
        published = replace(published, tagged=None)
    yield from _from_registry_of_images(record, image, published)


def _renamed(image: ImageLink, labels: Labels) -> LinkCheck:
    """That the image is there, and its name leads to that of another version."""
    reason = f"its name `{image.tag}` now points to the image of {version_in(labels)}"
    return LinkCheck(link="image", state=LinkState.HOLDS, reason=reason, fix=f"start it as {address_of(image)}")


def _from_registry_of_images(record: Record, image: ImageLink, published: Published) -> Iterator[LinkCheck]:
    source = image_reference(image.tag).host
    if published.image is None:
        yield compare_link("image", recorded=image.digest, observed="that it has no such image", source=source)
        return
    # Who deploys it says its name.
    found = published.tagged or image.digest
    yield compare_link("image", recorded=image.digest, observed=found, source=f"{source}, of {image.tag},")
    found = image.id if image.id in published.image.ids else min(published.image.ids)
    yield compare_link("image", recorded=image.id, observed=found, source=f"{source}, of its id,")
    recorded = link_labels(record)
    for labels in published.image.labels:
        for name, value in recorded.items():
            found = labels.get(name, "nothing")
            yield compare_link("image", recorded=value, observed=found, source=f"{source}, of its label {name},")


def _from_engine(image: ImageLink, tools: Tools, untold: LinkCheck, passed_on: Callable[[Labels], bool]) -> LinkCheck:
    """Whether the engine here has the image under its name; `untold` says more where it has none."""
    engine = tools.engines.named(image.engine)
    try:
        found = engine.image(image.tag)
        if found is not None and found.id != image.id and passed_on(found.labels):
            if engine.image(image.id) is not None:
                return _renamed(image, found.labels)
            reason = f"{engine.name} no longer has it, and {_renamed(image, found.labels).reason}"
            gone = LinkCheck(link="image", state=LinkState.BROKEN, reason=reason)
            return replace(untold, reason=f"{reason}; {untold.reason}") if image.digest else gone
    except NoEngine as error:
        return replace(untold, reason=f"{error.why or error.what}, and {untold.reason}")
    if found is None:
        return replace(untold, reason=f"{engine.name} has no {image.tag} here, and {untold.reason}")
    return compare_link("image", recorded=image.id, observed=found.id, source="the engine")


def require_image(image: ImageLink, record: Record, tools: Tools) -> None:
    """
    By its name, which is all that those have who start it, an image says what it was made from.

    What another machine pushed is pulled by its digest.
    """
    engine = tools.engines.named(image.engine)
    found = engine.image(image.tag)
    if found is None and image.digest:
        found = engine.pull(image_reference(image.tag).at(image.digest))
    if found is None:
        raise ChainBroken("image", why=f"{engine.name} has no {image.tag}", fix=step_call("build-image"))
    if found.id != image.id or found.labels.get("mlflow-uv.model-sha256") != record.model.sha256:
        raise ChainBroken("image", why=f"{image.tag} is not the recorded image", fix=step_call("build-image"))


def name_taken(
    name: str, given: str | None, record: Record, engine: Engine, pushing: Tools | None
) -> tuple[Finding, ...]:
    """
    A warning where the name of an image that is built leads to the image of another version, which loses it.

    `given` is the name as somebody said it, `pushing` what asks its registry where it is pushed.
    """
    here = engine.image(name)
    labels: tuple[Labels, ...] = () if here is None else (here.labels,)
    if pushing is not None:
        with suppress(RegistryUnanswered):  # whoever pushes is told by the engine
            labels = (*pushing.registries.labels(name), *labels)
    other = next((one for one in labels if one.get(MODEL, record.model.sha256) != record.model.sha256), None)
    if other is None:
        return ()
    chosen = given is not None and image_reference(given).tag
    fix = (option("image", name.rpartition(":")[0]), ", without a tag, so that each version has its own")
    finding = Finding(
        rule="image-name-reused",
        severity=Severity.WARNING,
        what=f"`{name}` already names another image, that of {version_in(other)}",
        why="the name starts this image from now on; the other one can still be started by its digest or id",
        fix=Wording(*fix) if chosen else option("image", "ANOTHER_NAME"),
    )
    return (finding,)
