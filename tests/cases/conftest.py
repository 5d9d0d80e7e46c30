"""One consumer of ours: a repository with the wine example, released once, put back after every test."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest


@dataclass(frozen=True, kw_only=True, slots=True)
class Said:
    """How a command ended, and what it said."""

    code: int
    stdout: str
    stderr: str

    @property
    def answer(self) -> dict[str, Any]:
        """The JSON on standard output."""
        return json.loads(self.stdout)  # type: ignore[no-any-return]

    @property
    def outputs(self) -> dict[str, Any]:
        """The outputs of the step."""
        return self.answer["outputs"]  # type: ignore[no-any-return]

    @property
    def rules(self) -> list[str]:
        """The rules of its findings."""
        return [finding["rule"] for finding in self.answer["findings"]]


@dataclass(frozen=True, kw_only=True, slots=True)
class Consumer:
    """A repository that uses us, and the private home of what we make for it."""

    folder: Path
    home: Path
    serving: str

    def run(self, step: str, *flags: str, variables: Mapping[str, str] | None = None) -> Said:
        """Run one step on it as a person would, asking for JSON."""
        done = subprocess.run(
            self.argv(step, *flags),
            cwd=self.folder,
            env={**self.variables, **(variables or {})},
            capture_output=True,
            text=True,
            check=False,
            timeout=600,
        )
        return Said(code=done.returncode, stdout=done.stdout, stderr=done.stderr)

    def argv(self, step: str, *flags: str) -> tuple[str, ...]:
        """The command line of a step."""
        return (sys.executable, "-I", "-m", "mlflow_uv", step, "--format", "json", *flags)

    @property
    def variables(self) -> dict[str, str]:
        """The variables it is run with."""
        return {**os.environ, "MLFLOW_UV_HOME": str(self.home)}

    @property
    def record(self) -> Path:
        """The file of its release record."""
        (path,) = (self.home / "state" / "records").glob("*/record.json")
        return path

    @property
    def model(self) -> Path:
        """The files of its model where the store keeps them."""
        model_id = json.loads(self.record.read_text())["model"]["model_id"]
        (path,) = (self.home / "state" / "store" / "artifacts").glob(f"*/models/{model_id}/artifacts")
        return path

    def edit(self, path: Path, old: str, new: str) -> None:
        """Change one thing in a file that has it."""
        text = path.read_text()
        assert old in text
        path.write_text(text.replace(old, new, 1))

    def git(self, *argv: str) -> str:
        """What git says of it."""
        done = subprocess.run(
            ("git", "-c", "user.name=a", "-c", "user.email=a@b", *argv),
            cwd=self.folder, capture_output=True, text=True, check=True,
        )  # fmt: skip
        return done.stdout

    def ask_mlflow(self, code: str) -> str:
        """What a few lines of Python say, run by its own environment's MLflow on its own store."""
        (python,) = (self.home / "cache" / "environments").glob("wine-*/bin/python")
        store = self.home / "state" / "store" / "mlflow.db"
        done = subprocess.run(
            (python, "-I", "-c", f"from mlflow import MlflowClient\nclient = MlflowClient()\n{code}"),
            env={**os.environ, "MLFLOW_TRACKING_URI": f"sqlite:///{store}"},
            capture_output=True, text=True, check=True,
        )  # fmt: skip
        return done.stdout.strip()


def make_consumer(folder: Path, home: Path, example: Path, *, serving: str) -> Consumer:
    """A repository with one commit that holds an example."""
    shutil.copytree(example, folder, ignore=shutil.ignore_patterns("__pycache__", ".venv"))
    consumer = Consumer(folder=folder, home=home, serving=serving)
    consumer.git("init", "--quiet", "--initial-branch=main")
    consumer.git("add", "--all")
    consumer.git("commit", "--quiet", "--message", "wine")
    return consumer


@dataclass(frozen=True, kw_only=True, slots=True)
class Released:
    """A consumer after a whole release, and copies of its state after each step."""

    consumer: Consumer
    after: Mapping[str, Path]
    untouched: Path

    def restore(self, step: str) -> None:
        """Let everything be as it was after a step."""
        for original, copy in (
            (self.consumer.home / "state", self.after[step]),
            (self.consumer.folder, self.untouched),
        ):
            shutil.rmtree(original)
            shutil.copytree(copy, original, symlinks=True)


@pytest.fixture(scope="session")
def released(tmp_path_factory: pytest.TempPathFactory, root: Path, engine_complaint: str) -> Released:
    """The wine example, released step by step, with an image where there is an engine, else with a process."""
    place = tmp_path_factory.mktemp("consumer")
    serving = "process" if engine_complaint else "engine"
    consumer = make_consumer(place / "wine", place / "home", root / "examples" / "wine", serving=serving)
    untouched = place / "untouched"
    shutil.copytree(consumer.folder, untouched, symlinks=True)
    after = {}
    for step in ("log-model", "register", "build-image", "smoke-test"):
        said = consumer.run(step, *(("--serving", serving) if step == "build-image" else ()))
        assert said.code == 0, said.stderr
        after[step] = place / f"after-{step}"
        shutil.copytree(consumer.home / "state", after[step])
    assert consumer.git("status", "--porcelain") == ""
    return Released(consumer=consumer, after=after, untouched=untouched)


@pytest.fixture
def consumer(released: Released) -> Iterator[Consumer]:
    """The released consumer, for a test to harm: its folder, store and records are put back afterwards."""
    yield released.consumer
    released.restore("smoke-test")


@pytest.fixture
def up_to(consumer: Consumer, released: Released) -> Callable[[str], None]:  # noqa: ARG001  # it puts things back
    """Go back to where the release had come after a step."""
    return released.restore
