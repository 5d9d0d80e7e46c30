"""Which record counts after a step was killed while it published one."""

import sys
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest

from mlflow_uv.command.errors import StoreUnreachable, ToolFailed
from mlflow_uv.command.host import Host
from mlflow_uv.core.release.record import Record
from mlflow_uv.ops.lineage.publication import RECORD_TAG, StoreAccess, settled
from mlflow_uv.tools.mlflow.records import Records
from tests.unit.core.release.test_record import WHOLE

NEWER = replace(WHOLE, alias=None)
ACCESS: Any = StoreAccess(store=None, python=Path(sys.executable))  # type: ignore[arg-type]  # nobody is asked


@dataclass(frozen=True)
class Registry:
    """A registry that has one digest, or fails."""

    answer: Callable[[], str]

    def ask(self, *_: object, **__: object) -> dict[str, Any]:
        """Describe whatever it is asked about."""
        return {"tags": {RECORD_TAG: self.answer()}}


@dataclass(frozen=True)
class Machine:
    """The tools that a publication uses."""

    records: Records
    mlflow: Registry = field(default_factory=lambda: Registry(lambda: NEWER.sha256))


def machine(folder: Path, answer: Callable[[], str], staged: Record) -> tuple[Any, Path]:
    """Tools over a record file with another record staged for it."""
    host = Host.of({"MLFLOW_UV_HOME": str(folder / "home")}, folder=folder, python=Path(sys.executable))
    records, path = Records(host), folder / "record.json"
    records.save(path, WHOLE)
    records.stage(path, staged)
    return Machine(records, Registry(answer)), path


def missing() -> str:
    """Say that the version is gone."""
    raise ToolFailed(what="the tracking server has no such object", why="version 77")


@pytest.mark.parametrize(
    ("answer", "staged", "counts"),
    [
        (lambda: NEWER.sha256, NEWER, NEWER),
        (lambda: WHOLE.sha256, NEWER, WHOLE),
        (missing, NEWER, WHOLE),
        (
            lambda: replace(NEWER, model=replace(NEWER.model, model_id="m-other")).sha256,
            replace(NEWER, model=replace(NEWER.model, model_id="m-other")),
            WHOLE,
        ),
    ],
    ids=["tagged", "not tagged", "its version is gone", "of another model"],
)
def test_a_staged_record_counts_if_the_registry_has_its_digest(
    tmp_path: Path, answer: Callable[[], str], staged: Record, counts: Record
) -> None:
    """
    Then it is in the file; else the file stays, and in either case nothing is staged any more.
    """
    tools, path = machine(tmp_path, answer, staged)

    found = settled(WHOLE, path, ACCESS, tools)

    assert (counts, counts, None) == (found, tools.records.load(path), tools.records.staged(path))


def test_a_registry_that_does_not_answer_decides_nothing(tmp_path: Path) -> None:
    """
    The staged record is kept until somebody can tell.
    """

    def unreachable() -> str:
        raise StoreUnreachable(what="the tracking server does not answer", why="down")

    tools, path = machine(tmp_path, unreachable, NEWER)

    with pytest.raises(StoreUnreachable):
        settled(WHOLE, path, ACCESS, tools)

    assert NEWER == tools.records.staged(path)
