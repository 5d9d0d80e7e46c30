"""The ML-BOM of a version has the same bytes each time, and names the model, its data, its packages and its image."""

import json
from dataclasses import replace
from typing import Any

from mlflow_uv.core.card.description import DescribedMetric
from mlflow_uv.core.card.ml_bom import render_ml_bom

from .described import DESCRIBED


def table(described: Any = DESCRIBED) -> dict[str, Any]:
    """The parsed document."""
    parsed: dict[str, Any] = json.loads(render_ml_bom(described))
    return parsed


def test_the_document_names_model_data_packages_and_image() -> None:
    """
    Each has its digest, and the graph says what needs what.
    """
    document = table()

    model = document["metadata"]["component"]
    hashes = {part["bom-ref"]: part.get("hashes", [{}])[0].get("content") for part in (model, *document["components"])}
    assert {
        "mlflow-uv:model": "a" * 64,
        "wine@1": None,
        "numpy@2.4.6": None,
        "mlflow-uv:dataset:1": None,
        "mlflow-uv:dataset:2": "e" * 64,
        "mlflow-uv:image": "f" * 64,
    } == hashes
    assert [{"ref": "mlflow-uv:model", "dependsOn": ["wine@1", "mlflow-uv:dataset:1", "mlflow-uv:dataset:2"]}] == [
        entry for entry in document["dependencies"] if entry["ref"] == "mlflow-uv:model"
    ]
    assert "pkg:mlflow/wine@4?model_uuid=m-1&run_id=r1" == model["purl"]
    assert [{"expression": "Apache-2.0"}] == model["licenses"]


def test_the_model_card_has_the_metrics_of_version_and_champion() -> None:
    """
    A metric says of what it is, so that the champion's is not taken for the version's.
    """
    card = table()["metadata"]["component"]["modelCard"]

    assert [
        ("accuracy", "0.9375", "evaluation"),
        ("p95-milliseconds", "4.5", "tested server"),
        ("accuracy", "0.875", "evaluation, of the champion, version 3"),
    ] == [(item["type"], item["value"], item["slice"]) for item in card["quantitativeAnalysis"]["performanceMetrics"]]
    assert "classification" == card["modelParameters"]["task"]
    assert ["three grapes only"] == card["considerations"]["technicalLimitations"]


def test_the_serial_number_is_that_of_the_content() -> None:
    """
    The same version gives the same bytes, and another metric another serial number.
    """
    other = replace(DESCRIBED, metrics=(DescribedMetric(name="accuracy", value=0.94, origin="evaluation"),))

    assert render_ml_bom(DESCRIBED) == render_ml_bom(DESCRIBED)
    assert table()["serialNumber"] != table(other)["serialNumber"]


def test_what_nobody_says_is_unknown() -> None:
    """
    Every minimum element has a property; nothing is left out because it is not known.
    """
    properties = {entry["name"]: entry["value"] for entry in table()["metadata"]["properties"]}

    assert "unknown" == properties["sbom-for-ai:Infrastructure:Infrastructure hardware"]
    assert "Apache-2.0" == properties["sbom-for-ai:Models:Model license"]
    assert (
        "unknown"
        == {entry["name"]: entry["value"] for entry in table(replace(DESCRIBED, license=""))["metadata"]["properties"]}[
            "sbom-for-ai:Models:Model license"
        ]
    )
