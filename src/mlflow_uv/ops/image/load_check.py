"""Measures a started server against the budgets in [tool.mlflow-uv.smoke-test]."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from ...command.report import Finding
from ...core.model.budgets import Budgets, exceeded, read_budgets
from ...core.model.load_figures import LoadFigures, load_figures
from ...core.policy.table import PolicySource
from ...core.release.record import Record
from ...payloads.messages.lazy_dataclass import lazy_dataclass
from ...tools.engines.engine import StartedServer
from ...tools.mlflow.model_requests import LoadPlan
from ...tools.project.files import Project
from ...tools.project.policy_table import policy_table
from .serving_check import Expected

NAME = "smoke-test"
MOST_BODIES = 20  # sent once before the measurement, then in turn


@lazy_dataclass
class LoadResult:
    """The figures of a server, and findings about those that exceed a budget."""

    figures: LoadFigures
    findings: tuple[Finding, ...]


def with_load(record: Record, figures: LoadFigures | None) -> Record:
    """The record with what was measured of the server, instead of what an earlier test measured."""
    return replace(
        record,
        figures=figures.recorded if figures else (),
        latencies=figures.histogram if figures else (),
    )


def budgets_of(project: Project | None, *, where: Path) -> PolicySource[Budgets] | None:
    """Read the budgets of a project; None without a project or budgets. Raises BadInput with the key and its line."""
    if project is None or NAME not in project.settings:
        return None
    return read_budgets(policy_table(project, NAME, where=where))


def measure(server: StartedServer, expected: Expected, source: PolicySource[Budgets], *, ready_s: float) -> LoadResult:
    """
    Send at most 20 answered requests of the example and the file at the concurrency of the budgets, if one needs it.

    A request without a prediction is a finding of its own, and so is a server that cannot be measured.
    """
    figures = LoadFigures(ready_s=ready_s)
    if source.policy.has_load:
        try:
            figures = load_figures(server.measure(_plan(expected, source.policy)), ready_s=ready_s)
        except ValueError as error:
            what = "the server could not be measured under load"
            return LoadResult(figures=figures, findings=(_failed(source, what, str(error)),))
    return LoadResult(figures=figures, findings=tuple(_findings(figures, source)))


def _plan(expected: Expected, budgets: Budgets) -> LoadPlan:
    bodies = tuple(
        item.body for item in expected.requests if item.is_answered and not (item.is_derived or item.is_stream)
    )
    return LoadPlan(
        bodies=bodies[:MOST_BODIES],
        concurrency=budgets.concurrency,
        seconds=budgets.load_seconds,
        timeout_s=expected.answer_s,
    )


def _findings(figures: LoadFigures, source: PolicySource[Budgets]) -> Iterator[Finding]:
    if figures.failed:
        number = figures.failed + len(figures.milliseconds)
        what = f"{figures.failed} of {number} requests got no prediction under load"
        yield _failed(source, what, f"{source.policy.concurrency} requests were in flight")
    yield from exceeded(source, figures)


def _failed(source: PolicySource[Budgets], what: str, why: str) -> Finding:
    fix = "see the log of the server, or lower `concurrency` in [tool.mlflow-uv.smoke-test]"
    return Finding(rule="load-failed", what=what, why=why, fix=fix, path=source.manifest, line=source.line)
