"""A repository that uses this project, and the commands that are run on it."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mlflow_uv.command.host import Host
from mlflow_uv.core.lock.selection import Selection
from mlflow_uv.tools.project.files import read_project
from mlflow_uv.tools.toolbox import toolbox
from tests.console import KeptConsole
from tests.sharing import SharedFolder
from tests.waiting import CEILING_S


@dataclass(frozen=True, kw_only=True, slots=True)
class CommandResult:
    """The exit code and the output of a command."""

    code: int
    stdout: str
    stderr: str

    @property
    def answer(self) -> dict[str, Any]:
        """The JSON on standard output."""
        return json.loads(self.stdout)

    @property
    def outputs(self) -> dict[str, Any]:
        """The outputs of the step."""
        return self.answer["outputs"]

    @property
    def rules(self) -> list[str]:
        """The rules of its findings."""
        return [finding["rule"] for finding in self.answer["findings"]]


@dataclass(frozen=True, kw_only=True, slots=True)
class Consumer:
    """A repository that uses us, and the private home of what we make for it."""

    folder: Path
    home: Path
    engine: str

    def run(self, step: str, *flags: str, variables: Mapping[str, str] | None = None) -> CommandResult:
        """Run one step on it as a person would, asking for JSON."""
        done = subprocess.run(
            self.argv(step, *flags),
            cwd=self.folder,
            env={**self.variables, **(variables or {})},
            capture_output=True,
            text=True,
            check=False,
            timeout=2 * CEILING_S,
        )
        return CommandResult(code=done.returncode, stdout=done.stdout, stderr=done.stderr)

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
    def store(self) -> Path:
        """The folder of its embedded store, or where there is none yet, a folder that is not there."""
        stores = self.home / "state" / "stores"
        own = sorted(stores.glob(f"{self.folder.name}-*/*"))  # else that of a member of its workspace
        return next(iter(own or sorted(stores.glob("*/*"))), self.home / "no-store")

    @property
    def model(self) -> Path:
        """The files of its model where the store keeps them."""
        model_id = json.loads(self.record.read_text())["model"]["model_id"]
        (path,) = (self.store / "artifacts").glob(f"*/models/{model_id}/artifacts")
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
        # Clones of it have environments too, with the same packages.
        python = min((self.home / "cache" / "environments").glob(f"{self.folder.name}-*/bin/python"))
        store = self.store / "mlflow.db"
        done = subprocess.run(
            (
                *(python, "-I", "-X", f"pycache_prefix={self.home / 'cache' / 'bytecode'}"),
                *("-c", f"from mlflow import MlflowClient\nclient = MlflowClient()\n{code}"),
            ),
            env={**os.environ, "MLFLOW_TRACKING_URI": f"sqlite:///{store}"},
            capture_output=True, text=True, check=True,
        )  # fmt: skip
        return done.stdout.strip()


def make_consumer(folder: Path, home: Path, example: Path, *, engine: str, image: str | None = None) -> Consumer:
    """A repository with one commit that holds an example, whose images have a name of their own where one is given."""
    shutil.copytree(example, folder, ignore=shutil.ignore_patterns("__pycache__", ".venv"))
    consumer = Consumer(folder=folder, home=home, engine=engine)
    if image is not None:
        consumer.edit(folder / "pyproject.toml", "[tool.mlflow-uv]\n", f'[tool.mlflow-uv]\nimage = "{image}"\n')
    consumer.git("init", "--quiet", "--initial-branch=main")
    consumer.git("add", "--all")
    consumer.git("commit", "--quiet", "--message", "wine")
    return consumer


def share_bytecode(consumer: Consumer, shared: SharedFolder) -> None:
    """
    Let what Python compiles of a consumer's environments lie where the consumers of other processes have it.

    Below its cache of bytecode, Python repeats the path of each source file. The files of the same lock at another path
    have the same bytecode, which takes 15 seconds of a processor.
    """
    host = Host.of(consumer.variables, folder=consumer.folder, python=Path(sys.executable))
    with toolbox(host, console=KeptConsole()) as tools:
        environment = tools.environments.place(read_project(consumer.folder), Selection())
    bytecode = shared.make_once("bytecode", Path.mkdir)
    (bytecode / "environments").mkdir(exist_ok=True)
    (bytecode / "wine").mkdir(exist_ok=True)
    (bytecode / "environments" / environment.name).symlink_to(bytecode / "wine")
    below = host.cache / "bytecode" / host.cache.relative_to("/")
    below.parent.mkdir(parents=True)
    below.symlink_to(bytecode)
