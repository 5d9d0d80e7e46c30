"""Compares a version with the champion: packages, signature, metrics, figures of the server, size of the image."""

from collections.abc import Mapping
from dataclasses import field, replace
from pathlib import Path
from tempfile import TemporaryDirectory

from ...command.errors import BadInput, NoEngine
from ...command.report import Table, TableKind
from ...core.model.model_difference import (
    difference_text,
    metric_table,
    package_changes,
    packages_of,
    signature_table,
)
from ...core.model.model_files import REQUIREMENTS
from ...core.model.signature import signature_changes
from ...core.release.commit import Commit
from ...core.release.record import Record
from ...payloads.messages.lazy_dataclass import lazy_dataclass
from ...payloads.messages.registry import RegisteredVersion
from ...payloads.messages.tags import MODEL_DIGEST
from ...tools.toolbox import Tools
from ..lineage.audit import readable_record_of
from ..lineage.registry_client import RegistryClient


@lazy_dataclass
class ComparedVersion:
    """
    A folder with at least the files in COMPARED of a version, and its release record if it has one.

    `metrics` are those of an evaluation together with the other version; empty without one.
    """

    files: Path
    record: Record | None
    metrics: Mapping[str, float] = field(default_factory=dict)


@lazy_dataclass
class ChampionComparison:
    """
    The number of the champion's version, and tables of what differs from it, without those of equal subjects.

    `commits` are those that the champion and the version were trained from, empty unless both have a record.
    """

    champion: str
    tables: tuple[Table, ...]
    commits: tuple[Commit, ...] = ()

    @property
    def shown(self) -> str:
        """What differs, and from which commits both are: another commit may train another model of equal subjects."""
        differing = ", ".join(table.title for table in self.tables) or "nothing in packages, signature and measurements"
        if not self.commits:
            return differing
        old, new = self.commits
        return f"{differing}; commit {new.short}" if old == new else f"{differing}; commit {old.short} → {new.short}"


COMPARED = ("MLmodel", REQUIREMENTS)


def compare_with_champion(
    registry: RegistryClient, *, name: str, version: str, alias: str
) -> ChampionComparison | None:
    """
    Compare a version with the one of an alias, None if the alias is on no other version.

    Only the files in COMPARED are downloaded. Raises StoreUnreachable, ToolFailed and BadInput.
    """
    champion = registry.client.describe_name(name).aliases.get(alias)
    if champion is None or champion == version:
        return None
    with TemporaryDirectory(prefix="mlflow-uv-compare-") as scratch:
        described = [registry.client.describe_version(name, number) for number in (version, champion)]
        new, old = (_downloaded(registry, description, Path(scratch)) for description in described)
        new, old = _with_metrics(registry, (described[0], described[1]), new, old)
        changes = signature_difference(new, old, registry)
        return ChampionComparison(
            champion=champion,
            tables=difference_tables(new, old, changes, registry.tools),
            commits=(old.record.commit, new.record.commit) if old.record and new.record else (),
        )


def signature_difference(
    candidate: ComparedVersion, champion: ComparedVersion, registry: RegistryClient
) -> tuple[tuple[str, str], ...]:
    """Return effect and text of every signature change, breaking ones first. Raises BadInput if one is unreadable."""
    new, old = (registry.client.describe_signature(version.files).signature for version in (candidate, champion))
    try:
        return tuple((change.effect.value, change.text) for change in signature_changes(old, new))
    except ValueError as error:
        raise BadInput(what="a model's signature cannot be read", why=str(error)) from error


def difference_tables(
    candidate: ComparedVersion, champion: ComparedVersion, changes: tuple[tuple[str, str], ...], tools: Tools
) -> tuple[Table, ...]:
    """Return a table for each subject in which the versions differ; `changes` are those of the signature."""
    tables = (
        package_changes(_packages(candidate), _packages(champion)),
        signature_table(changes),
        _metrics(candidate, champion),
        _figures(candidate, champion),
        _sizes(candidate, champion, tools),
    )
    return tuple(replace(table, kind=TableKind.CHANGES) for table in tables if table.rows)


def _downloaded(registry: RegistryClient, description: RegisteredVersion, scratch: Path) -> ComparedVersion:
    folder = scratch / description.version
    registry.client.download_version(description, folder, files=COMPARED)
    record = readable_record_of(registry, description, scratch / f"{description.version}.json")
    return ComparedVersion(files=folder, record=record)


def _with_metrics(
    registry: RegistryClient,
    described: tuple[RegisteredVersion, RegisteredVersion],
    candidate: ComparedVersion,
    champion: ComparedVersion,
) -> tuple[ComparedVersion, ComparedVersion]:
    """
    Add the metrics of the last evaluation of both versions on the same data.

    None are added if a version was evaluated with files other than those of its record, or of its tags without one.
    """
    mine, theirs = (version.model_id for version in described)
    if mine is None or theirs is None:
        return candidate, champion
    models = registry.client.find_evaluation((mine, theirs), {}).models
    digests = {
        version.model_id: compared.record.model.sha256 if compared.record else version.tags.get(MODEL_DIGEST)
        for version, compared in zip(described, (candidate, champion), strict=True)
    }
    if digests != {name: model.model_sha256 for name, model in models.items()}:
        return candidate, champion
    return replace(candidate, metrics=models[mine].metrics), replace(champion, metrics=models[theirs].metrics)


def _packages(version: ComparedVersion) -> Mapping[str, str]:
    file = version.files / REQUIREMENTS
    return packages_of(file.read_text(encoding="utf-8")) if file.is_file() else {}


def _metrics(candidate: ComparedVersion, champion: ComparedVersion) -> Table:
    """Return a table of all metrics of both, empty unless both were evaluated together and a metric differs."""
    table = metric_table(candidate.metrics, champion.metrics)
    known = candidate.metrics and champion.metrics and candidate.metrics != champion.metrics
    return replace(table, rows=table.rows if known else ())


def _figures(candidate: ComparedVersion, champion: ComparedVersion) -> Table:
    """Return a table of what smoke-test measured of both and differs; empty unless both were measured."""
    new, old = (dict(version.record.figures) if version.record else {} for version in (candidate, champion))
    equal = {name for name, value in new.items() if old.get(name) == value}
    table = metric_table(*({name: value for name, value in of.items() if name not in equal} for of in (new, old)))
    columns = ("figure", *table.columns[1:])
    return replace(table, title="figures of the server", columns=columns, rows=table.rows if new and old else ())


def _sizes(candidate: ComparedVersion, champion: ComparedVersion, tools: Tools) -> Table:
    """Return a table of both image sizes, empty unless the local engine has both and they differ by a megabyte."""
    candidate_mb, champion_mb = _image_mb(candidate, tools), _image_mb(champion, tools)
    rows = (
        ()
        if candidate_mb is None or champion_mb is None or round(candidate_mb - champion_mb) == 0
        else (
            (
                "size",
                f"{candidate_mb:.0f} MB",
                f"{champion_mb:.0f} MB",
                f"{difference_text(candidate_mb - champion_mb, '.0f')} MB",
            ),
        )
    )
    return Table(title="image", columns=("figure", "candidate", "champion", "difference"), rows=rows)


def _image_mb(version: ComparedVersion, tools: Tools) -> float | None:
    if version.record is None or version.record.image is None or version.record.image.kind != "image":
        return None
    try:
        image = tools.engines.named(version.record.image.engine).image(version.record.image.id)
    except NoEngine:
        return None
    return None if image is None else image.size / 1e6
