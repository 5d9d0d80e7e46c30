"""Renders the ML-BOM of a version: CycloneDX 1.6 with a model card, the same bytes for the same version."""

import json
from collections.abc import Iterator, Mapping
from typing import Any
from urllib.parse import quote

from ... import __version__
from ..image.sbom import serial_number
from ..security.documents import parse_json
from .description import DescribedDataset, DescribedMetric, ModelDescription, elements

MODEL, IMAGE = "mlflow-uv:model", "mlflow-uv:image"
_ALGORITHM = "SHA-256"
_TASKS = {"classifier": "classification", "regressor": "regression"}


def render_ml_bom(described: ModelDescription) -> str:
    """Return the document as JSON; its serial number is a digest of the rest, its time that of the registration."""
    table = _without_empty(_document(described))
    return (
        json.dumps({**table, "serialNumber": serial_number(table)}, indent=2, sort_keys=True, ensure_ascii=False) + "\n"
    )


def is_ml_bom_of_version(text: str) -> bool:
    """Whether this module rendered a text: its component has the reference of each ML-BOM. Raises nothing."""
    try:
        document = parse_json(text)
    except ValueError:
        return False
    metadata = document.get("metadata") if isinstance(document, dict) else None
    component = metadata.get("component") if isinstance(metadata, dict) else None
    return isinstance(component, dict) and component.get("bom-ref") == MODEL


def _document(described: ModelDescription) -> dict[str, Any]:
    packages = described.packages
    root = packages.get("metadata", {}).get("component")
    datasets = [_dataset(number, dataset) for number, dataset in enumerate(described.datasets, start=1)]
    image = _image(described)
    needs = [reference["bom-ref"] for reference in (root, *datasets) if reference]
    dependencies = [{"ref": MODEL, "dependsOn": needs}, *packages.get("dependencies", ())]
    if image:
        dependencies.append({"ref": IMAGE, "dependsOn": [MODEL]})
    return {
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "version": 1,
        "metadata": {
            "timestamp": described.created,
            "lifecycles": [{"phase": "post-build"}],
            "tools": {"components": [{"type": "application", "name": "mlflow-uv", "version": __version__}]},
            "authors": [{"name": name} for name in described.producers],
            "component": _model(described, datasets),
            "properties": [
                _property(f"sbom-for-ai:{cluster}:{element}", value) for cluster, element, value in elements(described)
            ],
        },
        "components": [
            *([root] if root else []),
            *map(_package, packages.get("components", ())),
            *datasets,
            *([image] if image else []),
        ],
        "dependencies": dependencies,
    }


def _model(described: ModelDescription, datasets: list[dict[str, Any]]) -> dict[str, Any]:
    producers = ", ".join(described.producers)
    licence = (
        {"expression": described.license} if described.license_is_spdx else {"license": {"name": described.license}}
    )
    return {
        "type": "machine-learning-model",
        "bom-ref": MODEL,
        "name": described.name,
        "version": described.version,
        "description": described.description,
        "purl": _purl(described),
        "hashes": [{"alg": _ALGORITHM, "content": described.sha256}],
        "licenses": [licence] if described.license else [],
        "manufacturer": {"name": producers} if producers else {},
        "externalReferences": [
            {"type": "other", "url": quote(address, safe="/:?#@!$&',;=%-._~"), "comment": name}
            for name, address in described.pages
        ],
        "modelCard": {
            "modelParameters": {
                "approach": {"type": described.statements.learning},
                "task": _TASKS.get(described.task, described.task),
                "architectureFamily": described.library,
                "datasets": [{"ref": dataset["bom-ref"]} for dataset in datasets],
                "inputs": [{"format": text} for text in described.inputs],
                "outputs": [{"format": text} for text in described.outputs],
            },
            "quantitativeAnalysis": {
                "performanceMetrics": [_metric(metric) for metric in (*described.metrics, *described.champion_metrics)]
            },
            "considerations": _considerations(described),
        },
        "properties": list(_properties(described)),
    }


def _properties(described: ModelDescription) -> Iterator[dict[str, str]]:
    """Yield the digests of the chain, the environment of training and its parameters."""
    values = {
        "uri": described.uri,
        "model-id": described.model_id,
        "run-id": described.run_id,
        "commit": described.commit,
        "lock-sha256": described.lock_sha256,
        "requirements-sha256": described.requirements_sha256,
        "python": described.python,
        "mlflow": described.mlflow,
        "uv": described.uv,
        "tested-in": described.tested,
    }
    yield from (_property(f"mlflow-uv:{name}", value) for name, value in values.items() if value)
    yield from (_property(f"mlflow-uv:flavor:{name}", version) for name, version in described.flavors)
    yield from (_property("mlflow-uv:inference-parameter", text) for text in described.params)
    yield from (_property(f"mlflow-uv:training-parameter:{name}", value) for name, value in described.parameters)


def _considerations(described: ModelDescription) -> dict[str, Any]:
    statements = described.statements
    return {
        "users": list(statements.users),
        "useCases": list(statements.intended_uses),
        "technicalLimitations": list(statements.limitations),
        "performanceTradeoffs": list(statements.tradeoffs),
        "ethicalConsiderations": [{"name": text} for text in statements.ethical_considerations],
    }


def _metric(metric: DescribedMetric) -> dict[str, str]:
    return {"type": metric.name, "value": repr(metric.value), "slice": metric.origin}


def _dataset(number: int, dataset: DescribedDataset) -> dict[str, Any]:
    algorithm = dataset.algorithm
    return {
        "type": "data",
        "bom-ref": f"mlflow-uv:dataset:{number}",
        "name": dataset.name,
        "hashes": [{"alg": algorithm, "content": dataset.digest}] if algorithm == _ALGORITHM else [],
        "data": [{"type": "dataset", "name": dataset.name}],
        "properties": [
            _property("mlflow-uv:role", dataset.role),
            *([_property(f"mlflow-uv:digest:{algorithm}", dataset.digest)] if algorithm else []),
            *([_property("mlflow-uv:source", dataset.source)] if dataset.source else []),
        ],
    }


def _package(component: Mapping[str, Any]) -> dict[str, Any]:
    """A package without the files that it may be installed from: the digest of the lock stands for their hashes."""
    return {name: value for name, value in component.items() if name != "externalReferences"}


def _image(described: ModelDescription) -> dict[str, Any] | None:
    image = described.image
    if image is None:
        return None
    digest = (image.digest or image.id).removeprefix("sha256:")
    properties = {"id": image.id, "digest": image.digest, "base": image.base, "base-digest": image.base_digest}
    return {
        "type": "container",
        "bom-ref": IMAGE,
        "name": image.name,
        "version": image.digest or image.id,
        "hashes": [{"alg": _ALGORITHM, "content": digest}],
        "properties": [_property(f"mlflow-uv:image-{name}", value) for name, value in properties.items() if value],
    }


def _purl(described: ModelDescription) -> str:
    """The package URL of type `mlflow`; without the address of the registry, which is a place and no identity."""
    name, version = quote(described.name, safe=""), quote(described.version, safe="")
    ids = (("model_uuid", described.model_id), ("run_id", described.run_id))
    qualifiers = "&".join(f"{key}={quote(value, safe='')}" for key, value in ids if value)
    return f"pkg:mlflow/{name}@{version}{f'?{qualifiers}' if qualifiers else ''}"


def _property(name: str, value: str) -> dict[str, str]:
    return {"name": name, "value": value}


def _without_empty(value: Any) -> Any:
    """Drop empty texts, lists and objects, except the values of properties; the order of lists stays."""
    if isinstance(value, dict):
        inner = {key: item if key == "value" else _without_empty(item) for key, item in value.items()}
        return {key: item for key, item in inner.items() if item not in ("", None, [], {}) or key == "value"}
    if isinstance(value, list):
        return [_without_empty(item) for item in value]
    return value
