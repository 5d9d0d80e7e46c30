"""A described version with something in every part, and texts that every document has to escape."""

from mlflow_uv.core.card.description import DescribedDataset, DescribedImage, DescribedMetric, ModelDescription
from mlflow_uv.core.card.statements import CardStatements

HOSTILE = (
    "a|b` [x](javascript:y) <script>alert(1)</script>\n---\n# T: \"q\" 'r' \x1b[2J\u202e\ufeff\ud800 !!python/object"
)
STATEMENTS = CardStatements(
    description="Tells wines apart",
    learning="supervised",
    intended_uses=("sorting bottles",),
    users=("cellars",),
    limitations=("three grapes only",),
    tradeoffs=("speed for accuracy",),
    ethical_considerations=("none known",),
)
DESCRIBED = ModelDescription(
    name="wine",
    version="4",
    created="2026-01-02T03:04:05Z",
    model_id="m-1",
    run_id="r1",
    sha256="a" * 64,
    commit="c" * 40,
    lock_sha256="b" * 64,
    requirements_sha256="d" * 64,
    python="3.12.1",
    mlflow="3.17.2",
    uv="0.9.0",
    description="Tells wines apart",
    license="Apache-2.0",
    license_is_spdx=True,
    producers=("Wine team",),
    pages=(("Home", "https://wine.example/a?b=c"),),
    flavors=(("python_function", ""), ("sklearn", "1.9.0")),
    task="classifier",
    inputs=("`alcohol`: double",),
    outputs=("number 1: long",),
    params=("`top_k`: long, 3 by default",),
    parameters=(("depth", "3"), ("db_password", "***")),
    datasets=(
        DescribedDataset(role="training", name="wines", digest="1a2b3c4d", algorithm="MLflow", source="http {}"),
        DescribedDataset(role="evaluation", name="file hold_out.csv", digest="e" * 64, algorithm="SHA-256"),
    ),
    metrics=(
        DescribedMetric(name="accuracy", value=0.9375, origin="evaluation"),
        DescribedMetric(name="p95-milliseconds", value=4.5, origin="tested server"),
    ),
    champion_metrics=(DescribedMetric(name="accuracy", value=0.875, origin="evaluation, of the champion, version 3"),),
    image=DescribedImage(
        name="registry.example/wine:4",
        digest=f"sha256:{'f' * 64}",
        id=f"sha256:{'0' * 64}",
        base="python",
        base_digest="",
    ),
    tested="image",
    statements=STATEMENTS,
    packages={
        "metadata": {"component": {"type": "library", "bom-ref": "wine@1", "name": "wine", "version": "1"}},
        "components": [
            {
                "type": "library",
                "bom-ref": "numpy@2.4.6",
                "name": "numpy",
                "version": "2.4.6",
                "purl": "pkg:pypi/numpy@2.4.6",
                "externalReferences": [{"type": "distribution", "url": "https://files.example/numpy.whl"}],
                "properties": [{"name": "uv:package:marker", "value": "sys_platform == 'linux'"}],
            }
        ],
        "dependencies": [{"ref": "wine@1", "dependsOn": ["numpy@2.4.6"]}, {"ref": "numpy@2.4.6"}],
    },
)
