"""`python -I -m mlflow_uv_hooks STEP [--flag VALUE …] [FILE …]`: what pre-commit and prek start."""

from mlflow_uv_hooks.hook import main

if __name__ == "__main__":
    raise SystemExit(main())
