"""A small project whose model trains in seconds, and checks of everything that a command could leave behind."""

import json
import shutil
import signal
import sqlite3
import subprocess
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.waiting import CEILING_S, happens

from .consumer import CommandResult, Consumer

# What is left behind lives for an hour; what is ending only waits for its turn.
AFTERWARDS_S = 60.0
TRAINING = """\
import os
import time

import mlflow
import pandas as pd

EXAMPLE = pd.DataFrame({{"x": [1.0, 2.5]}})


def in_serving():
    # A server in a process is told which model; an image has a folder of ours.
    return "MLFLOW_UV_MODEL" in os.environ or os.path.isdir("/opt/mlflow-uv")


class Double(mlflow.pyfunc.PythonModel):
    def load_context(self, context):
        {load}

    def predict(self, context, model_input, params=None):
        {predict}


def log(name="double", **options):
    mlflow.pyfunc.log_model(name=name, python_model=Double(), **{{"input_example": EXAMPLE, **options}})


{body}
"""
ONCE = "with mlflow.start_run():\n    log()"


def training(
    body: str = ONCE, *, load: str = "pass", predict: str = 'return [2.0 * x for x in model_input["x"]]'
) -> str:
    """A training program around one small model, that ends with `body`."""
    return TRAINING.format(body=body, load=load, predict=predict)


def is_below(environment: bytes, temporary: Path) -> bool:
    """Whether a process writes its temporary files into a folder, or as a model's process into one of its own there."""
    mark = f"TMPDIR={temporary}".encode()
    return any(part == mark or part.startswith(mark + b"/") for part in environment.split(b"\0"))


@dataclass(frozen=True, kw_only=True, slots=True)
class Database:
    """MLflow's embedded store, read from its own tables: importing MLflow takes seconds."""

    path: Path

    def rows(self, query: str) -> list[tuple[str, ...]]:
        """What a query finds, as text; nothing where there is no store."""
        if not self.path.is_file():
            return []
        with closing(sqlite3.connect(f"{self.path.as_uri()}?mode=ro", uri=True)) as connection:
            return [tuple(map(str, row)) for row in connection.execute(query)]

    @property
    def runs(self) -> list[str]:
        """The status of every run, oldest first."""
        return [status for (status,) in self.rows("SELECT status FROM runs ORDER BY start_time")]

    @property
    def models(self) -> set[str]:
        """The ids of all logged models; an MLflow 2 has no table of them."""
        if not self.rows("SELECT name FROM sqlite_master WHERE name = 'logged_models'"):
            return set()
        return {model for (model,) in self.rows("SELECT model_id FROM logged_models")}

    @property
    def versions(self) -> list[str]:
        """The numbers of all versions."""
        return [number for (number,) in self.rows("SELECT version FROM model_versions ORDER BY version")]

    @property
    def aliases(self) -> dict[str, str]:
        """Which version every alias names."""
        return dict(self.rows("SELECT alias, version FROM registered_model_aliases"))  # type: ignore[arg-type]

    def tags(self, version: str) -> dict[str, str]:
        """Our tags of a version, without their prefix."""
        found = self.rows(f"SELECT key, value FROM model_version_tags WHERE version = {int(version)}")
        return {key.removeprefix("mlflow-uv."): value for key, value in found}


@dataclass(frozen=True, kw_only=True, slots=True)
class SampleProject:
    """One consumer whose path is as odd as paths get; `temporary` is the TMPDIR of everything it starts."""

    consumer: Consumer
    temporary: Path
    untouched: Path

    @property
    def folder(self) -> Path:
        """The project."""
        return self.consumer.folder

    @property
    def store(self) -> Database:
        """The embedded store."""
        return Database(path=self.consumer.store / "mlflow.db")

    def train_with(self, program: str) -> None:
        """Make this the committed training program."""
        (self.folder / "train.py").write_text(program)
        self.commit()

    def commit(self) -> None:
        """Commit whatever was changed."""
        self.consumer.git("add", "--all")
        self.consumer.git("commit", "--quiet", "--message", "x")

    def keep(self) -> None:
        """Remember everything as it is now: `restore` comes back to it."""
        for original, copy in self._kept():
            shutil.copytree(original, copy, symlinks=True)

    def restore(self) -> None:
        """Let everything be as it was when it was kept."""
        for original, copy in self._kept():
            shutil.rmtree(original, ignore_errors=True)
            shutil.copytree(copy, original, symlinks=True)

    def _kept(self) -> Iterator[tuple[Path, Path]]:
        yield self.consumer.home / "state", self.untouched / "state"
        yield self.folder, self.untouched / "folder"

    def run(
        self,
        step: str,
        *flags: str,
        variables: Mapping[str, str] | None = None,
        folder: Path | None = None,
        traceback: bool = False,
    ) -> CommandResult:
        """
        Run a step to its end.

        Whatever it answers, it is one JSON object without a traceback (but the training's own), and nothing is left.
        """
        watched = self._watched()
        result = self.ended(self.start(step, *flags, variables=variables, folder=folder))
        assert isinstance(json.loads(result.stdout), dict), result.stderr
        assert traceback or "Traceback" not in result.stderr, result.stderr
        self._require_nothing_left(watched, result)
        return result

    def cancel(
        self,
        step: str,
        *flags: str,
        when: Callable[[], Any],
        by: signal.Signals = signal.SIGTERM,
        again_when: Callable[[], Any] | None = None,
    ) -> CommandResult:
        """Run a step, send it a signal as soon as something happens, perhaps SIGTERM too; see that nothing is left."""
        watched = self._watched()
        process = self.start(step, *flags)
        reached = happens(lambda: process.poll() is not None or when())
        early = process.poll()
        process.send_signal(by)
        if again_when is not None:
            assert happens(again_when)
            process.send_signal(signal.SIGTERM)
        result = self.ended(process)
        assert (True, None) == (reached, early), result.stderr
        if step == "release":  # reports the steps before
            assert (False, "the release was cancelled at ") == (result.answer["ok"], result.answer["summary"][:29])
        else:
            assert "" == result.stdout, result.stderr
        assert "Traceback" not in result.stderr, result.stderr
        self._require_nothing_left(watched, result)
        return result

    def start(
        self, step: str, *flags: str, variables: Mapping[str, str] | None = None, folder: Path | None = None
    ) -> "subprocess.Popen[str]":
        """Start a step in the project's folder, or another, as a person would who wants JSON."""
        return subprocess.Popen(
            self.consumer.argv(step, *flags),
            cwd=folder or self.folder,
            env={**self.consumer.variables, "TMPDIR": str(self.temporary), **(variables or {})},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def ended(self, process: "subprocess.Popen[str]") -> CommandResult:
        """How a step ended."""
        stdout, stderr = process.communicate(timeout=2 * CEILING_S)
        return CommandResult(code=process.returncode, stdout=stdout, stderr=stderr)

    def processes(self) -> list[str]:
        """The command lines of everything that was started from here and still runs."""
        found = []
        for folder in Path("/proc").glob("[0-9]*"):
            try:
                if is_below((folder / "environ").read_bytes(), self.temporary):
                    found.append((folder / "cmdline").read_bytes().replace(b"\0", b" ").decode())
            except OSError:  # it ended in this moment, or is not ours to look at
                continue
        return found

    def containers(self) -> set[str]:
        """The models of this store that a container of ours serves."""
        if shutil.which("docker") is None:
            return set()
        label = '{{.Label "mlflow-uv.model-id"}}'
        argv = ("docker", "ps", "--all", "--filter", "label=mlflow-uv.smoke-test", "--format", label)
        done = subprocess.run(argv, capture_output=True, text=True, check=False)
        return set(done.stdout.split()) & self.store.models

    def _watched(self) -> tuple[str, dict[str, str]]:
        repository = (self.folder / ".git").is_dir()
        status = self.consumer.git("status", "--porcelain", "--ignored") if repository else ""
        return status, self.store.aliases

    def _require_nothing_left(self, before: tuple[str, dict[str, str]], result: CommandResult) -> None:
        status, aliases = self._watched()
        assert before[0] == status, f"{before[0]!r} became {status!r}: {result.stderr}"
        assert result.code == 0 or before[1] == aliases, result.stderr
        assert happens(lambda: not self.processes(), within_s=AFTERWARDS_S), self.processes()
        assert set() == self.containers()
        assert [] == [path.name for path in self.temporary.glob("mlflow-uv*")]
        assert "RUNNING" not in self.store.runs, result.stderr


def error(result: CommandResult) -> tuple[int, str, str, str]:
    """How a command without an answer ended: code, kind, one sentence, and what mends it."""
    found = result.answer["error"]
    assert result.code == found["exit-code"], result.stderr
    return result.code, found["kind"], f"{found['what']}: {found['why']}", found["fix"]


def oddly_named(folder: Path) -> Path:
    """A folder below that nobody quotes right at first."""
    made = folder / 'it\'s "odd" – größer & $HOME'
    made.mkdir()
    return made
