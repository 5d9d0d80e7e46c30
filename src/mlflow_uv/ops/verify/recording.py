"""Adds the results of verify to the release record of a version, in its run and in the file of the project."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path

from ...command.errors import BadInput, ChainBroken, StepError
from ...command.report import Finding, Severity
from ...command.wording import step_call
from ...core.release.record import IMAGE_WAYS, Record, VerificationLink
from ...core.verify.results import WayResult, merged_ways
from ...payloads.messages.tags import RECORD_DIGEST
from ..image.isolation import EvaluatedVersion
from ..lineage.record_update import NotPublished, update_published
from ..lineage.registry_client import RegistryClient


def record_in(file: Path, registry: RegistryClient) -> Record:
    """
    Return the record in a file, which must be that of its version in the registry.

    Raises BadInput for a file without a record, or whose record has no version; ChainBroken for another record.
    """
    record = registry.tools.records.load(file)
    if record.version is None:
        raise BadInput(what=f"the record in `{file}` has no version", why="register adds it", fix=step_call("register"))
    description = registry.client.describe_version(record.version.name, record.version.version)
    if description.tags.get(RECORD_DIGEST) != record.sha256:
        raise ChainBroken("record", why="the registry has the digest of another record of this version")
    return record


def record_results(
    results: Sequence[WayResult], subject: EvaluatedVersion, files: Iterable[Path], registry: RegistryClient
) -> Iterator[Finding]:
    """
    Add results to the record of the version; earlier results of other ways are kept.

    Each of `files` that is the record of this version is replaced. Yields a warning if there is no record to add the
    results to, or if it cannot be written, and leaves out results of an image that is not the record's any more.
    """
    left_out: list[str] = []

    def extended(record: Record) -> Record:
        about_it = tuple(result for result in results if result.image in ("", _image_id(record)))
        left_out.extend(f"`{result.way}`" for result in results if result not in about_it)
        return replace(record, verification=_link(about_it, record))

    try:
        update_published((subject.name, subject.version), extended, files, registry)
    except NotPublished as error:
        yield _unrecorded(subject, error.why)
    except StepError as error:
        yield _unrecorded(subject, f"{error.what}: {error.why}" if error.why else error.what)
    if left_out:
        yield _unrecorded(subject, f"its image changed while it was tested by {', '.join(left_out)}")


def _link(results: tuple[WayResult, ...], record: Record) -> VerificationLink:
    expected = record.answers.expected if record.answers else ""
    earlier = record.verification
    if earlier is not None and (earlier.model, earlier.expected) != (record.model.sha256, expected):
        earlier = None
    ways = merged_ways(earlier.ways if earlier else (), results)
    has_image = any(link.way in IMAGE_WAYS and link.verdict != "unavailable" for link in ways)
    # A release that runs again has no image yet; earlier results stay those of the image that they are about.
    about = _image_id(record) or (earlier.image if earlier else "")
    image = about if has_image else ""
    return VerificationLink(model=record.model.sha256, expected=expected, image=image, ways=ways)


def _image_id(record: Record) -> str:
    return record.image.id if record.image is not None else ""


def _unrecorded(subject: EvaluatedVersion, why: str) -> Finding:
    return Finding(
        rule="verification-not-recorded",
        severity=Severity.WARNING,
        what=f"the results are not in the release record of {subject.shown}",
        why=why,
    )
