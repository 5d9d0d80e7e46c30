"""States the result of a release for readers who know neither its steps nor the links of its chain."""

from ...command.report import Mark
from ...command.wording import Wording
from .record import Record

_NO_MODEL = "The model"


def released(record: Record) -> str:
    """The verdict on a release whose steps all succeeded."""
    model = subject(record)
    if record.answers is None or record.answers.observed is None:
        return f"{model} is {'registered' if record.version else 'trained and logged'}, and not tested"
    ready = f"ready as {record.alias.name}" if record.alias else "tested"
    served = "from its image" if record.image and record.image.kind == "image" else "without an image"
    return f"{model} is {ready}: served {served}, it gives the predictions of training"


def made(record: Record) -> str:
    """What a release made: the model, its version and its image, in one line."""
    parts = [f"model {record.model.model_id}"]
    if record.version is not None:
        parts.append(f"version {record.version.version} of {record.version.name}")
    if record.image is not None and record.image.kind == "image":
        parts.append(f"image {record.image.tag}")
    return f"released {', '.join(parts)}"


def stopped(record: Record | None, name: str | None, why: str) -> str:
    """The verdict on a release that a step stopped; `name` is that of the registered model, None if unknown."""
    moved = record is not None and record.alias is not None
    kept = "" if moved else ". No alias was moved"
    return Wording(f"{subject(record, name)} is not released: ", why, kept)


def audited(
    version: str, aliases: tuple[str, ...], state: str, broken: tuple[str, ...], unverified: tuple[str, ...]
) -> str:
    """The verdict on a registered version whose links were recomputed."""
    called = f"{version} ({', '.join(aliases)})" if aliases else version
    if broken:
        return f"{called} is not what was released: {', '.join(broken)} {'is' if len(broken) == 1 else 'are'} broken"
    if state == "failed":
        return f"{called} failed its test"
    if state == "registered":
        known = f"verified except for {', '.join(unverified)}" if unverified else "every link that it has holds"
        return f"{called} was not tested yet: {known}"
    if unverified:
        return f"{called} is what was released, as far as it can be verified here: not {', '.join(unverified)}"
    return f"{called} is what was released: every link of its chain holds"


def mark_of_audited(state: str, broken: tuple[str, ...], unverified: tuple[str, ...]) -> Mark:
    """The sign for such a verdict: what is not known yet, or not here, does not count as valid."""
    if broken or state == "failed":
        return Mark.BROKEN
    return Mark.UNVERIFIED if unverified or state == "registered" else Mark.HOLDS


def subject(record: Record | None, name: str | None = None) -> str:
    """The registered version of a record, else the name, else that there is a model."""
    if record is not None and record.version is not None:
        return f"{record.version.name} version {record.version.version}"
    return name or _NO_MODEL
