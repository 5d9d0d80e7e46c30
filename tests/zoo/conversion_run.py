"""Converts a saved model, asks it and the original the same requests, and returns what was seen."""

import json
import subprocess
import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any


@dataclass(frozen=True, kw_only=True)
class ConversionRun:
    """
    The folder of a saved model, a part of its data and all of it as requests, and what converts and asks.

    `programs` are modules of the payloads by their names, `request` makes that of a conversion, and `logged` is where
    the converted model is in what was saved.
    """

    folder: Path
    example: str
    recorded: str
    request: Any
    programs: Any
    edge: Path
    logged: str
    runtime: str

    def seen(self) -> "dict[str, Any]":
        """A refusal, or the signature and the answers of both models to the same requests."""
        original, converted, bundle = (self.folder / name for name in ("original", "converted", "bundle"))
        converted.mkdir()
        bundle.mkdir()
        request = self.request(
            model=str(original), destination=str(converted), requests=(self.example,), sample_rows=600, packages=()
        )
        result = self.programs["asdict"](self.programs["converter"].convert(request))
        if result["refusal"]:
            return {"refusal": result["refusal"]}
        listed = [{"name": "recorded request 1", "origin": "recorded", "body": self.recorded}]
        generated = json.loads((converted / "sample.json").read_text())
        listed += [{**item, "body": json.dumps(item["body"])} for item in generated]
        requests, answered = self.folder / "requests.json", self.folder / "original.json"
        requests.write_text(json.dumps(listed))
        measure = self.programs["messages"].MeasureOriginal
        self.programs["measure"].measure(
            measure(model=str(original), requests=str(requests), destination=str(answered), repeats=3)
        )
        answers = json.loads(answered.read_text())
        (self.folder / "rows.json").write_text(json.dumps([item["rows"] for item in answers if "rows" in item]))
        file = converted / "model" / self.logged
        (bundle / file.name).write_bytes(file.read_bytes())
        (bundle / "score.py").write_bytes((self.edge / "score.py").read_bytes())
        (bundle / "signature.json").write_text(json.dumps({**result["signature"], "tolerance": 1e-4}))
        paths = (bundle, self.folder / "rows.json", self.folder / "out.json", "3")
        argv = [sys.executable, "-I", str(self.edge / "measure.py"), *map(str, paths)]
        done = subprocess.run(argv, capture_output=True, text=True, check=False)
        if done.returncode != 0:
            return {"refusal": {"operator": self.runtime, "reason": done.stderr.strip().rpartition("\n")[2]}}
        scored = json.loads((self.folder / "out.json").read_text())["answers"]
        origins = [item["origin"] for item in generated]
        return {"signature": result["signature"], "original": answers, "converted": scored, "origins": origins}


def write_seen(names: "list[str]", seen: "Callable[[str, Path], dict[str, Any]]", out: Path) -> None:
    """Write what is seen of each model, in a folder of its own."""
    found = {}
    for name in names:
        with tempfile.TemporaryDirectory() as folder:
            found[name] = seen(name, Path(folder))
    out.write_text(json.dumps(found))
