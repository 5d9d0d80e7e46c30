"""Starts the command line: `python -I -m mlflow_uv STEP`."""

from .surfaces.cli import main

if __name__ == "__main__":
    raise SystemExit(main())
