"""A version is described from its record, the files in its model, its run, and an evaluation of the same files."""

import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from mlflow_uv.command.errors import ChainBroken, ToolFailed
from mlflow_uv.core.card.description import ModelDescription
from mlflow_uv.core.model import model_files
from mlflow_uv.ops.card.described_version import describe_audited
from mlflow_uv.ops.lineage.audit import Audited
from mlflow_uv.ops.lineage.registry_client import RegistryClient
from mlflow_uv.payloads.messages.evaluation import EvaluatedModel, FoundEvaluation
from mlflow_uv.payloads.messages.models import ModelSignature
from mlflow_uv.payloads.messages.registry import RegisteredName
from mlflow_uv.payloads.messages.runs import RunDataset
from tests.messages import RUN, VERSION
from tests.unit.core.release.test_record import WHOLE

MANIFEST = """
[project]
name = "wine"
version = "1"
description = "Tells wines apart"
license = "apache-2.0"
authors = [{ name = "Ada" }, { email = "b@c.example" }]
urls = { Home = "https://wine.example", Bad = "javascript:x" }

[tool.mlflow-uv.model-card]
limitations = ["Three grapes only."]
"""
SBOM = {
    "bomFormat": "CycloneDX",
    "serialNumber": "urn:uuid:1",
    "metadata": {"component": {"type": "library", "bom-ref": "wine-1", "name": "wine", "version": "1"}},
    "components": [{"type": "library", "bom-ref": "numpy-2", "name": "numpy", "version": "2"}],
    "dependencies": [],
}
DATASET = RunDataset(name="grapes", digest="1a2b", context="", source_type="http", source="{}")
RUN_WITH_DATA = replace(RUN, params={"depth": "3", "api_key": "x"}, datasets=(DATASET,))
DATA = "e" * 64


def measured(**accuracy: str) -> FoundEvaluation:
    """An evaluation of the model with these digests of its files."""
    models = {
        name: EvaluatedModel(run_id="e", model_sha256=digest, metrics={"accuracy": 0.5 if name == "m1" else 0.25})
        for name, digest in accuracy.items()
    }
    return FoundEvaluation(
        evaluation="1", data_sha256=DATA, tags={"mlflow-uv.evaluation-model-type": "classifier"}, models=models
    )


def described(
    folder: Path, evaluations: Mapping[tuple[str, ...], FoundEvaluation], *, manifest: str = MANIFEST, **client: Any
) -> ModelDescription:
    """Version 4 of a registry whose version 3 is the champion."""
    model = folder / "model"
    (model / "mlflow-uv").mkdir(parents=True)
    (model / model_files.MANIFEST).write_text(manifest)
    (model / model_files.LOCK).write_text("version = 1\n")
    asked = {
        "describe_signature": lambda _: ModelSignature(signature=None, flavors={"sklearn": "1.9"}),
        "describe_run": lambda _: RUN_WITH_DATA,
        "describe_name": lambda _: RegisteredName(exists=True, aliases={"champion": "3"}),
        "describe_version": lambda *_: replace(VERSION, model_id="m3"),
        "find_evaluation": lambda ids, _: evaluations.get(ids, FoundEvaluation()),
    }
    tools = SimpleNamespace(
        host=SimpleNamespace(variables={}), uv=SimpleNamespace(sbom=lambda *_: json.dumps(SBOM)), secrets=()
    )
    registry = SimpleNamespace(client=SimpleNamespace(**{**asked, **client}), tools=tools)
    description = replace(VERSION, name="wine", version="4", model_id="m1", created=1_000)
    audit = Audited(description=description, model=model, record=WHOLE, checks=())
    return describe_audited(audit, cast("RegistryClient", registry), champion="champion")


def test_a_version_is_described_with_what_its_project_says(tmp_path: Path) -> None:
    """
    Licence, authors, addresses and statements are those of the manifest in the model; other addresses are left out.
    """
    card = described(tmp_path, {})

    assert ("Apache-2.0", True, ("Ada",), (("Home", "https://wine.example"),)) == (
        card.license,
        card.license_is_spdx,
        card.producers,
        card.pages,
    )
    assert ("1970-01-01T00:00:01Z", ("Three grapes only.",)) == (card.created, card.statements.limitations)
    assert (("api_key", "***"), ("depth", "3")) == card.parameters
    assert [("training", "grapes", "MLflow 1a2b")] == [
        (data.role, data.name, f"{data.algorithm} {data.digest}") for data in card.datasets
    ]
    assert ["numpy"] == [package["name"] for package in card.packages["components"]]


def test_the_evaluation_with_the_champion_is_preferred(tmp_path: Path) -> None:
    """
    The champion's metrics are told apart from those of the version.
    """
    card = described(tmp_path, {("m1", "m3"): measured(m1=WHOLE.model.sha256, m3="x"), ("m1",): measured(m1="old")})

    assert ("classifier", DATA) == (card.task, card.datasets[-1].digest)
    assert [0.5] == [metric.value for metric in card.metrics if metric.origin == "evaluation"]
    assert [(0.25, "evaluation, of the champion, version 3")] == [
        (metric.value, metric.origin) for metric in card.champion_metrics
    ]


def test_an_evaluation_of_other_files_is_not_shown(tmp_path: Path) -> None:
    """
    Its metrics would be those of another model.
    """
    card = described(tmp_path, {("m1",): measured(m1="f" * 64)})

    assert ([], "", ["training"]) == (
        [metric for metric in card.metrics if metric.origin == "evaluation"],
        card.task,
        [data.role for data in card.datasets],
    )


def test_a_version_without_a_run_and_a_licence_in_words_is_described(tmp_path: Path) -> None:
    """
    What was deleted or not said is empty.
    """

    def deleted(_: str) -> Any:
        raise ToolFailed(what="there is no such run", why="it was deleted")

    manifest = MANIFEST.replace('license = "apache-2.0"', 'license = { text = "All rights reserved" }')
    card = described(tmp_path, {}, manifest=manifest, describe_run=deleted)

    assert (("All rights reserved", False), (), ()) == (
        (card.license, card.license_is_spdx),
        card.parameters,
        card.datasets,
    )


def test_a_version_without_a_record_is_refused(tmp_path: Path) -> None:
    """
    There would be nothing to describe it with.
    """
    audit = Audited(description=VERSION, model=tmp_path, record=None, checks=())

    with pytest.raises(ChainBroken):
        describe_audited(audit, cast("RegistryClient", None), champion="champion")
