"""
Measures scoring requests to this server, with and without its fast path, to MLflow's own server and to MLServer.

    uv run benchmarks/scoring.py [--seconds 3] [--rounds 2] [--workers 1 2 3 4] [--python INTERPRETER]
        [--without-mlserver] [--from FILE] [--write]

The servers run at the same time, each with as many workers and the same model, and are asked in turns by 1, 8 and 64
clients with persistent connections; several workers are asked by 8 and 64 clients. `--seconds` is how long a turn
lasts; requests that it began are waited for. The interpreter is one with MLflow and its scoring server, by default
from the lock of examples/wine. MLServer gets an environment of its own with the same MLflow, and is left out if that
cannot be made. With `--write` the tables go to docs/benchmarks.md. `--from` takes the numbers from such a page and
measures nothing.
"""

import argparse
import http.client
import json
import os
import platform
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import page
from race import ROOT, UV, VARIABLES, WINE
from scoring_results import (
    MLSERVER,
    OURS,
    SLOW,
    STOCK,
    Load,
    Turns,
    about_measurement,
    measured_rows,
    require_same,
    rows,
    section,
)

SERVING = ROOT / "src" / "mlflow_uv" / "serving"
PATIENCE_S = 120
IDLE_S = 1.0
WORKERS = (1, 2, 3, 4)
TICKS = os.sysconf("SC_CLK_TCK")
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
    signature = ModelSignature(schema, Schema([ColSpec(DataType.double)]))  # MLServer wants to know the outputs
    Model(signature=signature, flavors=flavors).save(str(folder / "MLmodel"))
"""


LOADS = (Load(13, 1), Load(600, 1), Load(13, 10_000))


@dataclass(frozen=True)
class Server:
    """A server that answers."""

    process: "subprocess.Popen[bytes]"
    port: int

    def used_s(self) -> float:
        """Seconds of processor time of all its processes since their start."""
        return sum(spent for pid, spent in processes() if pid in family(self.process.pid))

    def turn(self, body: bytes, clients: int, seconds: float) -> tuple[set[bytes], list[float], float, float]:
        """Ask for some seconds: the different answers, the milliseconds of each, the seconds it took and used."""
        answers: set[bytes] = set()
        times: list[list[float]] = [[] for _ in range(clients)]
        together = threading.Barrier(clients + 1)
        failures: list[BaseException] = []

        def ask(mine: list[float]) -> None:
            try:
                connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=PATIENCE_S)
                connection.connect()
                together.wait()
                end = time.perf_counter() + seconds
                while not mine or time.perf_counter() < end:
                    started = time.perf_counter()
                    connection.request("POST", "/invocations", body, {"Content-Type": "application/json"})
                    response = connection.getresponse()
                    answer = response.read()
                    mine.append((time.perf_counter() - started) * 1000)
                    if response.status != http.client.OK:
                        raise OSError(f"{response.status}: {answer[:200]!r}")
                    answers.add(answer)
                connection.close()
            except BaseException as error:
                failures.append(error)
                together.abort()
                raise

        threads = [threading.Thread(target=ask, args=(mine,), daemon=True) for mine in times]
        for thread in threads:
            thread.start()
        with suppress(threading.BrokenBarrierError):  # a client failed
            together.wait()
        used, started = self.used_s(), time.perf_counter()
        for thread in threads:
            thread.join()
        elapsed = time.perf_counter() - started
        if failures:
            sys.exit(f"A request failed: {failures[0]!r}")
        return answers, [each for mine in times for each in mine], elapsed, self.used_s() - used


def processes() -> Iterator[tuple[int, float]]:
    """All processes with their seconds of processor time."""
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = stat.read_text().rpartition(")")[2].split()
        except OSError:
            continue  # it ended
        yield int(stat.parent.name), (int(fields[11]) + int(fields[12])) / TICKS


def family(pid: int) -> set[int]:
    """A process and those that it started, which have not ended."""
    try:
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    except FileNotFoundError:
        return set()
    return {pid}.union(*map(family, map(int, children)))


@contextmanager
def running(argv: Sequence[object], port: int, folder: Path, more: Mapping[str, str]) -> Iterator[Server]:
    """A server on a port."""
    variables = {"PATH": os.environ["PATH"], "HOME": os.environ["HOME"], "MLFLOW_DISABLE_TELEMETRY": "true", **more}
    with (folder / "log.txt").open("wb") as log:
        process = subprocess.Popen(list(map(str, argv)), env=variables, cwd=folder, stdout=log, stderr=log)
    try:
        wait_until_open(port, process, folder / "log.txt")
        yield Server(process, port)
    finally:
        for pid in sorted(family(process.pid), reverse=True):
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        process.wait()


def wait_until_idle(servers: Sequence[Server]) -> None:
    """Return when no server uses a processor: the first worker answers before the others have loaded the model."""
    deadline = time.monotonic() + PATIENCE_S
    while time.monotonic() < deadline:
        before = [server.used_s() for server in servers]
        time.sleep(IDLE_S)
        if all(server.used_s() - used < IDLE_S / 10 for server, used in zip(servers, before, strict=True)):
            return
    sys.exit("A server does not come to rest")


def free_port() -> int:
    """A port that nothing listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@dataclass(frozen=True)
class Place:
    """What a server serves and with how many workers, and a folder of its own."""

    model: Path
    workers: int
    scratch: Path


def stock(python: Path, place: Place) -> AbstractContextManager[Server]:
    """The command line that `mlflow models serve` runs."""
    port = free_port()
    argv = [python, "-m", "uvicorn", "--host", "127.0.0.1", "--port", port, "--workers", place.workers,
            "mlflow.pyfunc.scoring_server.app:app"]  # fmt: skip
    return running(argv, port, place.scratch, {"__pyfunc_model_path__": str(place.model)})


def mlserver(python: Path, place: Place) -> AbstractContextManager[Server]:
    """MLServer's runtime for MLflow, which has MLflow's route; one worker is its own process."""
    scratch = place.scratch
    port, grpc, metrics = free_port(), free_port(), free_port()
    settings = {"host": "127.0.0.1", "http_port": port, "grpc_port": grpc, "metrics_port": metrics,
                "parallel_workers": place.workers if place.workers > 1 else 0, "debug": False}  # fmt: skip
    parameters = {"uri": str(place.model)}
    described = {"name": "linear", "implementation": "mlserver_mlflow.MLflowRuntime", "parameters": parameters}
    (scratch / "settings.json").write_text(json.dumps(settings))
    (scratch / "model-settings.json").write_text(json.dumps(described))
    return running([python.parent / "mlserver", "start", scratch], port, scratch, {})


def ours(python: Path, place: Place, *, fast: str) -> AbstractContextManager[Server]:
    """The server of this project."""
    port = free_port()
    variables = {"HOST": "127.0.0.1", "PORT": str(port), "WORKERS": str(place.workers), "FAST": fast}
    return running([python, "-I", SERVING], port, place.scratch, {**variables, "MLFLOW_UV_MODEL": str(place.model)})


Start = Callable[[Place], AbstractContextManager[Server]]


def sides(python: Path, mlserver_python: Path | None) -> Mapping[str, Start]:
    """The servers by their names; the first is the base of all factors."""
    starts: dict[str, Start] = {STOCK: lambda place: stock(python, place)}
    if mlserver_python is not None:
        starts[MLSERVER] = lambda place: mlserver(mlserver_python, place)
    starts[SLOW] = lambda place: ours(python, place, fast="0")
    starts[OURS] = lambda place: ours(python, place, fast="1")
    return starts


def wait_until_open(port: int, process: "subprocess.Popen[bytes]", log: Path) -> None:
    """Return when `/ping` answers."""
    deadline = time.monotonic() + PATIENCE_S
    while time.monotonic() < deadline and process.poll() is None:
        try:
            connection = http.client.HTTPConnection("127.0.0.1", port, timeout=PATIENCE_S)
            connection.request("GET", "/ping")
            if connection.getresponse().status == http.client.OK:
                return
        except (OSError, http.client.HTTPException):
            pass
        time.sleep(0.1)
    sys.exit(f"A server does not answer:\n{log.read_text(errors='replace')[-2000:]}")


def measured(
    servers: Mapping[str, Server], load: Load, clients: int, *, rounds: int, seconds: float
) -> dict[str, Turns]:
    """The turns of each server; a request before the first of them warms it, and does not count."""
    body = load.body
    require_same({name: server.turn(body, 1, 0)[0] for name, server in servers.items()})
    turns = {name: Turns() for name in servers if clients == 1 or name != SLOW}
    for _ in range(rounds):
        answers = {}
        for name, turn in turns.items():
            answers[name], *taken = servers[name].turn(body, clients, seconds)
            turn.add(*taken)
        require_same(answers)
    return turns


def main() -> None:
    """Measure and print, or write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=3)
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--workers", type=int, nargs="+", default=WORKERS)
    parser.add_argument("--python", type=Path)
    parser.add_argument("--without-mlserver", action="store_true")
    parser.add_argument(
        "--from", dest="page", type=Path, help="page with numbers of an earlier run; nothing is measured"
    )
    parser.add_argument("--write", action="store_true")
    options = parser.parse_args()
    shown = again(options.page) if options.page else measurement(options)
    if options.write:
        page.write("scoring.py", shown)
    else:
        print(shown)


def again(path: Path) -> str:
    """The section with the numbers that a page has."""
    text = page.section(path.read_text(), "scoring.py")
    return section(measured_rows(text), about_measurement(text))


def measurement(options: argparse.Namespace) -> str:
    """Measure, and return the section."""
    began = time.monotonic()
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        python = options.python or interpreter(folder / "environment")
        mlflow = version_in(python, "mlflow")
        other = None if options.without_mlserver else with_mlserver(folder / "mlserver", python, mlflow)
        (folder / "linear.py").write_text(LOADER)
        counts = sorted({str(load.columns) for load in LOADS})
        subprocess.run([python, "-c", SAVING, folder, *counts], check=True, cwd=folder)
        starts = sides(python, other)
        lines = [
            line
            for workers in options.workers
            for line in table(starts, folder, workers, rounds=options.rounds, seconds=options.seconds)
        ]
        versions = f"MLflow {mlflow}" + ("" if other is None else f", MLServer {version_in(other, 'mlserver')}")
    about = (
        f"Measured with {versions}, Python {platform.python_version()} and {os.cpu_count()} processors in"
        f" {options.rounds} rounds of {options.seconds:g} s; all of it took {time.monotonic() - began:.0f} s. Clients"
        f" ran on the same machine; {os.getloadavg()[1] / (os.cpu_count() or 1):.1f} processes per processor were"
        " runnable."
    )
    return section(lines, about)


def table(starts: Mapping[str, Start], folder: Path, workers: int, *, rounds: int, seconds: float) -> Iterator[str]:
    """The lines of the table, which are also printed as soon as they are known."""
    for columns in sorted({load.columns for load in LOADS}):
        with ExitStack() as stack:
            servers = {}
            for number, (name, start) in enumerate(starts.items()):
                if workers > 1 and name == SLOW:
                    continue
                (own := folder / f"server-{columns}-{workers}-{number}").mkdir()
                servers[name] = stack.enter_context(start(Place(folder / str(columns), workers, own)))
            wait_until_idle([*servers.values()])
            for load in (load for load in LOADS if load.columns == columns):
                for clients in load.clients[min(workers - 1, 1) :]:
                    turns = measured(servers, load, clients, rounds=rounds, seconds=seconds)
                    for line in rows(load, workers, clients, turns):
                        print(line, flush=True)
                        yield line


def interpreter(environment: Path) -> Path:
    """The Python of an environment from the lock of examples/wine."""
    variables = {**VARIABLES, "UV_PROJECT_ENVIRONMENT": str(environment)}
    subprocess.run([UV, "sync", "--frozen", "--quiet", "--project", WINE], check=True, env=variables)
    return environment / "bin" / "python"


def with_mlserver(environment: Path, python: Path, mlflow: str) -> Path | None:
    """The Python of an environment with MLServer and this version of MLflow, None if it cannot be made."""
    installed = environment / "bin" / "python"
    # With uvloop 0.22 its parallel workers end at their start: they ask for an event loop that nobody made.
    wanted = ("mlserver>=1.7", "mlserver-mlflow>=1.7", "uvloop<0.22", f"mlflow=={mlflow}")
    for argv in (("venv", "--python", python, environment), ("pip", "install", "--python", installed, *wanted)):
        call = [UV, *argv, "--quiet", "--no-config"]
        done = subprocess.run(call, env=VARIABLES, check=False, capture_output=True, text=True)
        if done.returncode:
            print(f"MLServer is left out: {done.stderr.strip()[-500:]}", file=sys.stderr)
            return None
    return installed


def version_in(python: Path, package: str) -> str:
    """The version of a package of an interpreter."""
    code = f"from importlib.metadata import version; print(version({package!r}))"
    return subprocess.run([python, "-c", code], check=True, capture_output=True, text=True).stdout.strip()


if __name__ == "__main__":
    main()
