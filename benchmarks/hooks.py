"""
What does the hook cost on top of what a user would run instead?

    uv run benchmarks/hooks.py

Both sides in one run, taking turns, on the wine example; medians of wall-clock milliseconds.
"""

import os
import statistics
import subprocess
import sys
import time
from pathlib import Path

ROUNDS = 20
ROOT = Path(__file__).resolve().parents[1]
BIN = Path(sys.executable).parent
PROJECT = ROOT / "examples" / "wine"
SIDES = {
    "uv lock --check": (str(BIN / "uv"), "lock", "--check"),
    "hook check-lock": (sys.executable, "-I", "-m", "mlflow_uv_hooks", "check-lock", "uv.lock"),
    "uv export": (
        str(BIN / "uv"),
        "export",
        "--frozen",
        "--no-dev",
        "--no-hashes",
        "--quiet",
        "--output-file",
        os.devnull,
    ),
    "mlflow-uv export": (sys.executable, "-I", "-m", "mlflow_uv", "export"),
}


def milliseconds(argv: tuple[str, ...]) -> float:
    """How long one run takes."""
    started = time.perf_counter()
    subprocess.run(argv, cwd=PROJECT, check=True, capture_output=True)
    return (time.perf_counter() - started) * 1000


def main() -> None:
    """Print the table."""
    for argv in SIDES.values():
        milliseconds(argv)
    taken = {name: [] for name in SIDES}
    for _ in range(ROUNDS):
        for name, argv in SIDES.items():
            taken[name].append(milliseconds(argv))
    medians = {name: statistics.median(times) for name, times in taken.items()}
    names = list(SIDES)
    for bare, ours in zip(names[::2], names[1::2], strict=True):
        print(
            f"{bare:<18} {medians[bare]:6.0f} ms   {ours:<18} {medians[ours]:6.0f} ms"
            f"   {medians[ours] / medians[bare]:.1f} times, {medians[ours] - medians[bare]:+.0f} ms"
        )


if __name__ == "__main__":
    main()
