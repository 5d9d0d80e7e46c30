"""Measures what signing and verifying a version costs. `--write` puts the result into docs/benchmarks.md."""

import json
import os
import platform
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import page
from race import PYTHON, UV, VARIABLES, WINE, version

from mlflow_uv.serving.model.signed_files import SignedModelTrust, require_signed

ROUNDS = 3
VERSION = "models:/wine/1"


class Bench:
    """A project with a released version, and a key."""

    def __init__(self, scratch: Path) -> None:
        """Release the wine example into a store of its own, without an image."""
        self.scratch, self.folder = scratch, scratch / "wine"
        shutil.copytree(WINE, self.folder, ignore=shutil.ignore_patterns(".venv", "mlruns", "__pycache__"))
        author = ("-c", "user.name=bench", "-c", "user.email=bench@example.com")
        for words in (("init", "--quiet"), ("add", "--all"), (*author, "commit", "--quiet", "--message", "wine")):
            subprocess.run(("git", *words), cwd=self.folder, check=True)
        self.key, self.public = scratch / "release.pem", scratch / "release.pub"
        made = ("openssl", "ecparam", "-name", "prime256v1", "-genkey", "-noout", "-out", str(self.key))
        subprocess.run(made, check=True, capture_output=True)
        shown = ("openssl", "ec", "-in", str(self.key), "-pubout", "-out", str(self.public))
        subprocess.run(shown, check=True, capture_output=True)
        self.variables = {**VARIABLES, "MLFLOW_UV_HOME": str(scratch / "home")}
        self.step("release", "--engine", "none")

    def step(self, *argv: str, **variables: str) -> None:
        """Run a step."""
        environment = {**self.variables, **variables}
        subprocess.run((*PYTHON, "mlflow_uv", *argv), cwd=self.folder, env=environment, check=True, capture_output=True)

    def only(self, pattern: str) -> Path:
        """The only file or folder of the state with this pattern."""
        (found,) = (self.scratch / "home").rglob(pattern)
        return found


def measured(run: Callable[[], None], rounds: int) -> tuple[float, float]:
    """The median seconds by a clock and of a processor."""
    clock, processor = [], []
    for _ in range(rounds):
        before, started = _processor(), time.perf_counter()
        run()
        clock.append(time.perf_counter() - started)
        processor.append(_processor() - before)
    return statistics.median(clock), statistics.median(processor)


def _processor() -> float:
    spent = [resource.getrusage(who) for who in (resource.RUSAGE_CHILDREN, resource.RUSAGE_SELF)]
    return sum(one.ru_utime + one.ru_stime for one in spent)


def measure(scratch: Path) -> str:
    """Our part of docs/benchmarks.md."""
    bench = Bench(scratch)
    trust = {"MLFLOW_UV_TRUST": f'keys = ["""{bench.public.read_text()}"""]'}
    sign = ("sign", VERSION, "--signing-key", str(bench.key))
    times = {"`audit` without trust settings": measured(lambda: bench.step("audit", VERSION), ROUNDS)}
    times["`sign` with the environment of its packages made first"] = measured(lambda: bench.step(*sign), 1)
    times["`sign` of a version that is signed"] = measured(lambda: bench.step(*sign), ROUNDS)
    times["`audit` with one trusted key"] = measured(lambda: bench.step("audit", VERSION, **trust), ROUNDS)
    verify = ("verify-chain", VERSION, "--public-key", str(bench.public))
    times["`verify-chain`"] = measured(lambda: bench.step(*verify), ROUNDS)
    bundles, model_signature = bench.only("signature/attestations.jsonl"), bench.only("signature/model.sig")
    model = next(path.parent for path in (scratch / "home").rglob("artifacts/MLmodel"))
    given = SignedModelTrust(keys=str(bench.public), attestations=str(bundles), name="", version="")
    files = [path for path in model.rglob("*") if path.is_file()]
    server = (
        f"a server that verifies its model, {sum(path.stat().st_size for path in files):,} bytes, before it loads it"
    )
    times[server] = measured(lambda: print(require_signed(model, given), file=sys.stderr), ROUNDS)
    lines = [f"| {name} | {clock:.2f} s | {spent:.2f} s |" for name, (clock, spent) in times.items()]
    environment = next(path for path in (scratch / "home").rglob("site-packages/sigstore")).parents[3]
    kinds = [json.loads(line)["dsseEnvelope"]["payload"] for line in bundles.read_text().splitlines()]
    sizes = {
        f"the {len(kinds)} bundles of a version": bundles.stat().st_size,
        "of these the largest one": max(len(line) for line in bundles.read_text().splitlines()),
        "the signature of the model's files": model_signature.stat().st_size,
        "the environment of `sigstore` and `model-signing`, once": sum(
            path.stat().st_size for path in environment.rglob("*") if path.is_file() and not path.is_symlink()
        ),
    }
    bytes_of = "\n".join(f"| {name} | {size:,} bytes |" for name, size in sizes.items())
    machine = f"{os.cpu_count()} cores, Python {platform.python_version()}, {version(UV)}"
    table = "\n".join(lines)
    return (
        "## Signing\n\n"
        "The wine example with its lock, released into a store in a SQLite file, without a pushed image, and signed\n"
        f"with an ECDSA key on P-256. Medians of {ROUNDS} runs, except for the first `sign`, on {machine}.\n\n"
        f"| what | by a clock | of a processor |\n|---|---|---|\n{table}\n\n| what | size |\n|---|---|\n{bytes_of}\n"
    )


def main(arguments: list[str]) -> None:
    """Measure, and print or write the section."""
    with tempfile.TemporaryDirectory(prefix="signing-") as scratch:
        section = measure(Path(scratch))
    if "--write" in arguments:
        page.write("signing.py", section)
    else:
        print(section)


if __name__ == "__main__":
    main(sys.argv[1:])
