"""Parses the budgets in [tool.mlflow-uv.smoke-test], and compares them with what was measured."""

from collections.abc import Iterator
from typing import Annotated

from ...command.errors import BadInput
from ...command.report import Finding
from ...command.step import Doc
from ...payloads.messages.lazy_dataclass import lazy_dataclass
from ..policy.table import PolicySource, PolicyTable
from .load_figures import MIB, LoadFigures

_MOST = {"concurrency": 64, "load-seconds": 60}


@lazy_dataclass
class Budgets:
    """Limits of a tested server; one that is not set is off."""

    ready_seconds: Annotated[float | None, Doc("Maximum seconds from the start until the server is healthy.")] = None
    p50_milliseconds: Annotated[float | None, Doc("Maximum median latency of a prediction under load.")] = None
    p95_milliseconds: Annotated[
        float | None, Doc("Maximum latency of a prediction under load, of 95 % of the requests.")
    ] = None
    requests_per_second: Annotated[float | None, Doc("Minimum number of predictions per second under load.")] = None
    memory_mib: Annotated[
        float | None, Doc("Maximum memory of the server and its workers under load, in MiB; shared pages count once.")
    ] = None
    memory_growth_mib: Annotated[
        float | None, Doc("Maximum growth of this memory while the load lasts, in MiB, to find a leak.")
    ] = None
    concurrency: Annotated[int, Doc("Number of requests in flight under load; 4 by default, at most 64.")] = 4
    load_seconds: Annotated[float, Doc("Seconds for which requests are sent; 5 by default, at most 60.")] = 5.0

    @property
    def has_load(self) -> bool:
        """Whether any budget needs a measurement under load."""
        return any(
            limit is not None
            for limit in (
                self.p50_milliseconds,
                self.p95_milliseconds,
                self.requests_per_second,
                self.memory_mib,
                self.memory_growth_mib,
            )
        )


def read_budgets(table: PolicyTable) -> PolicySource[Budgets]:
    """Parse the table of budgets. Raises BadInput with the key and its line."""
    rules = table.rules(Budgets)
    for key, most in _MOST.items():
        value = rules.get(key)
        if isinstance(value, (int, float)) and not 0 < value <= most:
            raise BadInput(what=f"{table.describe(key)} must be above 0 and at most {most}", why=f"it is {value!r}")
    return table.parse(Budgets)


def exceeded(source: PolicySource[Budgets], figures: LoadFigures) -> Iterator[Finding]:
    """Yield a finding for each budget that the figures exceed, at its line of the manifest."""
    budgets = source.policy
    load = f"at a concurrency of {budgets.concurrency}"
    number = len(figures.milliseconds)
    measured: tuple[tuple[str, float | None, float, str, str], ...] = (
        ("ready-seconds", budgets.ready_seconds, figures.ready_s, "s until the server is healthy",
         "load less when the server starts"),
        ("p50-milliseconds", budgets.p50_milliseconds, figures.percentile(50), f"ms median latency {load}",
         "make predict faster"),
        ("p95-milliseconds", budgets.p95_milliseconds, figures.percentile(95),
         f"ms latency of 95 % of {number} requests {load}", "make predict faster"),
        ("memory-mib", budgets.memory_mib, figures.memory_peak / MIB, f"MiB of memory {load}", "hold less in memory"),
        ("memory-growth-mib", budgets.memory_growth_mib, figures.memory_growth / MIB,
         f"MiB growth of memory in {number} requests", "release what predict allocates"),
    )  # fmt: skip
    for key, limit, value, unit, fix in measured:
        if limit is not None and value > limit:
            yield _finding(source, key, f"{_shown(value)} {unit}", f"at most {limit:g}", fix)
    limit, value = budgets.requests_per_second, figures.requests_per_second
    if limit is not None and value < limit:
        what = f"{_shown(value)} predictions per second {load}"
        yield _finding(source, "requests-per-second", what, f"at least {limit:g}", "make predict faster")


def _shown(value: float) -> str:
    """A figure with four digits, or one after the point, so that it differs from the budget that it exceeds."""
    return f"{value:.4g}" if abs(value) < 1000 else f"{value:.1f}"  # noqa: PLR2004


def _finding(source: PolicySource[Budgets], key: str, what: str, limit: str, fix: str) -> Finding:
    return Finding(
        rule=f"budget-{key}",
        what=what,
        why=f"the budget `{key}` is {limit}",
        fix=f"{fix}, or change `{key}` in [tool.mlflow-uv.smoke-test]",
        path=source.manifest,
        line=source.lines.get(key, source.line),
    )
