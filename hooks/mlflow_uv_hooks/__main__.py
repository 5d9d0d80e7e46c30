"""Starts a hook, as pre-commit and prek do: `python -I -m mlflow_uv_hooks HOOK [--flag VALUE …] [FILE …]`."""

import gc
import os
import sys


def _run(words: list[str]) -> int:
    # Each hook first imports only what shows that there is no finding, and the step if there may be one.
    if words and words[0].startswith("lint-"):
        from mlflow_uv_hooks.quick import is_clean  # noqa: PLC0415

        if is_clean(words[0], words[1:]):
            return 0
    if words and words[0] == "check-lock":
        from mlflow_uv_hooks.quick_lock import are_fresh  # noqa: PLC0415

        if are_fresh(words[1:], os.environ):
            return 0
    from mlflow_uv_hooks.hook import main  # noqa: PLC0415

    return main()


if __name__ == "__main__":
    gc.disable()  # until everything is imported: see mlflow_uv/surfaces/collection.py
    try:
        code = _run(sys.argv[1:])
    except KeyboardInterrupt:
        code = 130
    raise SystemExit(code)
