"""Runs steps in this process, so that MLflow is imported once for many tests."""

import shutil
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mlflow_uv.command.host import Host
from mlflow_uv.command.report import Report
from mlflow_uv.core.lock.selection import Selection
from mlflow_uv.steps import log_model
from mlflow_uv.tools.project.files import read_project
from mlflow_uv.tools.toolbox import Tools, toolbox
from tests.console import KeptConsole
from tests.messages import ask

from .sample_project import SampleProject


@dataclass(frozen=True, kw_only=True)
class InProcessProject:
    """
    A sample project, the tools of this process, and a model that was saved and not yet logged.

    `own` is what the caller's UV_PROJECT_ENVIRONMENT names.
    """

    sample: SampleProject
    tools: Tools
    console: KeptConsole
    saved: Path
    own: Path

    @property
    def folder(self) -> Path:
        """The project."""
        return self.sample.folder

    @property
    def head(self) -> str:
        """The commit that is checked out."""
        return self.sample.consumer.git("rev-parse", "HEAD").strip()

    def log(self, **inputs: Any) -> Report[log_model.Outputs]:
        """Run log-model."""
        return log_model.run(log_model.Inputs(project=self.folder, **inputs), self.tools)

    def ask(self, verb: str, **request: Any) -> dict[str, Any]:
        """Ask MLflow in the project's environment."""
        project = read_project(self.folder)
        python = self.tools.environments.project(project, Selection())
        store = self.tools.mlflow.resolve_embedded(self.tools.mlflow.store(None, embedded=False), python, self.folder)
        return ask(self.tools.mlflow, python, store, verb, **request)

    def logged_elsewhere(self, *names: str, status: str = "FINISHED", **tags: str) -> str:
        """A run that another job made, with a model of each name; its tags are told without dots, as `commit`."""
        known = {
            "noted": "mlflow.source.git.commit",
            "commit": "mlflow-uv.commit",
            "dirty": "mlflow-uv.dirty",
            "lock": "mlflow-uv.lock-sha256",
        }
        told = {known[name]: value for name, value in tags.items()}
        run_id = str(self.ask("create-run", experiment="cluster", tags=told)["run_id"])
        for name in names or ("double",):
            self.ask("log-folder", folder=str(self.saved), name=name, run_id=run_id)
        if status != "RUNNING":
            self.ask("end-run", run_id=run_id, status=status)
        return run_id

    def model_of(self, run_id: str) -> str:
        """The id of the one model of a run."""
        (model,) = self.ask("find-models", run_id=run_id)["models"]
        return str(model["model_id"])

    def with_another_lock(self, spoil: Callable[[str], str]) -> str:
        """A commit before this one with another lock."""
        lock = self.folder / "uv.lock"
        before = lock.read_text()
        lock.write_text(spoil(before))
        self.sample.commit()
        commit = self.head
        lock.write_text(before)
        self.sample.commit()
        return commit


@contextmanager
def in_process_project(sample: SampleProject) -> Iterator[InProcessProject]:
    """Tools as a surface would make them, kept open."""
    saved, own = sample.temporary / "saved", sample.temporary / "own"
    shutil.copytree(sample.consumer.model, saved, ignore=shutil.ignore_patterns("mlflow-uv"))
    (saved / "requirements.txt").write_text("mlflow\n")
    variables = {**sample.consumer.variables, "TMPDIR": str(sample.temporary), "UV_PROJECT_ENVIRONMENT": str(own)}
    host = Host.of(variables, folder=sample.folder, python=Path(sys.executable))
    console = KeptConsole()
    try:
        with toolbox(host, console=console) as tools:
            yield InProcessProject(sample=sample, tools=tools, console=console, saved=saved, own=own)
    finally:
        shutil.rmtree(saved)
        shutil.rmtree(own, ignore_errors=True)
