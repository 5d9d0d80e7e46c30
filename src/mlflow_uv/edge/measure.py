"""Answers a list of requests with a bundle's scorer, and measures it: python measure.py FOLDER REQUESTS OUT REPEATS."""

import importlib.util
import json
import resource
import statistics
import sys
import time
from pathlib import Path
from typing import Any


def main(folder: Path, requests: Path, out: Path, repeats: int) -> None:
    """Write `{"answers": [{"outputs"} or {"refused"}], "row_s", "memory"}`."""
    sys.dont_write_bytecode = True  # nothing is added to the bundle
    specification = importlib.util.spec_from_file_location("score", folder / "score.py")
    if specification is None or specification.loader is None:
        raise ImportError(f"{folder} has no scorer")
    module = importlib.util.module_from_spec(specification)
    specification.loader.exec_module(module)
    scorer = module.Scorer(folder)
    answers: list[dict[str, Any]] = []
    row: dict[str, Any] = {}
    for request in json.loads(requests.read_text(encoding="utf-8")):
        try:
            answers.append({"outputs": scorer.outputs(request)})
        except Exception as error:  # noqa: BLE001  # onnxruntime raises anything
            answers.append({"refused": f"{type(error).__name__}: {error}"[:300]})
            continue
        row = row or first_row(request)
    seconds = []
    for _ in range(repeats if row else 0):
        begun = time.perf_counter()
        scorer.outputs(row)
        seconds.append(time.perf_counter() - begun)
    measured = {"answers": answers, "row_s": statistics.median(seconds) if seconds else 0.0, "memory": peak_memory()}
    out.write_text(json.dumps(measured), encoding="utf-8")


def peak_memory() -> int:
    """The largest resident memory of this process in bytes; what `getrusage` reports may be that of its parent."""
    status = Path("/proc/self/status")
    if not status.is_file():
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss  # macOS: bytes
    line = next(line for line in status.read_text(encoding="utf-8").splitlines() if line.startswith("VmHWM:"))
    return int(line.split()[1]) * 1024


def first_row(request: "dict[str, Any]") -> "dict[str, Any]":
    """The request with its first row alone; nothing for one without rows."""
    inputs = request.get("inputs")
    if isinstance(inputs, dict):
        return {"inputs": {name: values[:1] for name, values in inputs.items()}} if all(inputs.values()) else {}
    if "inputs" in request:
        return {"inputs": inputs[:1]} if inputs else {}
    split = request["dataframe_split"]
    return {"dataframe_split": {**split, "data": split["data"][:1]}} if split["data"] else {}


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]), Path(sys.argv[3]), int(sys.argv[4]))
