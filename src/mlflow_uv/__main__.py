"""`python -I -m mlflow_uv`: the command line."""

from .surfaces.cli import main

if __name__ == "__main__":
    raise SystemExit(main())
