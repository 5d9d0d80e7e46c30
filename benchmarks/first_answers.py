"""
Measures what the start of the server takes until its first answer, and what each way to shorten it changes.

    uv run benchmarks/first_answers.py [--rounds 5] [--write]

MLflow's server, this server, and this server with one change each are started in turns, in the environment of
examples/wine, without a container: see start_variant.py. With `--write` the tables go to docs/benchmarks.md.
"""

import argparse
import http.client
import json
import os
import platform
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import page
from first_answers_results import ASKED, STOCK, VARIANTS, Start, medians, section
from race import ROOT, VARIABLES
from scoring import free_port, interpreter, version_in

SERVING = ROOT / "src" / "mlflow_uv" / "serving"
DRIVER = Path(__file__).with_name("start_variant.py")
PATIENCE_S = 120
# The first start compiles what it imports, as images are compiled when they are built.
ENVIRONMENT = {name: value for name, value in VARIABLES.items() if name != "PYTHONDONTWRITEBYTECODE"}
HEADERS = {"Content-Type": "application/json"}
MODEL = """
import sys, mlflow
from mlflow.models import infer_signature
from sklearn.datasets import load_wine
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
wines, cultivars = load_wine(as_frame=True, return_X_y=True)
model = make_pipeline(StandardScaler(), LogisticRegression(max_iter=500)).fit(wines, cultivars)
signature = infer_signature(wines, model.predict(wines))
mlflow.sklearn.save_model(model, sys.argv[1], signature=signature, input_example=wines.head(5),
                          pip_requirements=["mlflow", "scikit-learn", "skops"], serialization_format="skops")
"""


def main() -> None:
    """Measure and print, or write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--write", action="store_true")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        scratch = Path(folder)
        python, model = interpreter(scratch / "environment"), scratch / "model"
        subprocess.run((python, "-c", MODEL, model), check=True, env=ENVIRONMENT, capture_output=True)
        (model / "mlflow-uv").mkdir()
        (model / "mlflow-uv" / "requirements.txt").touch()  # as in an image
        taken = measured(python, model, scratch, options.rounds)
        about = {
            "mlflow": version_in(python, "mlflow"),
            "python": platform.python_version(),
            "processors": os.cpu_count(),
            "load": os.getloadavg()[0],
            "rounds": options.rounds,
        }
    text = section({name: medians(starts) for name, starts in taken.items()}, about)
    if options.write:
        page.write("first_answers.py", text)
    else:
        print(text)


def measured(python: Path, model: Path, scratch: Path, rounds: int) -> Mapping[str, Sequence[Start]]:
    """Starts of each variant in turns; the first round compiles modules and does not count."""
    taken: dict[str, list[Start]] = {name: [] for name in (STOCK, *VARIANTS)}
    body = json.dumps(json.loads((model / "serving_input_example.json").read_text())).encode()
    for number in range(rounds + 1):
        for name, starts in taken.items():
            started = one_start(name, python, model, scratch, body)
            if number:
                starts.append(started)
    return taken


def one_start(name: str, python: Path, model: Path, scratch: Path, body: bytes) -> Start:
    """Start a server, ask it until it answers and a few times more, and stop it."""
    port, phases = free_port(), scratch / "phases.json"
    phases.unlink(missing_ok=True)
    variables = {**ENVIRONMENT, "HOST": "127.0.0.1", "PORT": str(port), "MLFLOW_UV_MODEL": str(model)}
    argv: tuple[object, ...]
    if name == STOCK:
        argv = (python, "-m", "uvicorn", "--host", "127.0.0.1", "--port", port, "mlflow.pyfunc.scoring_server.app:app")
        variables["__pyfunc_model_path__"] = str(model)
    else:
        argv = (python, "-I", DRIVER, VARIANTS[name].change, SERVING, model, phases)
        variables |= VARIANTS[name].variables
    log = scratch / "log"
    with log.open("wb") as output:
        started = time.perf_counter()
        process = subprocess.Popen([*map(str, argv)], env=variables, stdout=output, stderr=output, cwd=scratch)
        try:
            while not answered(port, body):
                if process.poll() is not None or time.perf_counter() - started > PATIENCE_S:
                    sys.exit(f"{name} does not answer:\n{log.read_text()[-2000:]}")
                time.sleep(0.005)
            elapsed_s, used_s = time.perf_counter() - started, processor_s(process.pid)
            for _ in range(ASKED - 1):
                answered(port, body)
            resident = resident_bytes(process.pid)
        finally:
            process.terminate()
            process.wait()
    noted: dict[str, Any] = json.loads(phases.read_text()) if phases.exists() else {}
    return Start(elapsed_s=elapsed_s, used_s=used_s, resident=resident, **noted)


def answered(port: int, body: bytes) -> bool:
    """Whether the server answers the request; an answer that is no prediction ends the benchmark."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=PATIENCE_S)
    try:
        connection.request("POST", "/invocations", body, HEADERS)
        response = connection.getresponse()
        text = response.read()
    except OSError:
        return False
    finally:
        connection.close()
    if response.status != http.client.OK:
        sys.exit(f"status {response.status}: {text[:300]!r}")
    return True


def processor_s(pid: int) -> float:
    """Seconds of processor time of a process."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def resident_bytes(pid: int) -> int:
    """Bytes of memory of a process, with the pages of libraries that it has read."""
    lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("Rss:"))


if __name__ == "__main__":
    main()
