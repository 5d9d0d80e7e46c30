"""Starts servers and sends requests to them, for the contract tests of serving."""

import http.client
import json
import os
import signal
import socket
import subprocess
import textwrap
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.contracts.mlflow_interpreter import MlflowInterpreter
from tests.ports import free_port
from tests.waiting import CEILING_S, answers, happens, wait_until_up

Answer = tuple[int, str, bytes]
JSON = {"Content-Type": "application/json"}
# What a model's folder and file say, and the code that loads it.
SCRIPTED_MODEL = textwrap.dedent("""
    import os, pathlib, time
    LOADING

    class Model:
        def predict(self, frame):
            row = frame.iloc[0]
            if "entered" in row:
                pathlib.Path(row["entered"]).touch()
            while "leave" in row and not pathlib.Path(row["leave"]).exists():
                time.sleep(0.01)
            time.sleep(row.get("seconds", 0))
            if row.get("die"):
                os._exit(int(row["die"]))
            return [PREDICTING]

    def _load_pyfunc(path):
        return Model()
""")


@dataclass(frozen=True)
class Served:
    """A server that was started, and where its words go."""

    process: "subprocess.Popen[bytes]"
    port: int
    out: Path

    def output(self) -> str:
        """Everything so far, from both of its streams."""
        return self.out.read_text()

    def last_line(self) -> str:
        """What it ended with."""
        return self.output().strip().splitlines()[-1]

    def ready(self) -> "Served":
        """Come back when it answers."""
        wait_until_up(lambda: answers(f"http://127.0.0.1:{self.port}/ping"), self.process, self.out)
        return self

    def ask(
        self, method: str, path: str, body: bytes | None = None, headers: Mapping[str, str] | None = None
    ) -> Answer:
        """Status, media type and body."""
        return ask(self.port, method, path, body, headers)

    def invoke(self, row: Mapping[str, Any]) -> Answer:
        """The answer to one row."""
        return self.ask("POST", "/invocations", json.dumps({"dataframe_records": [row]}).encode(), JSON)

    def stop(self, number: signal.Signals = signal.SIGTERM) -> int:
        """Tell it to stop; with which status it did."""
        self.process.send_signal(number)
        return self.process.wait(CEILING_S)

    def end(self) -> int:
        """Wait for an end that nobody asked for."""
        return self.process.wait(CEILING_S)

    def workers(self) -> list[int]:
        """The processes that were forked off."""
        return [
            int(one) for one in Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children").read_text().split()
        ]

    def refuses(self) -> bool:
        """Whether nobody listens on the port any more."""
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", self.port)) != 0


@dataclass(frozen=True)
class Starter:
    """Starts servers with the interpreter of a model's environment."""

    mlflow: MlflowInterpreter
    serving: Path
    scratch: Path

    @contextmanager
    def __call__(self, model: Path | None, *arguments: str, **variables: str) -> Iterator[Served]:
        """Start a server on a free port of loopback, without anything of this environment; it is ended at the end."""
        port = free_port()
        folder = self.scratch / str(port)
        folder.mkdir()
        where = {"HOST": "127.0.0.1", "PORT": str(port), **({"MLFLOW_UV_MODEL": str(model)} if model else {})}
        environment = {
            **{name: os.environ[name] for name in ("PATH", "HOME")},
            "WORKERS": "1",
            **where,
            **variables,
        }
        with folder.with_suffix(".log").open("w") as log:
            process = subprocess.Popen(
                [self.mlflow.python, "-I", self.serving, *arguments],
                cwd=folder,
                env={name: value for name, value in environment.items() if value != UNSET},
                stdout=log,
                stderr=log,
            )
            try:
                yield Served(process, int(environment.get("SAGEMAKER_BIND_TO_PORT", port)), Path(log.name))
            finally:
                process.kill()
                process.wait(CEILING_S)


UNSET = "\0"


def ask(
    port: int, method: str, path: str, body: bytes | None = None, headers: Mapping[str, str] | None = None
) -> Answer:
    """Status, media type and body, with no header that was not asked for."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=CEILING_S)
    try:
        connection.putrequest(method, path)
        for name, value in {"Content-Length": str(len(body or b"")), **(headers or {})}.items():
            connection.putheader(name, value)
        connection.endheaders(body)
        response = connection.getresponse()
        return response.status, (response.getheader("content-type") or "").split(";")[0], response.read()
    finally:
        connection.close()


def scripted_model(folder: Path, *, loading: str = "", predicting: str = "os.getpid()") -> Path:
    """A model that does what a row says: touches `entered`, waits for `leave`, sleeps for `seconds`, dies."""
    (folder / "code").mkdir(parents=True)
    code = SCRIPTED_MODEL.replace("LOADING", loading).replace("PREDICTING", predicting)
    (folder / "code" / "scripted_loader.py").write_text(code)
    (folder / "MLmodel").write_text(
        "flavors:\n  python_function:\n    loader_module: scripted_loader\n    code: code\n"
    )
    return folder


@contextmanager
def concurrently(*tasks: Callable[[], Any]) -> Iterator[list[Any]]:
    """Do all of it at once; the list has the results, in the order of the tasks, when the block is left."""
    results: list[Any] = [None] * len(tasks)

    def run(number: int, task: Callable[[], Any]) -> None:
        try:
            results[number] = task()
        except OSError as error:
            results[number] = error

    threads = [threading.Thread(target=run, args=pair) for pair in enumerate(tasks)]
    for thread in threads:
        thread.start()
    yield results
    for thread in threads:
        thread.join(CEILING_S)


def statuses(answers: Sequence[Any]) -> list[Any]:
    """The first part of each answer, or what was raised instead."""
    return [one[0] if isinstance(one, tuple) else one for one in answers]


def wait_until(true: Callable[[], bool]) -> None:
    """Return when it is so."""
    assert happens(true)
