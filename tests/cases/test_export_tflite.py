"""A released network of Keras is exported to TFLite by the command, audited, and answers in an image without Keras."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from .consumer import Consumer, make_consumer
from .edge_bundles import edge_image, runtime_python, scored

pytestmark = [pytest.mark.extended, pytest.mark.installs]

URI = "models:/digits/1"
REFUSED = 24
NEEDED = {
    "ai_edge_litert",
    "backports_strenum",
    "flatbuffers",
    "ml_dtypes",
    "numpy",
    "protobuf",
    "tqdm",
    "typing_extensions",
}
MANIFEST = """\
[project]
name = "digits"
version = "0.1.0"
requires-python = ">=3.11,<3.14"
dependencies = ["mlflow>=3.17,<4", "keras>=3.10", "tensorflow-cpu>=2.20"]

[tool.mlflow-uv]
train = "python train.py"
model-name = "digits"
"""
TRAINING = """\
import keras
import mlflow
import numpy as np

keras.utils.set_random_seed(3)
random = np.random.default_rng(5)
rows = random.normal(size=(200, 6)).astype(np.float32)
labels = (rows[:, 0] > rows[:, 1]).astype(int)
layers = keras.layers
model = keras.Sequential(
    [keras.Input((6,)), layers.Dense(8, activation="relu"), layers.Dense(2, activation="softmax")]
)
model.compile(optimizer="adam", loss="sparse_categorical_crossentropy")
model.fit(rows, labels, epochs=3, verbose=0)
with mlflow.start_run():
    # MLflow 3.17 cannot save an input example by `mlflow.keras`: it writes it into a folder that it has not made yet.
    mlflow.tensorflow.log_model(model, name="digits", input_example=rows[:5])
"""
EXPORTED = """
models = [m for m in client.search_logged_models(['0', '1', '2']) if m.tags.get('mlflow-uv.exported-from')]
print([str(m.status) for m in models], [n.name for n in client.search_registered_models()])
"""


@pytest.fixture(scope="module")
def network(tmp_path_factory: pytest.TempPathFactory) -> Consumer:
    """A released network, with an environment of two gigabytes."""
    place = tmp_path_factory.mktemp("network")
    source = place / "source"
    source.mkdir()
    (source / "pyproject.toml").write_text(MANIFEST)
    (source / "train.py").write_text(TRAINING)
    subprocess.run((Path(sys.executable).parent / "uv", "lock", "--quiet"), cwd=source, check=True)
    consumer = make_consumer(place / "digits", place / "home", source, engine="none")
    released = consumer.run("release", "--engine", "none", "--deadline", "900")  # TensorFlow is imported slowly
    assert released.code == 0, released.stderr
    return consumer


@pytest.mark.engine
def test_a_network_is_exported_registered_audited_and_answers_at_the_edge(network: Consumer, tmp_path: Path) -> None:
    """
    Within the budget, also where its label changes. A second run finds the model; another format is refused with this.

    The bundle checks itself in an image with ai-edge-litert and what that needs; one with other answers does not.
    """
    bundle = tmp_path / "edge é"
    flags = (URI, "--export-format", "tflite", "--register", "digits-tflite", "--sample-rows", "200")

    other = network.run("export-model", URI)
    exported = network.run("export-model", *flags, "--bundle", str(bundle))
    again = network.run("export-model", *flags)
    audited = network.run("audit", URI)
    python, packages = runtime_python(network, "ai_edge_litert")
    (first, *_) = json.loads((bundle / "requests.json").read_text())
    with edge_image(python, bundle, tmp_path / "image") as image:
        checked = scored(image, "--check")
        code, answer = scored(image, given=json.dumps(first["request"]))
        refused = scored(image, given=json.dumps({"inputs": [[float("nan")] * 6]}))
    signature = json.loads((bundle / "signature.json").read_text())
    signature["inputs"][0]["shape"] = [5]
    (bundle / "signature.json").write_text(json.dumps(signature))
    with edge_image(python, bundle, tmp_path / "changed") as image:
        changed = scored(image, "--check")

    assert (REFUSED, True) == (other.code, "--export-format tflite" in other.stderr)
    assert (0, "models:/digits-tflite/1", 0) == (
        exported.code, exported.outputs.get("exported-uri"), exported.outputs["flips"],
    ), exported.stderr  # fmt: skip
    assert exported.outputs["compared-rows"] > 200
    # Requests with NaN and infinity, for which TensorFlow and TensorFlow Lite give different results.
    assert ("parity-beyond-types" in exported.rules, "is missing or infinite" in refused[1]) == (True, True), refused
    assert 0 < exported.outputs["difference"] < 1e-5
    assert (0, "models:/digits-tflite/1") == (again.code, again.outputs["exported-uri"]), again.stderr
    assert "['READY'] ['digits', 'digits-tflite']" == network.ask_mlflow(EXPORTED).strip()
    assert "exports" in audited.outputs["holds"]
    assert packages <= NEEDED
    assert (0, "all equal\n") == checked
    assert (0, len(first["response"]["prediction"])) == (code, len(json.loads(answer)["predictions"]["prediction"]))
    assert (1, "signature.json is not the file that was exported\n") == changed


def test_a_budget_that_the_network_exceeds_logs_nothing(network: Consumer, tmp_path: Path) -> None:
    """
    Neither a model nor a bundle.
    """
    before = network.ask_mlflow(EXPORTED)
    flags = (URI, "--export-format", "tflite", "--bundle", str(tmp_path / "edge"), "--sample-rows", "50")

    exceeded = network.run("export-model", *flags, "--parity-tolerance", "1e-12")

    assert (1, True, "") == (
        exceeded.code, "parity-exceeded" in exceeded.rules, exceeded.outputs["exported-uri"],
    ), exceeded.stderr  # fmt: skip
    assert (before, False) == (network.ask_mlflow(EXPORTED), (tmp_path / "edge").exists())
