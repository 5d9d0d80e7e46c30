"""The descriptions of two real versions, and what their comparison says."""

import json
from pathlib import Path

from .sample_project import SampleProject

LOG = """
import mlflow
with mlflow.start_run(run_id=client.get_model_version("wine", "1").run_id):
    mlflow.log_metrics({"rmse": 0.5, "worst": float("inf")})
    mlflow.log_input(mlflow.data.from_pandas(__import__("pandas").DataFrame({"x": [1.0]}), name="grapes"), "training")
"""


def test_a_real_version_is_described_and_compared_with_another_description(
    sample: SampleProject, tmp_path: Path
) -> None:
    """
    With metrics of evaluation and training, packages, signature and answers; nothing is described without a champion.
    """
    (sample.folder / "unseen.csv").write_text("x,y\n" + "".join(f"{x},{2 * x}\n" for x in range(1, 21)))
    sample.consumer.ask_mlflow(LOG)
    flags = ("--data", "unseen.csv", "--target-column", "y", "--model-type", "regressor", "--candidate", "1")
    evaluated = sample.run("evaluate", *flags)
    file, other, page = (tmp_path / name for name in ("version.json", "champion.json", "comment.md"))

    without = sample.run("describe-version", "--description-file", str(other))
    absent = other.exists()
    described = sample.run("describe-version", "--described-version", "candidate", "--description-file", str(file))
    document = json.loads(file.read_text())
    document["version"] = "7"
    document["evaluation"]["metrics"]["root_mean_squared_error"] = 0.25
    document["training"]["data"] = ["training 0123"]
    document["answers"][0] |= {"answer": {"predictions": [1.5]}, "sha256": "0" * 64}
    other.write_text(json.dumps(document))
    files = ("--description-file", str(file), "--champion-file", str(other))
    compared = sample.run("compare-versions", *files, "--markdown-file", str(page))

    assert [0, 0, 0, 0] == [each.code for each in (evaluated, without, described, compared)], described.stderr
    assert (False, "wine has no champion yet: nothing is described") == (absent, without.answer["summary"])
    assert without.answer["outputs"]["champion-artifact"] == described.answer["outputs"]["champion-artifact"]
    written = json.loads(file.read_text())
    assert ("wine", "1", "tested") == (written["model_name"], written["version"], written["state"])
    assert "latency_p95_ms" in written["evaluation"]["metrics"]
    assert {"rmse": 0.5, "worst": None} == written["training"]["metrics"]
    assert "mlflow" in written["packages"]
    assert {"inputs", "outputs"} <= written["signature"].keys()
    assert any(answer["answer"] == {"predictions": [2.0]} for answer in written["answers"]), written["answers"][:3]
    text = page.read_text()
    assert "Response times are not compared" in text
    assert "answers differ from the champion, version 7" in compared.answer["summary"]
    assert "The metrics of the training are not compared: they were measured on other data." in text
    assert "| root&#95;mean&#95;squared&#95;error | 0 | 0.25 | ↓ -0.25 |" in text
