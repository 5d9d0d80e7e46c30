"""The champion is described by default, and nothing if there is none."""

from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from mlflow_uv.command.errors import BadInput
from mlflow_uv.core.version_difference.description import champion_artifact
from mlflow_uv.core.version_difference.document import read_description
from mlflow_uv.payloads.messages.evaluation import FindEvaluation, FoundEvaluation
from mlflow_uv.payloads.messages.models import DescribeSignature, ModelSignature
from mlflow_uv.payloads.messages.registry import DescribeName, RegisteredName
from mlflow_uv.payloads.messages.request import Request
from mlflow_uv.steps import describe_version
from mlflow_uv.steps.describe_version import Inputs, Outputs
from mlflow_uv.tools.mlflow.store import Store
from mlflow_uv.tools.toolbox import Tools
from tests.unit.steps.test_report import tools as tools  # noqa: PLC0414  # the fixture
from tests.unit.steps.test_verify import Registry


class AliasedRegistry(Registry):
    """A registry with one version, which may be the champion."""

    aliases: dict[str, str]

    def ask(self, python: Path, store: Store, request: Request, response: type) -> object:
        """See Mlflow."""
        match request:
            case DescribeName():
                return RegisteredName(exists=True, aliases=self.aliases)
            case DescribeSignature():
                return ModelSignature(signature=None)
            case FindEvaluation():
                return FoundEvaluation()
        return super().ask(python, store, request, response)


@pytest.fixture
def step(tools: Tools, tmp_path: Path) -> Callable[..., Outputs]:
    """The step, for a registry with these aliases."""

    def run(aliases: dict[str, str], **given: Any) -> Outputs:
        registry = AliasedRegistry()
        registry.aliases = aliases
        file = tmp_path / "version.json"
        inputs = Inputs(project=tmp_path, model_name="wine", description_file=file, **given)
        others = {**vars(tools), "mlflow": registry}
        return describe_version.run(inputs, cast("Tools", SimpleNamespace(**others))).outputs

    return run


def test_the_champion_is_described_by_default(step: Callable[..., Outputs], tmp_path: Path) -> None:
    """
    Into the file, for an artifact of a certain name.
    """
    outputs = step({"champion": "1", "candidate": "1"})

    assert ("wine", "1", champion_artifact("wine")) == (
        outputs.model_name,
        outputs.version,
        outputs.champion_artifact,
    )
    assert ("1", "none") == (
        (description := read_description((tmp_path / "version.json").read_bytes())).version,
        description.state,
    )


def test_without_a_champion_nothing_is_described(step: Callable[..., Outputs], tmp_path: Path) -> None:
    """
    The first release of a model has none, and is no failure; another alias may be the champion's.
    """
    outputs = step({"candidate": "1"})

    assert ("", None, False) == (outputs.version, outputs.description_file, (tmp_path / "version.json").exists())
    assert "1" == step({"prod": "1"}, champion="prod").version


def test_a_version_that_is_named_must_be_there(step: Callable[..., Outputs]) -> None:
    """
    The error has one that is, as this input, which works.
    """
    assert "1" == step({}, described_version="1").version
    with pytest.raises(BadInput) as raised:
        step({"champion": "1"}, described_version="candidat")

    assert "--described-version champion" == raised.value.fix
    assert "1" == step({"champion": "1"}, described_version="champion").version
