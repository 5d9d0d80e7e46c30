"""A released version is exported to ONNX by the command: its chain, its bundle, what is refused, and interruptions."""

import json
import os
import re
import shutil
import signal
import subprocess
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest

from tests.stores import mlflow_server
from tests.waiting import CEILING_S, happens

from .consumer import Consumer
from .edge_bundles import edge_image, runtime_python, scored
from .sample_project import SampleProject, error

URI = "models:/wine/1"
REFUSED = 24
NEEDED = {"flatbuffers", "numpy", "onnxruntime", "packaging", "protobuf"}
EXPORTED = """
models = [m for m in client.search_logged_models(['0', '1', '2']) if m.tags.get('mlflow-uv.exported-from')]
runs = [r for r in client.search_runs(['0', '1', '2']) if r.data.tags.get('mlflow-uv.exported-from')]
names = [n.name for n in client.search_registered_models()]
print([str(m.status) for m in models], [r.info.status for r in runs], names)
"""


def test_a_version_is_exported_registered_and_audited(consumer: Consumer, tmp_path: Path) -> None:
    """
    Its chain has the exported model, and the bundle answers the recorded requests with onnxruntime and numpy alone.
    """
    bundle = tmp_path / "edge é"
    flags = (URI, "--register", "wine-onnx", "--bundle", str(bundle), "--sample-rows", "200")

    exported = consumer.run("export-model", *flags)
    audited = consumer.run("audit", URI)

    assert (0, "models:/wine-onnx/1", 0) == (
        exported.code, exported.outputs.get("exported-uri"), exported.outputs["flips"],
    ), exported.stderr  # fmt: skip
    assert exported.outputs["compared-rows"] > 400
    assert 0 < exported.outputs["difference"] < 1e-4
    assert "exports" in audited.outputs["holds"]
    python, packages = runtime_python(consumer, "onnxruntime")
    checked = subprocess.run(
        (python, "-I", bundle / "score.py", "--check"), capture_output=True, text=True, check=False
    )
    assert (0, "all equal\n", True) == (checked.returncode, checked.stdout, packages <= NEEDED), checked.stderr


def test_a_model_of_user_code_is_refused(sample: SampleProject) -> None:
    """
    Before an environment is made for it; nothing is logged.
    """
    refused = sample.run("export-model", URI, "--register", "wine-onnx")

    code, kind, sentence, fix = error(refused)
    assert (REFUSED, "NotConvertible") == (code, kind)
    assert "wine version 1 cannot be converted: `mlflow.pyfunc.model`: it is not a model of scikit-learn" in sentence
    assert "mlflow.sklearn" in fix
    assert "[] [] ['wine']" == sample.consumer.ask_mlflow(EXPORTED).strip()


@pytest.mark.extended
@pytest.mark.engine
def test_a_bundle_answers_in_an_image_without_anything_else(consumer: Consumer, tmp_path: Path) -> None:
    """
    A Python, onnxruntime and what that needs, without a network; a bundle whose answers were changed is refused there.
    """
    bundle = tmp_path / "edge"
    exported = consumer.run("export-model", URI, "--bundle", str(bundle))
    python, packages = runtime_python(consumer, "onnxruntime")
    (first, *_) = json.loads((bundle / "requests.json").read_text())
    with edge_image(python, bundle, tmp_path / "image") as image:
        checked = scored(image, "--check")
        code, answer = scored(image, given=json.dumps(first["request"]))
    text = (bundle / "requests.json").read_text()
    (bundle / "requests.json").write_text(text.replace('"label"', '"lable"', 1))
    with edge_image(python, bundle, tmp_path / "changed") as image:
        changed = scored(image, "--check")

    assert (0, True) == (exported.code, packages <= NEEDED), exported.stderr
    assert (0, "all equal\n") == checked
    assert (0, first["response"]["label"]) == (code, json.loads(answer)["predictions"]["label"])
    assert (1, "requests.json is not the file that was exported\n") == changed


@pytest.mark.extended
def test_two_machines_that_export_at_once_register_one_version(consumer: Consumer, tmp_path: Path) -> None:
    """
    With homes of their own on one tracking server: one model, one version, one record, and a chain that holds.

    A run after them finds the same.
    """
    python = min((consumer.home / "cache" / "environments").glob("wine-*/bin/python"))
    machines = [consumer, replace(consumer, home=tmp_path / "other home")]
    with mlflow_server(python, tmp_path / "server") as uri:
        on = {"MLFLOW_TRACKING_URI": uri}
        released = consumer.run("release", "--engine", "none", "--model-name", "shared", variables=on)
        flags = ("models:/shared/1", "--register", "shared-onnx", "--sample-rows", "100")
        with ThreadPoolExecutor() as threads:
            running = [threads.submit(machine.run, "export-model", *flags, variables=on) for machine in machines]
            first, second = (export.result() for export in running)
        again = machines[1].run("export-model", *flags, variables=on)
        audits = [machine.run("audit", "models:/shared/1", variables=on) for machine in machines]
        asked = f"import mlflow; mlflow.set_tracking_uri({uri!r}); client = MlflowClient()\n{EXPORTED}"
        statuses = consumer.ask_mlflow(asked + "print(len(client.search_model_versions(\"name = 'shared-onnx'\")))")

    assert [0, 0, 0, 0] == [result.code for result in (released, first, second, again)], (first.stderr, second.stderr)
    assert {"models:/shared-onnx/1"} == {result.outputs["exported-uri"] for result in (first, second, again)}
    assert 1 == len({result.outputs["exported-sha256"] for result in (first, second, again)})
    assert all("exports" in audit.outputs["holds"] for audit in audits)
    listed, versions = statuses.splitlines()
    duplicate = "['READY'] ['FINISHED', 'KILLED']" in listed or "['READY'] ['KILLED', 'FINISHED']" in listed
    notices = [result for result in (first, second) if "export-at-once" in result.rules]
    assert ("1", int(duplicate)) == (versions, len(notices))
    assert duplicate or "['READY'] ['FINISHED']" in listed


@pytest.mark.extended
def test_a_second_run_finds_the_model_and_a_changed_one_breaks_the_chain(consumer: Consumer) -> None:
    """
    The same version gives the same file; `audit` computes its digest again; another export replaces the broken one.
    """
    first = consumer.run("export-model", URI)
    again = consumer.run("export-model", URI, "--register", "wine-onnx")
    model_id = first.outputs["exported-uri"].removeprefix("models:/")
    (mlmodel,) = consumer.store.glob(f"artifacts/*/models/{model_id}/artifacts/MLmodel")
    listed = consumer.ask_mlflow(EXPORTED).strip()
    pins = mlmodel.with_name("requirements.txt").read_text().split()
    mlmodel.write_text(mlmodel.read_text() + "\nchanged: true\n")

    audited = consumer.run("audit", URI)

    assert (0, 0, "models:/wine-onnx/1") == (first.code, again.code, again.outputs["exported-uri"]), again.stderr
    assert "['READY'] ['FINISHED'] ['wine', 'wine-onnx']" == listed
    assert all("==" in pin for pin in pins)
    assert {"mlflow", "onnxruntime", "pandas", "pyyaml", "protobuf"} <= {pin.partition("==")[0] for pin in pins}
    assert (1, ["exports"]) == (audited.code, audited.outputs["broken"])


@pytest.mark.extended
def test_two_exports_at_once_log_one_model(consumer: Consumer, tmp_path: Path) -> None:
    """
    With one cache, in which neither finds an environment; both bundles are complete, and the chain holds.
    """
    shutil.rmtree(consumer.home / "cache" / "serving", ignore_errors=True)
    bundles = [tmp_path / name for name in ("one", "two")]
    running = [
        subprocess.Popen(
            consumer.argv("export-model", URI, "--register", "wine-onnx", "--bundle", str(bundle)),
            cwd=consumer.folder,
            env=consumer.variables,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for bundle in bundles
    ]

    ended = [process.communicate(timeout=2 * CEILING_S) for process in running]
    audited = consumer.run("audit", URI)

    assert [0, 0] == [process.returncode for process in running], ended
    assert 1 == sum("waiting for another export of wine version 1" in stderr for _, stderr in ended)
    assert ["models:/wine-onnx/1"] * 2 == [json.loads(stdout)["outputs"]["exported-uri"] for stdout, _ in ended]
    assert "['READY'] ['FINISHED'] ['wine', 'wine-onnx']" == consumer.ask_mlflow(EXPORTED).strip()
    assert "exports" in audited.outputs["holds"]
    assert 1 == len({(bundle / "SHA256SUMS").read_text() for bundle in bundles})


@pytest.mark.extended
def test_a_budget_that_is_exceeded_logs_nothing(consumer: Consumer, tmp_path: Path) -> None:
    """
    Neither a model nor a bundle; a dry run logs nothing of one that is kept. The printed tolerance is enough.
    """
    bundle = tmp_path / "edge"
    flags = (URI, "--register", "wine-onnx", "--bundle", str(bundle))

    exceeded = consumer.run("export-model", *flags, "--parity-tolerance", "1e-12")
    dry = consumer.run("export-model", *flags, "--dry-run")
    advised = re.search(r"--parity-tolerance \S+", exceeded.stderr)

    assert (1, True, "") == (
        exceeded.code, "parity-exceeded" in exceeded.rules, exceeded.outputs["exported-uri"],
    )  # fmt: skip
    assert (0, "", False) == (dry.code, dry.outputs["exported-uri"], bundle.exists())
    assert "[] [] ['wine']" == consumer.ask_mlflow(EXPORTED).strip()
    assert advised is not None, exceeded.stderr
    assert 0 == consumer.run("export-model", URI, "--dry-run", *advised[0].split()).code


@pytest.mark.extended
def test_a_version_whose_chain_is_broken_is_not_exported(consumer: Consumer) -> None:
    """
    A model that was changed in the store.
    """
    mlmodel = consumer.model / "MLmodel"
    mlmodel.write_text(mlmodel.read_text() + "\nchanged: true\n")

    refused = consumer.run("export-model", URI)

    assert 11 == refused.code, refused.stderr
    assert "[] [] ['wine']" == consumer.ask_mlflow(EXPORTED).strip()


@pytest.mark.extended
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL], ids=["terminated", "killed"])
def test_an_interrupted_export_leaves_nothing_and_the_next_completes_it(
    consumer: Consumer, tmp_path: Path, number: signal.Signals
) -> None:
    """
    While the model is converted nothing was written to the store.
    """
    log = tmp_path / "log"
    argv = consumer.argv("export-model", URI, "--bundle", str(tmp_path / "edge"))
    with log.open("w") as stderr:
        running = subprocess.Popen(
            argv, cwd=consumer.folder, env=consumer.variables, stdout=subprocess.DEVNULL, stderr=stderr
        )
        reached = happens(lambda: "convert wine version 1" in log.read_text() or running.poll() is not None)
        os.kill(running.pid, number)
        code = running.wait(CEILING_S)
    left = consumer.ask_mlflow(EXPORTED).strip()

    completed = consumer.run("export-model", URI)

    assert reached
    assert code != 0
    assert ("[] [] ['wine']", False) == (left, (tmp_path / "edge").exists())
    assert 0 == completed.code, completed.stderr
    assert "['READY'] ['FINISHED'] ['wine']" == consumer.ask_mlflow(EXPORTED).strip()


@pytest.mark.extended
def test_a_release_that_runs_again_keeps_the_export(consumer: Consumer) -> None:
    """
    The record of the version names it afterwards, too.
    """
    exported = consumer.run("export-model", URI)
    released = consumer.run("release", "--engine", "none")

    record = json.loads(consumer.record.read_text())
    assert (0, 0) == (exported.code, released.code), released.stderr
    assert ["onnx"] == [model["format"] for model in record["exports"]["models"]]
