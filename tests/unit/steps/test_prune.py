"""Prune deletes what its rule allows, and says so where the registry has no such model."""

import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import cast

import pytest

from mlflow_uv.command.errors import BadInput
from mlflow_uv.command.host import Host
from mlflow_uv.payloads.messages.registry import (
    DeletedVersions,
    DeleteVersions,
    DescribeName,
    FindVersions,
    FoundVersions,
    RegisteredName,
    RegisteredVersion,
)
from mlflow_uv.payloads.messages.request import Request
from mlflow_uv.payloads.messages.tags import RELEASE_KEY, STATE
from mlflow_uv.steps import prune
from mlflow_uv.surfaces.cli import _parsed, given_in
from mlflow_uv.tools.mlflow.store import Store, StoreKind
from mlflow_uv.tools.toolbox import Tools

NOW_S = 1_700_000_000.0
SERVER = Store(uri="https://store.test", kind=StoreKind.SERVER, variables={})


@dataclass
class Registry:
    """A registry with models, as payloads answer; it notes what was deleted, and keeps what changed meanwhile."""

    models: Mapping[str, tuple[RegisteredVersion, ...]]
    requests: list[DeleteVersions] = field(default_factory=list)
    changed: Mapping[str, str] = field(default_factory=dict)

    def store(self, _uri: str | None, *, embedded: bool) -> Store:
        """See Mlflow."""
        assert not embedded
        return SERVER

    def resolve_embedded(self, store: Store, _python: Path, _project: Path) -> Store:
        """See Mlflow."""
        return store

    def ask(self, _python: Path, _store: Store, request: Request, _response: type) -> object:
        """See Mlflow."""
        match request:
            case FindVersions(name=name):
                return FoundVersions(versions=self.models.get(name, ()))
            case DescribeName(name=name):
                return RegisteredName(exists=name in self.models, names=tuple(sorted(self.models)))
            case DeleteVersions(versions=versions):
                self.requests.append(request)
                deleted = tuple(number for number in versions if number not in self.changed)
                return DeletedVersions(deleted=deleted, kept=self.changed, notes=())
        raise AssertionError(request)


def version(number: int, *, state: str, days: float = 99, aliases: tuple[str, ...] = ()) -> RegisteredVersion:
    """A version of the model `wine` that was registered some days ago."""
    return RegisteredVersion(
        name="wine",
        version=str(number),
        status="READY",
        message=None,
        source="",
        model_id=None,
        run_id=None,
        description=None,
        tags={STATE: state, RELEASE_KEY: "k"},
        aliases=aliases,
        entries=(),
        created=int((NOW_S - days * 86_400) * 1000),
    )


WINE = (
    version(1, state="failed"),
    version(2, state="failed", days=3),
    version(3, state="tested"),
    version(4, state="registered", aliases=("canary",)),
    version(5, state="tested"),
)


def tools_of(registry: Registry, folder: Path) -> Tools:
    """Tools with a server that has the registry."""
    tools = SimpleNamespace(
        host=Host.of({"USER": "ada"}, folder=folder, python=Path(sys.executable)),
        clock=SimpleNamespace(date_s=lambda: NOW_S),
        mlflow=registry,
        environments=SimpleNamespace(registry_client=lambda *_: folder / "python"),
    )
    return cast("Tools", tools)


def test_an_old_version_without_an_alias_is_deleted_in_the_state_that_was_found(tmp_path: Path) -> None:
    """
    The newest candidate, a young version and one with an alias stay.
    """
    registry = Registry({"wine": WINE})

    report = prune.run(prune.Inputs(project=tmp_path, model_name="wine", keep=1), tools_of(registry, tmp_path))

    assert [("wine", {"1": "failed", "3": "tested"})] == [(it.name, dict(it.versions)) for it in registry.requests]
    assert (("1", "3"), ("2", "4", "5")) == (report.outputs.deleted, report.outputs.kept)
    assert "2 versions of wine deleted, 3 stay" == report.summary


def test_a_dry_run_deletes_nothing(tmp_path: Path) -> None:
    """
    It reports the same versions.
    """
    registry = Registry({"wine": WINE})

    report = prune.run(
        prune.Inputs(project=tmp_path, model_name="wine", keep=1, dry_run=True), tools_of(registry, tmp_path)
    )

    assert ([], ("1", "3"), "2 versions of wine would be deleted, 3 stay") == (
        registry.requests,
        report.outputs.deleted,
        report.summary,
    )


def test_a_version_that_changed_in_the_meantime_stays(tmp_path: Path) -> None:
    """
    The table has the reason of the registry, not that of the rule.
    """
    registry = Registry({"wine": WINE}, changed={"3": "alias champion points to it"})

    report = prune.run(prune.Inputs(project=tmp_path, model_name="wine", keep=1), tools_of(registry, tmp_path))

    (row,) = (row for row in report.tables[0].rows if row[0] == "3")
    assert (("1",), ("3", "tested", "stays", "alias champion points to it")) == (report.outputs.deleted, row)


@pytest.mark.parametrize(
    ("name", "step", "given"),
    [("wien", "prune", {"model-name": "wine"}), ("beer", "release", {})],
    ids=["similar", "unlike"],
)
@pytest.mark.parametrize("dry_run", [False, True])
def test_an_unknown_model_is_an_error(
    name: str, step: str, given: Mapping[str, str], dry_run: bool, tmp_path: Path
) -> None:
    """
    Its fix names a similar model, and never one that is unlike it, whose versions would be deleted.
    """
    inputs = prune.Inputs(project=tmp_path, model_name=name, dry_run=dry_run)

    with pytest.raises(BadInput) as caught:
        prune.run(inputs, tools_of(Registry({"wine": WINE}), tmp_path))

    words = caught.value.fix.split()
    namespace = _parsed(words[1:] if step == "release" else ["prune", *words])
    assert (f"there is no registered model `{name}`", step, given) == (
        caught.value.what,
        namespace.step.name,
        given_in(namespace),
    )


def test_a_model_without_versions_has_none_to_delete(tmp_path: Path) -> None:
    """
    It exists, so that nothing is wrong.
    """
    inputs = prune.Inputs(project=tmp_path, model_name="wine")

    report = prune.run(inputs, tools_of(Registry({"wine": ()}), tmp_path))

    assert ((), (), "0 versions of wine deleted, 0 stay") == (
        report.outputs.deleted,
        report.outputs.kept,
        report.summary,
    )


@pytest.mark.parametrize("inputs", [{"keep": -1}, {"older_than_days": -0.5}], ids=str)
def test_a_negative_number_is_refused(inputs: Mapping[str, float]) -> None:
    """
    Before the registry is used.
    """
    with pytest.raises(BadInput, match="must not be negative"):
        prune.run(prune.Inputs(**inputs), cast("Tools", None))  # type: ignore[arg-type]
