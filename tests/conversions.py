"""An environment with the converters of this program's lock, and models that are converted in it."""

import json
import os
import subprocess
import sys
import textwrap
from pathlib import Path
from typing import Any

from tests.sharing import SharedFolder
from tests.waiting import CEILING_S

ROOT = Path(__file__).resolve().parents[1]
PAYLOADS = ROOT / "src" / "mlflow_uv" / "payloads"
EDGE = ROOT / "src" / "mlflow_uv" / "edge"
MODELS = ("lightgbm", "mlflow==3.17.2", "xgboost-cpu")
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

    def make(folder: Path) -> None:
        uv = Path(sys.executable).parent / "uv"
        group = ("--frozen", "--only-group", "onnx-conversion", "--no-hashes", "--quiet")
        exported = subprocess.run((uv, "export", *group), cwd=ROOT, check=True, capture_output=True, text=True)
        listed = folder.with_suffix(".txt")
        listed.write_text(exported.stdout + "".join(f"{line}\n" for line in MODELS))
        subprocess.run((uv, "venv", "--quiet", "--python", sys.executable, folder), check=True, cwd=folder.parent)
        install = (uv, "pip", "install", "--quiet", "--python", folder / "bin" / "python", "-r", listed)
        subprocess.run(install, check=True, cwd=folder.parent)

    return shared.make_once("conversion", make) / "bin" / "python"


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
