"""A version runs in a container of its own image, and a process takes its place only with a reason."""

from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from mlflow_uv.command.errors import NoEngine, ToolFailed
from mlflow_uv.command.inputs import Isolation
from mlflow_uv.core.image.labels import MODEL
from mlflow_uv.ops.image.isolation import EvaluatedVersion, choose_isolation
from mlflow_uv.ops.lineage.registry_client import RegistryClient
from mlflow_uv.tools.engines.build_errors import NotPulled
from mlflow_uv.tools.engines.engine import BuiltImage

SUBJECT = EvaluatedVersion(name="wine", version="3", model_id="m-1", run_id="r", model=Path("/model"), sha256="a" * 64)
IMAGE = BuiltImage(id="sha256:1", labels={MODEL: "a" * 64}, size=1, digest="sha256:2")


class Engine:
    """An engine that has an image, or can pull it."""

    name = "docker"

    def __init__(self, here: BuiltImage | None, there: BuiltImage | None = None) -> None:
        self.here, self.there = here, there
        self.pulled: list[str] = []

    def image(self, _name: str) -> BuiltImage | None:
        """See Engine."""
        return self.here

    def pull(self, name: str) -> BuiltImage:
        """See Engine."""
        self.pulled.append(name)
        if self.there is None:
            raise NotPulled(what="docker cannot pull it", why="manifest unknown")
        return self.there


def test_a_version_is_named_by_its_model_or_by_itself() -> None:
    """
    MLflow 2 has no logged models.
    """
    older = replace(SUBJECT, model_id=None)

    assert ("m-1", "models:/wine/3", "wine version 3") == (SUBJECT.id, older.id, SUBJECT.shown)


def test_a_process_that_was_requested_asks_nobody(tmp_path: Path) -> None:
    """
    Neither the registry nor an engine.
    """
    place = choose_isolation(cast("RegistryClient", None), SUBJECT, Isolation.PROCESS, tmp_path / "record.json")

    assert (None, "a process was requested") == (place.engine, place.reason)


def unreachable(error: Exception) -> RegistryClient:
    """A registry whose answer is an error."""

    def describe_version(_name: str, _version: str) -> Any:
        raise error

    return cast("RegistryClient", SimpleNamespace(client=SimpleNamespace(describe_version=describe_version)))


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (NoEngine(what="no engine answers", why="Docker is not running"), "Docker is not running"),
        (ToolFailed(what="`docker image inspect` failed"), "`docker image inspect` failed"),
    ],
)
def test_where_no_engine_answers_a_process_runs_and_says_why(tmp_path: Path, error: Exception, reason: str) -> None:
    """
    Unless an image was demanded: then that is an error, and the fix takes a process.
    """
    place = choose_isolation(unreachable(error), SUBJECT, Isolation.AUTO, tmp_path / "record.json")
    with pytest.raises(ToolFailed) as caught:
        choose_isolation(unreachable(error), SUBJECT, Isolation.IMAGE, tmp_path / "record.json")

    assert (None, reason) == (place.engine, place.reason)
    assert ("wine version 3 cannot be run in a container", reason) == (caught.value.what, caught.value.why)
    assert "--isolation auto" in str(caught.value.fix)
