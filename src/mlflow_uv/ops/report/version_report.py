"""Collects what the report on a registered version shows, from its audit, its record and the champion."""

import shlex
from collections.abc import Iterator
from contextlib import suppress
from datetime import UTC, datetime

from ...command.errors import StepError
from ...command.lazy_pattern import lazy_pattern
from ...command.report import ChainLink, Table
from ...command.wording import step_call
from ...core.image.sbom import packages_by_licence
from ...core.model.load_figures import without_gaps
from ...core.release import verdict
from ...core.release.chain import LinkCheck, LinkState, checked_links, merge_checks
from ...core.release.record import Record
from ...core.verify.results import recorded_results, result_matrix, result_table
from ...payloads.messages.lazy_dataclass import lazy_dataclass
from ...payloads.messages.tags import STATE
from ...tools.toolbox import Tools
from ..image.lookup import address_of, serve_command
from ..image.sbom import locked_sbom, named_layers
from ..lineage.audit import Audited
from ..lineage.pages import pages_about
from ..lineage.registry_client import RegistryClient
from ..versions.comparison import ChampionComparison
from .page import BarChart, Histogram, PageFact, PageLink, ReportPage, bar_chart, histogram
from .platforms import PLATFORMS_TITLE, platforms_table

_LAYERS = 8  # of an image that are shown, the largest
_SIZE = 1e6
_UNKNOWN = "unknown"
_MILLISECONDS = "-milliseconds"
_MOMENT = lazy_pattern(r"\A(\d{4}-\d\d-\d\d)T(\d\d:\d\d):\d\dZ\Z")


@lazy_dataclass
class VersionReport:
    """The page about a version, and its links by what was found out."""

    page: ReportPage
    links: tuple[LinkCheck, ...]
    chain: tuple[ChainLink, ...]

    def names(self, state: LinkState) -> tuple[str, ...]:
        """The names of the links in a state."""
        return tuple(check.link for check in self.links if check.state is state)


def version_report(
    audit: Audited, comparison: ChampionComparison | None, registry: RegistryClient, *, alias: str
) -> VersionReport:
    """
    Collect the report on an audited version; `comparison` is None unless `alias` is on another version.

    Raises StoreUnreachable, and ToolFailed if its run was deleted.
    """
    tools, record = registry.tools, audit.record
    links = merge_checks(audit.checks)
    chain = checked_links(record, links)
    broken = tuple(check.link for check in links if check.state is LinkState.BROKEN)
    unverified = tuple(check.link for check in links if check.state is LinkState.UNVERIFIED)
    shown = f"{audit.name} version {audit.version}"
    state = audit.tags.get(STATE, "")
    page = ReportPage(
        title=f"Release report: {shown}",
        verdict=verdict.audited(shown, audit.description.aliases, state, broken, unverified),
        mark=verdict.mark_of_audited(state, broken, unverified),
        chain=tuple(_page_link(link, check) for link, check in zip(chain, links, strict=True)),
        champion=comparison.champion if comparison else "",
        uncompared="" if comparison else _uncompared(audit, alias),
        changes=comparison.tables if comparison else (),
        histograms=tuple(_histograms(record)) if record else (),
        charts=tuple(_charts(record, tools)) if record else (),
        tables=(*_tables(audit), *_platforms(audit), *_licences(audit, tools)),
        facts=tuple(_facts(audit)),
        pages=pages_about(record, registry) if record else (),
        commands=tuple(_commands(audit, servable="image" not in broken)),
        written=datetime.fromtimestamp(tools.clock.date_s(), UTC).strftime("%Y-%m-%d %H:%M UTC"),
    )
    return VersionReport(page=page, links=links, chain=chain)


def _uncompared(audit: Audited, alias: str) -> str:
    """Why the version is compared with no other one."""
    if alias in audit.description.aliases:
        return f"This version is the {alias}: it is compared with no other one."
    return f"No version of {audit.name} is the {alias}: there is none to compare this one with."


def _page_link(link: ChainLink, check: LinkCheck) -> PageLink:
    """A link with its reason; a broken one is repaired by what its check names, else by a release."""
    fix = check.fix or (step_call("release") if check.state is LinkState.BROKEN else "")
    return PageLink(link=link, reason=check.reason, fix=fix)


def _latencies(record: Record) -> list[tuple[str, float]]:
    """Return the figures of the tested server in milliseconds."""
    return [(name, value) for name, value in record.figures if name.endswith(_MILLISECONDS)]


def _histograms(record: Record) -> Iterator[Histogram]:
    """Yield the latencies of the tested server, with the percentiles that the record has of them."""
    if not record.latencies:
        return
    requests = sum(number for _, number in record.latencies)
    note = "; ".join(
        (
            f"{requests} {'request' if requests == 1 else 'requests'}",
            *(f"{name.removesuffix(_MILLISECONDS)} {value:g} ms" for name, value in _latencies(record)),
        )
    )
    ranges = without_gaps(record.latencies)
    columns = [(f"{bound:g}", number, f"{number} up to {bound:g} ms") for bound, number in ranges]
    yield histogram(
        "Latency under load", f"{note}. Each column is a range of latencies up to its number in ms.", columns
    )


def _charts(record: Record, tools: Tools) -> Iterator[BarChart]:
    """Yield the latencies where no histogram has them, the layers of the image, and the times of the steps."""
    if (latencies := _latencies(record)) and not record.latencies:
        yield bar_chart("Latency under load", [(name, value, f"{value:g} ms") for name, value in latencies])
    if layers := _layers(record, tools):
        yield bar_chart("Layers of the image", layers)
    if record.timings:
        yield bar_chart("Times of the release", [(step, s, f"{s:.1f} s") for step, s in record.timings])


def _layers(record: Record, tools: Tools) -> list[tuple[str, float, str]]:
    """Return the largest layers of the image, none unless the local engine has it."""
    if record.image is None or record.image.kind != "image":
        return []
    try:
        engine = tools.engines.named(record.image.engine)
        layers = engine.layers(record.image.id) if engine.image(record.image.id) else ()
    except StepError:  # the sizes are left out: the report needs no engine
        return []
    largest = sorted(named_layers(layers), key=lambda layer: layer[1], reverse=True)[:_LAYERS]
    return [(name, size, f"{size / _SIZE:.1f} MB") for name, size in largest]


def _tables(audit: Audited) -> Iterator[Table]:
    """Yield the ways of serving, the other figures of the tested server, and the moves of aliases with their gates."""
    record = audit.record
    if record is not None and record.verification is not None:
        with suppress(ValueError):  # those of a later release
            results = recorded_results(record.verification.ways)
            yield result_matrix(results)
            yield result_table(results)
    figures = [pair for pair in record.figures if not pair[0].endswith(_MILLISECONDS)] if record else []
    if figures:
        yield Table(title="figures of the server", columns=("figure", "value"),
                    rows=tuple((name, f"{value:g}") for name, value in figures))  # fmt: skip
    if entries := audit.description.entries:
        rows = tuple(
            (
                _MOMENT.sub(r"\1 \2 UTC", entry.when),
                entry.action if entry.done else f"{entry.action}, not finished",
                entry.alias,
                f"{entry.before or 'none'} → {entry.after}",
                entry.who,
                "; ".join(entry.gates),
            )
            for entry in entries
        )
        yield Table(title="history", columns=("when", "what", "alias", "version", "who", "gates"), rows=rows)


def _platforms(audit: Audited) -> Iterator[Table]:
    """Yield on which platforms the packages of the model's lock can be installed."""
    if audit.record is None:
        return
    try:
        table = platforms_table(audit.model, audit.record)
    except (StepError, ValueError) as error:
        table = Table(title=PLATFORMS_TITLE, columns=("target", "installs"), rows=(("all", f"? {error}"),))
    if table is not None:
        yield table


def _licences(audit: Audited, tools: Tools) -> Iterator[Table]:
    """Yield the packages of the model's lock by the licences that are recorded with it; none is guessed."""
    if audit.record is None:
        return
    try:
        sbom = locked_sbom(audit.model, audit.record, tools)
        groups = packages_by_licence(sbom) if sbom else ()
        rows = tuple(
            (licence or f"{_UNKNOWN}: none is recorded with the model", str(len(names)), ", ".join(names))
            for licence, names in groups
        )
    except (StepError, ValueError) as error:
        rows = ((_UNKNOWN, "all", f"the packages of the lock cannot be listed: {error}"),)
    if rows:
        yield Table(title="packages by licence", columns=("licence", "packages", "names"), rows=rows)


def _facts(audit: Audited) -> Iterator[PageFact]:
    created = datetime.fromtimestamp(audit.description.created / 1000, UTC).strftime("%Y-%m-%d %H:%M UTC")
    yield PageFact(name="registered", value=created, code=False)
    yield PageFact(name="state", value=audit.tags.get(STATE, "none"), code=False)
    if audit.description.aliases:
        yield PageFact(name="aliases", value=", ".join(audit.description.aliases), code=False)
    record = audit.record
    if record is None:
        return
    commit = record.commit
    yield PageFact(name="commit", value=f"{commit.sha}{' with changes' if commit.changed else ''}")
    yield PageFact(name="uv.lock", value=record.lock.sha256)
    yield PageFact(name="requirements", value=record.requirements.sha256)
    yield PageFact(name="model", value=record.model.sha256)
    yield PageFact(name="run", value=record.model.run_id)
    yield PageFact(name="Python, MLflow, uv", value=f"{record.model.python}, {record.model.mlflow}, {record.lock.uv}")
    if record.image is not None:
        image = address_of(record.image) or f"served by a process: {record.image.reason}"
        yield PageFact(name="image", value=image, code=record.image.kind == "image")
        if record.image.base:
            yield PageFact(name="base image", value=f"{record.image.base} {record.image.base_digest}".strip())
    if record.answers is not None and record.answers.served_by:
        yield PageFact(name="tested in", value=record.answers.served_by, code=False)


def _commands(audit: Audited, *, servable: bool) -> Iterator[PageFact]:
    """Yield commands that work on any machine that reaches the registry; a broken image is not to be served."""
    uri = f"models:/{audit.name}/{audit.version}"
    record = audit.record
    if servable and record is not None and record.image is not None and record.image.digest:
        yield PageFact(name="serve it", value=serve_command(record, address_of(record.image)))
    yield PageFact(name="load it", value=f"mlflow.pyfunc.load_model({uri!r})")
    yield PageFact(name="verify its chain", value=shlex.join(("mlflow-uv", "audit", uri)))
