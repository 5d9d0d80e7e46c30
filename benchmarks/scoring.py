"""
Measures what a scoring request costs this server, with and without its fast path, and MLflow's own server.

    uv run benchmarks/scoring.py [--rounds 5] [--python INTERPRETER] [--write]

The three servers run at the same time, each with one worker and the same model, and are asked in turns over persistent
connections. The interpreter is one with MLflow and its scoring server, by default from the lock of examples/wine. With
`--write` the table goes to docs/benchmarks.md.
"""

import argparse
import http.client
import json
import os
import platform
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import page
from race import ROOT, UV, WINE

SERVING = ROOT / "src" / "mlflow_uv" / "serving"
PATIENCE_S = 120
TICKS = os.sysconf("SC_CLK_TCK")
SIDES = ("MLflow's server", "this server, `FAST=0`", "this server")
LOADER = """
import numpy as np

class Linear:
    def predict(self, frame):
        return frame.to_numpy() @ np.linspace(0.1, 1, frame.shape[1])

def _load_pyfunc(path):
    return Linear()
"""
SAVING = """
import pathlib, sys
from mlflow.models import Model, ModelSignature
from mlflow.types import ColSpec, DataType, Schema

for count in map(int, sys.argv[2:]):
    folder = pathlib.Path(sys.argv[1], str(count))
    (folder / "code").mkdir(parents=True)
    (folder / "code" / "linear.py").write_text(pathlib.Path(sys.argv[1], "linear.py").read_text())
    schema = Schema([ColSpec(DataType.double, f"column{number}") for number in range(count)])
    flavors = {"python_function": {"loader_module": "linear", "code": "code"}}
    Model(signature=ModelSignature(schema), flavors=flavors).save(str(folder / "MLmodel"))
"""


@dataclass(frozen=True)
class Load:
    """Requests of one kind: a table's columns and rows, and how many are sent in one turn."""

    columns: int
    rows: int
    repeated: int

    @property
    def body(self) -> bytes:
        """The request in MLflow's split format."""
        names = [f"column{number}" for number in range(self.columns)]
        data = [[row + number / 7 for number in range(self.columns)] for row in range(self.rows)]
        return json.dumps({"dataframe_split": {"columns": names, "data": data}}).encode()


LOADS = (Load(13, 1, 200), Load(600, 1, 30), Load(13, 10_000, 4))


@dataclass
class Server:
    """A server, with the milliseconds of each turn per request: elapsed, and of processor time."""

    process: "subprocess.Popen[bytes]"
    port: int
    elapsed: list[float] = field(default_factory=list)
    cpu: list[float] = field(default_factory=list)

    def used_s(self) -> float:
        """Seconds of processor time since its start."""
        fields = Path(f"/proc/{self.process.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / TICKS

    def turn(self, body: bytes, repeated: int, *, counted: bool) -> bytes:
        """Send some requests over one connection; the last answer."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=PATIENCE_S)
        used, times, answer = self.used_s(), [], b""
        for _ in range(repeated):
            started = time.perf_counter()
            connection.request("POST", "/invocations", body, {"Content-Type": "application/json"})
            answer = connection.getresponse().read()
            times.append((time.perf_counter() - started) * 1000)
        connection.close()
        if counted:
            self.elapsed.append(statistics.median(times))
            self.cpu.append((self.used_s() - used) * 1000 / repeated)
        return answer


@contextmanager
def started(python: Path, model: Path, side: str) -> Iterator[Server]:
    """A server that answers."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = int(probe.getsockname()[1])
    variables = {"PATH": os.environ["PATH"], "HOME": os.environ["HOME"], "MLFLOW_DISABLE_TELEMETRY": "true"}
    if side == SIDES[0]:  # the command line that `mlflow models serve` runs
        argv = ["-m", "uvicorn", "--host", "127.0.0.1", "--port", str(port), "mlflow.pyfunc.scoring_server.app:app"]
        variables["__pyfunc_model_path__"] = str(model)
    else:
        argv = ["-I", str(SERVING)]
        variables |= {"HOST": "127.0.0.1", "PORT": str(port), "WORKERS": "1", "MLFLOW_UV_MODEL": str(model)}
        variables["FAST"] = "0" if side == SIDES[1] else "1"
    process = subprocess.Popen(
        [python, *argv], env=variables, cwd=model, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    try:
        wait_until_ready(port, process)
        yield Server(process, port)
    finally:
        process.kill()
        process.wait()


def wait_until_ready(port: int, process: "subprocess.Popen[bytes]") -> None:
    """Return when `/ping` answers."""
    deadline = time.monotonic() + PATIENCE_S
    while time.monotonic() < deadline and process.poll() is None:
        try:
            connection = http.client.HTTPConnection("127.0.0.1", port, timeout=PATIENCE_S)
            connection.request("GET", "/ping")
            if connection.getresponse().status == http.client.OK:
                return
        except OSError:
            time.sleep(0.1)
    sys.exit("A server does not answer.")


def measured(python: Path, model: Path, load: Load, rounds: int) -> list[Server]:
    """The servers after all rounds; the first warms caches and does not count. All answers are the same bytes."""
    with ExitStack() as stack:
        servers = [stack.enter_context(started(python, model, side)) for side in SIDES]
        for number in range(rounds + 1):
            answers = {server.turn(load.body, load.repeated, counted=number > 0) for server in servers}
            if len(answers) != 1:
                sys.exit(f"The answers differ: {sorted(answer[:200] for answer in answers)}")
    return servers


def rows(load: Load, servers: Sequence[Server]) -> Iterator[str]:
    """The lines of the table about one load."""
    base = statistics.median(servers[0].cpu), statistics.median(servers[0].elapsed)
    for side, server in zip(SIDES, servers, strict=True):
        cpu, elapsed = statistics.median(server.cpu), statistics.median(server.elapsed)
        spread = f"{min(server.cpu):.1f}–{max(server.cpu):.1f}"
        yield (
            f"| {load.rows:,} × {load.columns} | {side} | {cpu:.1f} ms ({spread}) | {base[0] / cpu:.1f} |"
            f" {elapsed:.1f} ms | {base[1] / elapsed:.1f} |"
        )


def section(lines: Sequence[str], mlflow: str, rounds: int) -> str:
    """What goes to the page."""
    processors = os.cpu_count() or 1
    busy = os.getloadavg()[1] / processors
    return "\n".join((
        "## Scoring requests", "",
        "One client and one worker; a linear model with columns of doubles. The times are per request: processor time",
        "of the server with the smallest and the largest of the rounds, and the client's median elapsed time. A factor",
        "says how many times MLflow's server takes as much. All three gave the same bytes.", "",
        "| rows × columns | server | processor time | factor | elapsed | factor |", "|---|---|---|---|---|---|",
        *lines, "",
        f"Measured with MLflow {mlflow}, Python {platform.python_version()} and {processors} processors in {rounds}",
        f"rounds. The machine was shared with other work ({busy:.1f} runnable processes per processor), so",
        "elapsed times are noisy; ratios of processor time are more reliable.",
    ))  # fmt: skip


def main() -> None:
    """Measure and print, or write."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--python", type=Path)
    parser.add_argument("--write", action="store_true")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        python = options.python or interpreter(folder / "environment")
        (folder / "linear.py").write_text(LOADER)
        counts = sorted({str(load.columns) for load in LOADS})
        subprocess.run([python, "-c", SAVING, folder, *counts], check=True, cwd=folder)
        asked = "import mlflow; print(mlflow.__version__)"
        mlflow = subprocess.run([python, "-c", asked], check=True, capture_output=True, text=True).stdout.strip()
        lines: list[str] = []
        for load in LOADS:
            lines += rows(load, measured(python, folder / str(load.columns), load, options.rounds))
            print(*lines[-len(SIDES) :], sep="\n", flush=True)
    written = section(lines, mlflow, options.rounds)
    if options.write:
        page.write("scoring.py", written)
    else:
        print(written)


def interpreter(environment: Path) -> Path:
    """The Python of an environment from the lock of examples/wine."""
    variables = {**os.environ, "UV_PROJECT_ENVIRONMENT": str(environment)}
    subprocess.run([UV, "sync", "--frozen", "--quiet", "--project", WINE], check=True, env=variables)
    return environment / "bin" / "python"


if __name__ == "__main__":
    main()
