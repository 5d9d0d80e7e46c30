"""Turns a uv.lock into a served, tested MLflow model."""

import sys

__version__ = "0.1.0"

if sys.platform == "win32":  # before anything imports what only a Unix has
    sys.stderr.write("mlflow-uv: Windows is not supported. Fix: run it in WSL, or in a job on ubuntu-latest\n")
    raise SystemExit(5)  # as ToolMissing ends
