"""
Compares steps about a registered version with a program that sends the same HTTP requests after importing MLflow.

A server of MLflow keeps a release of examples/wine. Each step runs once with a proxy before the server, which records
the requests; they are sent again, byte for byte, by the least that somebody could write instead of the step.
"""

import http.client
import json
import os
import resource
import shutil
import statistics
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from race import PYTHON, ROOT, UV, VARIABLES, WINE
from scoring import free_port, interpreter
from steps_results import StoreStep, Taken

PATIENCE_S = 120
HOP_BY_HOP = ("connection", "host", "content-length", "transfer-encoding")
STEPS: "tuple[tuple[str, ...], ...]" = (("register",), ("audit", "models:/wine/1"), ("promote",))
BY_HAND = """
import json, sys
import mlflow
from mlflow import MlflowClient
import requests

client, session = MlflowClient(), requests.Session()
for method, path, headers, body in json.load(open(sys.argv[2])):
    session.request(method, sys.argv[1] + path, headers=headers, data=body.encode("latin-1")).content
"""
Call = tuple[str, str, Mapping[str, str], str]


@dataclass(frozen=True)
class Place:
    """The project, the interpreter with MLflow's client, and the variables of all programs."""

    project: Path
    client: Path
    variables: Mapping[str, str]

    def step(self, uri: str, *words: str) -> Taken:
        """One run of a step; a promotion that is refused ends with 1."""
        return self._run((*PYTHON, "mlflow_uv", *words), uri, accepted=(0, 1))

    def by_hand(self, uri: str, calls: Path) -> Taken:
        """One run of the program that sends the recorded requests."""
        return self._run((str(self.client), "-I", "-c", BY_HAND, uri, str(calls)), uri, accepted=(0,))

    def _run(self, argv: Sequence[str], uri: str, *, accepted: Sequence[int]) -> Taken:
        before, started = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
        variables = {**self.variables, "MLFLOW_TRACKING_URI": uri}
        done = subprocess.run(argv, cwd=self.project, env=variables, check=False, capture_output=True, text=True)
        elapsed, after = time.perf_counter() - started, resource.getrusage(resource.RUSAGE_CHILDREN)
        if done.returncode not in accepted:
            sys.exit(f"{' '.join(argv[:6])} failed:\n{done.stdout}\n{done.stderr}")
        return Taken(elapsed, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)


def measured(folder: Path, rounds: int) -> Iterator[StoreStep]:
    """The steps and the programs, in turns; the first round of each does not count."""
    python = interpreter(folder / "environment")
    place = Place(project_in(folder / "wine"), client_in(folder / "client"), variables_in(folder))
    with server(python, folder) as port:
        uri = f"http://127.0.0.1:{port}"
        release = ("release", "--engine", "none", "--no-verify", "--no-preflight")
        place.step(uri, *release)
        for words in STEPS:
            calls = recorded(place, port, words)
            (file := folder / f"{words[0]}.json").write_text(json.dumps(calls))
            turns = [(place.by_hand(uri, file), place.step(uri, *words)) for _ in range(rounds + 1)][1:]
            by_hand, step = zip(*turns, strict=True)
            yield StoreStep(words[0], len(calls), median(by_hand), median(step))


def median(turns: Sequence[Taken]) -> Taken:
    """The medians of several runs."""
    return Taken(statistics.median(t.elapsed_s for t in turns), statistics.median(t.used_s for t in turns))


def recorded(place: Place, port: int, words: Sequence[str]) -> list[Call]:
    """The requests of one run of a step."""
    calls: list[Call] = []

    class Proxy(BaseHTTPRequestHandler):
        """Passes each request on to the server."""

        def handle_one(self) -> None:
            """Record the request and return the response."""
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            headers = {name: value for name, value in self.headers.items() if name.lower() not in HOP_BY_HOP}
            calls.append((self.command, self.path, headers, body.decode("latin-1")))
            connection = http.client.HTTPConnection("127.0.0.1", port, timeout=PATIENCE_S)
            connection.request(self.command, self.path, body, headers)
            response = connection.getresponse()
            content = response.read()
            self.send_response(response.status)
            for name, value in response.getheaders():
                if name.lower() not in HOP_BY_HOP:
                    self.send_header(name, value)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)
            connection.close()

        do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = handle_one

        def log_message(self, *_: Any) -> None:
            """Print nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Proxy) as proxy:
        threading.Thread(target=proxy.serve_forever, daemon=True).start()
        place.step(f"http://127.0.0.1:{proxy.server_port}", *words)
        proxy.shutdown()
    return calls


def project_in(folder: Path) -> Path:
    """A copy of examples/wine that is a repository, and whose versions are promoted without gates."""
    shutil.copytree(WINE, folder)
    manifest = folder / "pyproject.toml"
    manifest.write_text(manifest.read_text().partition("data-function")[0])
    who = ("-c", "user.name=benchmark", "-c", "user.email=benchmark@localhost")
    for argv in (("init", "--quiet"), ("add", "--all"), (*who, "commit", "--quiet", "--message", "Wine")):
        subprocess.run(["git", *argv], cwd=folder, check=True, env=VARIABLES)
    return folder


def client_in(environment: Path) -> Path:
    """The Python of an environment with the registry client of our lock."""
    variables = {**VARIABLES, "UV_PROJECT_ENVIRONMENT": str(environment)}
    argv = (UV, "sync", "--frozen", "--quiet", "--only-group", "registry", "--project", ROOT)
    subprocess.run(argv, check=True, env=variables)
    return environment / "bin" / "python"


def variables_in(folder: Path) -> Mapping[str, str]:
    """Variables of the steps, which keep everything below a folder."""
    path = os.pathsep.join((str(Path(UV).parent), VARIABLES["PATH"]))
    return {**VARIABLES, "PATH": path, "MLFLOW_UV_HOME": str(folder / "home"), "MLFLOW_DISABLE_TELEMETRY": "true"}


@contextmanager
def server(python: Path, folder: Path) -> Iterator[int]:
    """The port of a tracking server with SQLite."""
    port = free_port()
    stores = ("--backend-store-uri", f"sqlite:///{folder}/mlflow.db", "--artifacts-destination", folder / "artifacts")
    argv = [python.parent / "mlflow", "server", "--host", "127.0.0.1", "--port", port, "--workers", 1, *stores]
    with (folder / "server.txt").open("wb") as log:
        process = subprocess.Popen(
            list(map(str, argv)), cwd=folder, env=VARIABLES, stdout=log, stderr=log, start_new_session=True
        )
    try:
        wait_until_open(port)
        yield port
    finally:
        os.killpg(process.pid, 15)
        process.wait()


def wait_until_open(port: int) -> None:
    """Return when the server answers."""
    deadline = time.monotonic() + PATIENCE_S
    while time.monotonic() < deadline:
        try:
            connection = http.client.HTTPConnection("127.0.0.1", port, timeout=PATIENCE_S)
            connection.request("GET", "/health")
            if connection.getresponse().status == http.client.OK:
                return
        except OSError:
            time.sleep(0.2)
    sys.exit("The tracking server does not answer")
