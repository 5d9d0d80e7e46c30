"""What scoring.py measures about a server, and how it is compared and shown."""

import json
import sys
import textwrap
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

STOCK, MLSERVER, SLOW, OURS = "MLflow's server", "MLServer", "this server, `FAST=0`", "this server"


@dataclass(frozen=True)
class Load:
    """Requests of one kind: a table's columns and rows, and by how many clients at once they are sent."""

    columns: int
    rows: int
    clients: tuple[int, ...] = (1, 8, 64)

    @property
    def body(self) -> bytes:
        """The request in MLflow's split format."""
        names = [f"column{number}" for number in range(self.columns)]
        data = [[row + number / 7 for number in range(self.columns)] for row in range(self.rows)]
        return json.dumps({"dataframe_split": {"columns": names, "data": data}}).encode()


@dataclass
class Turns:
    """What the turns of one server with one load and number of clients took: requests, seconds, processor time."""

    milliseconds: list[float] = field(default_factory=list)
    elapsed_s: float = 0.0
    used_s: float = 0.0

    def add(self, milliseconds: Sequence[float], elapsed_s: float, used_s: float) -> None:
        """Add a turn."""
        self.milliseconds += milliseconds
        self.elapsed_s += elapsed_s
        self.used_s += used_s

    @property
    def rate(self) -> float:
        """Answers per second."""
        return len(self.milliseconds) / self.elapsed_s

    def percentile(self, percent: int) -> float:
        """The milliseconds that this many percent of the requests took at most, by the nearest rank."""
        ranked = sorted(self.milliseconds)
        return ranked[max(0, -(-percent * len(ranked) // 100) - 1)]

    @property
    def cpu(self) -> float:
        """Milliseconds of processor time per request."""
        return self.used_s * 1000 / len(self.milliseconds)


def require_same(answers: Mapping[str, set[bytes]]) -> None:
    """End if the servers do not give the same answers: in bytes, and MLServer, which writes JSON its way, in values."""
    exact = {answer for name, given in answers.items() if name != MLSERVER for answer in given}
    values = {json.dumps(json.loads(answer)) for given in answers.values() for answer in given}
    if len(exact) != 1 or len(values) != 1:
        sys.exit(f"The answers differ: { {name: sorted(a[:200] for a in given) for name, given in answers.items()} }")


def rows(load: Load, workers: int, clients: int, turns: Mapping[str, Turns]) -> Iterator[str]:
    """The lines of the table about one load, number of workers of each server, and number of clients."""
    base = turns[STOCK]
    for name, turn in turns.items():
        p50, p95, p99 = (f"{turn.percentile(percent):.1f}" for percent in (50, 95, 99))
        yield (
            f"| {load.rows:,} × {load.columns} | {workers} | {clients} | {name} | {turn.rate:.1f} |"
            f" {turn.rate / base.rate:.1f} | {p50} | {p95} | {p99} | {turn.cpu:.1f} |"
            f" {base.cpu / turn.cpu:.1f} | {len(turn.milliseconds)} |"
        )


def section(lines: Sequence[str], about: str) -> str:
    """What goes to the page."""
    return "\n".join((
        "## Scoring requests", "",
        "A linear model with columns of doubles, served by as many workers each: MLflow's server as `mlflow models",
        "serve` starts it, MLServer's runtime for MLflow, and this server. All get the same requests to",
        "`/invocations`, in turns, from clients that each send the next request when they have an answer. p50, p95",
        "and p99 are elapsed milliseconds of a client, CPU time is that of the server per request, n the number of",
        "requests. A factor above 1 is better than MLflow's server. All answers were the same bytes; those of",
        "MLServer, which writes JSON its own way, the same values.", "",
        "| rows × columns | workers | clients | server | answers/s | factor | p50 | p95 | p99 | CPU ms | factor | n |",
        "|---|---|---|---|---|---|---|---|---|---|---|---|",
        *lines, "", textwrap.fill(about, 118),
    ))  # fmt: skip
