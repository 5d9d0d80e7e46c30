"""Lines of a project that move an alias by themselves are named before it trains."""

from dataclasses import dataclass, field, replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from mlflow_uv.ops.model.source import ModelSource, ModelSourceKind
from mlflow_uv.ops.model.training import Job
from mlflow_uv.ops.model.training_registrations import announce_alias_calls, moved_aliases
from mlflow_uv.payloads.messages.models import FoundModels
from mlflow_uv.payloads.messages.registry import RegisteredName
from mlflow_uv.tools.project.files import Project
from mlflow_uv.tools.toolbox import Tools
from tests.messages import VERSION

SOURCE = """\
import mlflow
# client.set_registered_model_alias("wine", "old", 1)
client = mlflow.MlflowClient()
client.set_registered_model_alias(
    "wine", "production", 1
)
"""


@dataclass
class FakeTools:
    """Files of a folder, a registry with aliases, and a console that keeps its messages."""

    folder: Path
    aliases: dict[str, str] = field(default_factory=dict)
    lines: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.console = SimpleNamespace(say=self.lines.append)
        self.git = SimpleNamespace(files_below=lambda folder, _patterns: sorted(folder.rglob("*.py")))
        self.client = SimpleNamespace(describe_name=lambda _name: RegisteredName(exists=True, aliases=self.aliases))


def job(folder: Path, **more: Any) -> Job:
    fields = {
        "source": ModelSource(kind=ModelSourceKind.TRAIN, words=("python", "train.py")),
        "registers": True,
        **more,
    }
    project = Project(folder=folder, root=folder, manifest={})
    return cast("Job", SimpleNamespace(project=project, **fields))


def test_a_line_that_moves_an_alias_is_named_before_the_training(tmp_path: Path) -> None:
    """
    With what turns it off; comments, links and text that is no call are not looked at.
    """
    (tmp_path / "train.py").write_text(SOURCE)
    (tmp_path / "link.py").symlink_to("train.py")
    (tmp_path / "other.py").write_text("set_registered_model_alias = None\n")
    tools = FakeTools(tmp_path)

    announce_alias_calls(job(tmp_path), cast("Tools", tools))

    (line,) = tools.lines
    assert line.startswith("train.py:4 calls set_registered_model_alias: ")
    assert "--withhold-registry" in line


@pytest.mark.parametrize(
    "more",
    [{"registers": False}, {"source": ModelSource(kind=ModelSourceKind.MODEL, words=("m-0a",))}],
    ids=["turned off", "adopted"],
)
def test_what_cannot_move_an_alias_is_not_spoken_of(tmp_path: Path, more: dict[str, Any]) -> None:
    """
    Neither where it is turned off, nor where nothing is trained.
    """
    (tmp_path / "train.py").write_text(SOURCE)
    tools = FakeTools(tmp_path)

    announce_alias_calls(job(tmp_path, **more), cast("Tools", tools))

    assert [] == tools.lines


def test_an_alias_that_names_what_was_made_just_now_is_a_warning(tmp_path: Path) -> None:
    """
    At the line that moves it; one that names an older version is none.
    """
    (tmp_path / "train.py").write_text(SOURCE)
    tools = FakeTools(tmp_path, aliases={"production": "3", "old": "2"})
    found = FoundModels(runs=(), models=(), versions=(replace(VERSION, name="wine", version="3"),))

    findings = moved_aliases(found, job(tmp_path, client=tools.client), cast("Tools", tools))

    assert ["training moved the alias `production` of wine to version 3"] == [finding.what for finding in findings]
    assert [(tmp_path / "train.py", 4)] == [(finding.path, finding.line) for finding in findings]
