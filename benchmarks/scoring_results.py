"""What scoring.py measures about a server, and how it is compared and shown."""

import json
import re
import sys
import textwrap
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

STOCK, MLSERVER, SLOW, OURS = "MLflow's server", "MLServer", "this server, `FAST=0`", "this server"
COLUMNS = 12  # of the long table
SUMMARY = (
    "| rows × columns | p50, MLflow's server | p50, MLServer | p50, this server"
    " | answers/s, MLServer | answers/s, this server | CPU time, MLServer | CPU time, this server |"
)


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


def measured_rows(text: str) -> Sequence[str]:
    """The lines of the long table in a section that was written before."""
    long = [line for line in text.splitlines() if line.count("|") == COLUMNS + 1]
    return long[2:]


def about_measurement(text: str) -> str:
    """The paragraph about the measurement in a section that was written before, as one line; empty if it has none."""
    found = re.search(r"^Measured with .*?(?=\n\n|\Z)", text, re.MULTILINE | re.DOTALL)
    return " ".join(found[0].split()) if found else ""


def summary(lines: Sequence[str]) -> Iterator[str]:
    """
    The lines of the short table, one for each size of a request.

    It has the median with one worker and one client, and of all numbers of workers and clients the least and the
    greatest factor in answers per second and in processor time.
    """
    cells = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]
    for size in dict.fromkeys(row[0] for row in cells):
        of_size = {
            name: [row for row in cells if row[0] == size and row[3] == name] for name in (STOCK, MLSERVER, OURS)
        }
        medians = [next((row[6] for row in found if row[1:3] == ["1", "1"]), "–") for found in of_size.values()]
        factors = [
            _range([float(row[place]) for row in of_size[name]]) for place in (5, 10) for name in (MLSERVER, OURS)
        ]
        yield f"| {size} | {' | '.join([*medians, *factors])} |"


def _range(factors: Sequence[float]) -> str:
    return f"{min(factors):.1f}–{max(factors):.1f}" if factors else "–"


def section(lines: Sequence[str], about: str) -> str:
    """What goes to the page."""
    return "\n".join((
        "## Scoring requests", "",
        "A linear model with columns of doubles, served by as many workers each: MLflow's server as `mlflow models",
        "serve` starts it, MLServer's runtime for MLflow, and this server. All get the same requests to",
        "`/invocations`, in turns, from clients that each send the next request when they have an answer. All answers",
        "were the same bytes; those of MLServer, which writes JSON its own way, the same values.", "",
        "A factor compares with MLflow's server, and is better above 1. p50 is the median in milliseconds with one",
        "worker and one client; the factors are the least and the greatest of all numbers of workers and clients.", "",
        SUMMARY,
        "|---|---:|---:|---:|---:|---:|---:|---:|",
        *summary(lines), "",
        textwrap.fill(about, 118), "",
        '<details markdown="1">',
        f"<summary>Each number of workers and clients ({len(lines)} rows)</summary>", "",
        "p50, p95 and p99 are elapsed milliseconds of a client, CPU time is that of the server per request, n the",
        "number of requests.", "",
        "| rows × columns | workers | clients | server | answers/s | factor | p50 | p95 | p99 | CPU ms | factor | n |",
        "|---|---|---|---|---|---|---|---|---|---|---|---|",
        *lines, "",
        "</details>",
    ))  # fmt: skip
