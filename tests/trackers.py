"""A real `mlflow server` on loopback, with a database and artifacts that go through it."""

import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.contracts.islands import QUIET, SECONDS, free_port, wait_for


@contextmanager
def tracking_server(python: Path, folder: Path) -> Iterator[str]:
    """Start it with an interpreter that has MLflow; its address, while the block runs."""
    port = free_port()
    with (folder / "log").open("w") as log:
        process = subprocess.Popen(
            [
                *(python, "-m", "mlflow", "server", "--host", "127.0.0.1", "--port", str(port), "--workers", "1"),
                *("--backend-store-uri", "sqlite:///mlflow.db", "--artifacts-destination", "kept"),
            ],
            cwd=folder,
            env={**os.environ, **QUIET},
            stdout=log,
            stderr=log,
        )
        try:
            wait_for(f"http://127.0.0.1:{port}/health", process)
            yield f"http://127.0.0.1:{port}"
        finally:
            process.terminate()
            process.wait(SECONDS)
