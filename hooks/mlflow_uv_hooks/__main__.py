"""Starts a hook, as pre-commit and prek do: `python -I -m mlflow_uv_hooks STEP [--flag VALUE …] [FILE …]`."""

from mlflow_uv_hooks.hook import main

if __name__ == "__main__":
    raise SystemExit(main())
