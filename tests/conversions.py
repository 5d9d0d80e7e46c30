"""An environment with the converters of this program's lock, and models that are converted in it."""

import json
import os
import subprocess
import sys
import textwrap
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from mlflow_uv.core.conversion.parity import ParityBudget, compare_outputs, parity_findings
from mlflow_uv.payloads.messages.conversion import PortableSignature
from mlflow_uv.payloads.messages.reader import read
from tests.parity import BEYOND, REFUSED, WITHIN
from tests.sharing import SharedFolder
from tests.waiting import CEILING_S

ROOT = Path(__file__).resolve().parents[1]
PAYLOADS = ROOT / "src" / "mlflow_uv" / "payloads"
EDGE = ROOT / "src" / "mlflow_uv" / "edge"
MODELS = ("lightgbm", "mlflow==3.17.2", "xgboost-cpu")
NETWORKS = ("keras", "mlflow==3.17.2")
BUDGET = ParityBudget(tolerance=1e-4, max_flips=0, max_beyond=0.0)
# Makes the payloads and the edge programs importable, as `payloads` and `edge`.
PRELUDE = textwrap.dedent(f"""
    import importlib, importlib.util, json, logging, sys, warnings
    warnings.simplefilter("ignore")
    logging.disable(logging.WARNING)
    def package(name, folder):
        spec = importlib.util.spec_from_file_location(
            name, folder + "/__init__.py", submodule_search_locations=[folder]
        )
        sys.modules[name] = module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
    package("payloads", {str(PAYLOADS)!r})
    package("edge", {str(EDGE)!r})
""")


def conversion_python(shared: SharedFolder) -> Path:
    """An interpreter with the converters, MLflow, XGBoost and LightGBM."""
    return _python(shared, "conversion", "onnx-conversion", MODELS)


def network_python(shared: SharedFolder) -> Path:
    """An interpreter with TensorFlow and its converter, the runtime of TFLite, MLflow and Keras: two gigabytes."""
    return _python(shared, "networks", "tflite-conversion", NETWORKS)


def _python(shared: SharedFolder, name: str, group: str, more: tuple[str, ...]) -> Path:
    def make(folder: Path) -> None:
        uv = Path(sys.executable).parent / "uv"
        selected = ("--frozen", "--only-group", group, "--no-hashes", "--quiet")
        exported = subprocess.run((uv, "export", *selected), cwd=ROOT, check=True, capture_output=True, text=True)
        listed = folder.with_suffix(".txt")
        listed.write_text(exported.stdout + "".join(f"{line}\n" for line in more))
        subprocess.run((uv, "venv", "--quiet", "--python", sys.executable, folder), check=True, cwd=folder.parent)
        install = (uv, "pip", "install", "--quiet", "--python", folder / "bin" / "python", "-r", listed)
        subprocess.run(install, check=True, cwd=folder.parent)

    return shared.make_once(name, make) / "bin" / "python"


def outcome(content: Mapping[str, Any]) -> dict[str, Any]:
    """The result, its numbers, and the reason of a refusal."""
    if refusal := content.get("refusal"):
        reason = f"{refusal['operator']}: {refusal['reason']}"
        return {"result": REFUSED, "reason": reason, **dict.fromkeys(("rows", "difference", "beyond", "flips"), "")}
    signature = read(PortableSignature, content["signature"], what="the signature")
    parity = compare_outputs(content["original"], content["converted"], signature, BUDGET.tolerance)
    exceeded = any(finding.severity.value == "error" for finding in parity_findings(parity, BUDGET, "it", "change it"))
    return {
        "result": BEYOND if exceeded else WITHIN,
        "reason": "",
        "rows": parity.rows,
        "difference": f"{parity.absolute:.1e}",
        "beyond": f"{max(output.share for output in parity.outputs):.1%}",
        "flips": parity.flips,
    }


def run_in(python: Path, program: str, *arguments: str) -> Any:
    """What a program prints as JSON on its last line."""
    done = subprocess.run(
        (python, "-I", "-c", PRELUDE + textwrap.dedent(program), *arguments),
        env={**os.environ, "MLFLOW_DISABLE_TELEMETRY": "true", "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        timeout=CEILING_S,
        check=False,
        cwd="/",
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return json.loads(done.stdout.splitlines()[-1])
