"""Back to the version before, if it still is what it was; and versions that nobody needs."""

import uuid
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest

from mlflow_uv.command.errors import BadInput, ChainBroken
from mlflow_uv.core.release.digests import tree_digest
from mlflow_uv.steps import prune, rollback
from mlflow_uv.tools.system.content import digests_in

from .in_process import InProcessProject

ENTRY = {"who": "alice", "when": "2026-01-01T00:00:00Z", "run": ""}


@dataclass(frozen=True, kw_only=True)
class RegisteredModel:
    """A registered model of a test's own: version 1 had the alias once, and version 2 has it now."""

    project: InProcessProject
    name: str = field(default_factory=lambda: f"model-{uuid.uuid4().hex[:8]}")
    models: list[str] = field(default_factory=list)

    @property
    def inputs(self) -> dict[str, Any]:
        return {"project": self.project.folder, "model_name": self.name}

    @property
    def aliases(self) -> dict[str, str]:
        return dict(self.project.ask("describe-name", name=self.name)["aliases"])

    def versions(self) -> list[dict[str, Any]]:
        return list(self.project.ask("find-versions", name=self.name)["versions"])

    def add(self, **tags: str) -> None:
        """One more version, of a model of its own."""
        model = self.project.model_of(self.project.logged_elsewhere())
        with TemporaryDirectory() as scratch:
            self.project.ask("download-model", model_id=model, destination=f"{scratch}/model")
            digest = tree_digest(digests_in(Path(scratch, "model")))
        ours = {f"mlflow-uv.{key.replace('_', '-')}": value for key, value in tags.items()}
        about: dict[str, Any] = {
            "tags": {**ours, "made-by": "a test"},
            "description": "made by a test",
            "timeout_s": 30,
        }
        if ours:
            about["tags"] |= {"mlflow-uv.release-key": "k", "mlflow-uv.model-sha256": digest}
        self.project.ask("find-or-create-version", name=self.name, model_id=model, model_sha256=digest, **about)
        self.models.append(model)

    def promote(self, number: str) -> None:
        expected = {"alias_names": self.aliases.get("champion"), "record_sha256": None, "state": "tested"}
        self.project.ask("promote", name=self.name, version=number, alias="champion", entry=ENTRY, expected=expected)


@pytest.fixture
def registered_model(project: InProcessProject) -> RegisteredModel:
    """Two versions, promoted one after the other."""
    made = RegisteredModel(project=project)
    for number in ("1", "2"):
        made.add(state="tested")
        made.promote(number)
    return made


def test_a_rollback_says_where_it_would_go_and_goes_there(registered_model: RegisteredModel) -> None:
    """
    A dry run changes nothing; then the version before has the alias, and both versions know who did it.
    """
    dry = rollback.run(rollback.Inputs(**registered_model.inputs, dry_run=True), registered_model.project.tools)
    still = registered_model.aliases
    done = rollback.run(rollback.Inputs(**registered_model.inputs), registered_model.project.tools)

    entries = [version["entries"][0] for version in registered_model.versions()]
    told = f"champion would become {registered_model.name} version 1 again, instead of version 2"
    assert (told, {"champion": "2", "previous": "1"}) == (dry.summary, still)
    assert ("2", "1", {"champion": "1"}) == (
        done.outputs.version_before,
        done.outputs.version,
        registered_model.aliases,
    )
    assert [("rollback", done.outputs.who)] * 2 == [(entry["action"], entry["who"]) for entry in entries]


def test_nothing_goes_back_to_a_model_whose_files_were_changed(registered_model: RegisteredModel) -> None:
    """
    One byte more in a file of the version before: the link is named, and the alias stays where it is.
    """
    store = Path(registered_model.project.sample.store.path.parent)
    (model,) = store.glob(f"artifacts/*/models/{registered_model.models[0]}/artifacts")
    changed = model / "python_model.pkl"
    changed.write_bytes(changed.read_bytes() + b" ")

    with pytest.raises(ChainBroken) as refused:
        rollback.run(rollback.Inputs(**registered_model.inputs), registered_model.project.tools)

    assert (("model",), {"champion": "2", "previous": "1"}) == (refused.value.links, registered_model.aliases)


def test_where_nothing_was_before_a_rollback_asks_for_a_number(registered_model: RegisteredModel) -> None:
    """
    The error says why, and how to name a version.
    """
    inputs = rollback.Inputs(**registered_model.inputs)
    rollback.run(inputs, registered_model.project.tools)

    with pytest.raises(BadInput) as refused:
        rollback.run(inputs, registered_model.project.tools)

    why = f"no audit entry says what `champion` of `{registered_model.name}` named before version 1"
    assert (why, "mlflow-uv rollback --to NUMBER") == (refused.value.why, refused.value.fix)


def test_what_nobody_needs_is_told_and_deleted_and_its_model_stays(registered_model: RegisteredModel) -> None:
    """
    A failed version goes; what has or had the alias, and what others registered, stays.
    """
    registered_model.add(state="failed")
    registered_model.add()
    inputs = {**registered_model.inputs, "older_than_days": 0.0}
    models = registered_model.project.sample.store.models

    dry = prune.run(prune.Inputs(**inputs, dry_run=True), registered_model.project.tools)
    there = [version["version"] for version in registered_model.versions()]
    done = prune.run(prune.Inputs(**inputs), registered_model.project.tools)

    why = [
        "alias previous points to it",
        "alias champion points to it",
        "it is failed, and 0 days old",
        "it was not registered by mlflow-uv",
    ]
    assert (("3",), ["1", "2", "3", "4"], ("3",)) == (dry.outputs.deleted, there, done.outputs.deleted)
    assert ["1", "2", "4"] == [version["version"] for version in registered_model.versions()]
    assert why == [row[3] for row in done.tables[0].rows]
    assert models == registered_model.project.sample.store.models
