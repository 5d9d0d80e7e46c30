"""The ML-BOM and the model card of a released version, as other people's programs read them."""

import json
import subprocess
from pathlib import Path

import pytest

from tests.contracts.mlflow_interpreter import synced
from tests.sharing import SharedFolder

from .sample_project import SampleProject

URI = "models:/wine/1"
DOCUMENTS = ("ml-bom.cdx.json", "README.md")
# CycloneDX's own validator, and the library that Hugging Face reads cards with.
VALIDATE = """
import json, sys
from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator
from huggingface_hub import ModelCard
bom, card = sys.argv[1:]
error = JsonStrictValidator(SchemaVersion.V1_6).validate_str(open(bom, encoding="utf-8").read())
data = ModelCard.load(card).data
results = [(result.metric_type, result.metric_value, result.dataset_revision) for result in data.eval_results or ()]
print(json.dumps({"error": error and str(error), "library": data.library_name, "results": results}))
"""
LOG = """
import mlflow
with mlflow.start_run(run_id=client.get_model_version("wine", "1").run_id):
    mlflow.log_params({"depth": 3, "api_key": "s3cret", "note": "a|b <script>"})
    mlflow.log_input(mlflow.data.from_pandas(__import__("pandas").DataFrame({"x": [1.0]}), name="grapes"), "training")
"""
LOGGED = """
def files(path):
    for item in client.list_artifacts(client.get_model_version("wine", "1").run_id, path):
        yield from files(item.path) if item.is_dir else [item.path]
print(*sorted(path.rpartition("/")[2] for path in files("mlflow-uv") if "/model-card/" in path))
"""


def evaluated(sample: SampleProject) -> None:
    """Version 1 has parameters, a dataset and an evaluation."""
    (sample.folder / "unseen.csv").write_text("x,y\n" + "".join(f"{x},{2 * x}\n" for x in range(1, 21)))
    sample.consumer.ask_mlflow(LOG)
    flags = ("--data", "unseen.csv", "--target-column", "y", "--model-type", "regressor", "--candidate", "1")
    result = sample.run("evaluate", *flags)
    assert 0 == result.code, result.stderr


def test_both_documents_are_valid_and_the_same_wherever_they_are_written(
    sample: SampleProject, shared: SharedFolder, root: Path, tmp_path: Path
) -> None:
    """
    Twice and in two folders they have equal bytes; another metric and other data are refused, with their places.
    """
    evaluated(sample)
    first, second = tmp_path / "first ü", tmp_path / "second"

    results = [sample.run("model-card", URI, "--card-folder", str(folder), "--log-card") for folder in (first, second)]

    assert [0, 0] == [result.code for result in results], results[0].stderr
    assert [True, True] == [(first / name).read_bytes() == (second / name).read_bytes() for name in DOCUMENTS]
    environment = shared.make_once("cards", lambda folder: synced(root / "tests" / "cards", folder))
    argv: list[str | Path] = [environment / "bin" / "python", "-c", VALIDATE, *(first / name for name in DOCUMENTS)]
    answer = json.loads(subprocess.run(argv, capture_output=True, text=True, check=True).stdout)
    bom = json.loads((first / DOCUMENTS[0]).read_text())
    model = bom["metadata"]["component"]
    data = next(part for part in bom["components"] if part.get("hashes") and part["type"] == "data")
    tags = sample.store.tags("1")
    measured = {name: value for name, value, _ in answer["results"]}
    assert (None, tags["model-sha256"]) == (answer["error"], model["hashes"][0]["content"])
    assert (0.0, {f"sha256:{data['hashes'][0]['content']}"}) == (
        measured["mean_absolute_error"],
        {revision for *_, revision in answer["results"]},
    )
    properties = {entry["name"]: entry["value"] for entry in model["properties"]}
    assert ("3", "***") == tuple(properties[f"mlflow-uv:training-parameter:{name}"] for name in ("depth", "api_key"))
    assert "grapes" in [part["name"] for part in bom["components"]]
    assert sorted(DOCUMENTS) == sample.consumer.ask_mlflow(LOGGED).split()
    assert [0, 0] == [sample.run("model-card", URI, "--check-file", str(first / name)).code for name in DOCUMENTS]
    for line, wrong in ((data["hashes"][0]["content"], "9" * 64), ('"value": "0.0"', '"value": "0.01"')):
        text = (first / DOCUMENTS[0]).read_text()
        (second / DOCUMENTS[0]).write_text(text.replace(line, wrong))
        refused = sample.run("model-card", URI, "--check-file", str(second / DOCUMENTS[0]))
        assert (1, True) == (refused.code, text != (second / DOCUMENTS[0]).read_text())
        assert any(wrong.strip('"value: ') in finding["why"] for finding in refused.answer["findings"])


@pytest.mark.extended
def test_a_version_whose_model_was_changed_gets_no_card(sample: SampleProject, tmp_path: Path) -> None:
    """
    A card would vouch for other files than those of the release.
    """
    model = next((sample.consumer.store / "artifacts").rglob("MLmodel"))
    model.write_text(model.read_text() + "\n# changed\n")

    result = sample.run("model-card", URI, "--card-folder", str(tmp_path / "card"))

    assert (11, False) == (result.code, (tmp_path / "card").exists())
    assert "model" in result.answer["error"]["what"] + result.answer["error"]["why"]
