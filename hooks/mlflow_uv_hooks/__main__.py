"""Starts a hook, as pre-commit and prek do: `python -I -m mlflow_uv_hooks HOOK [--flag VALUE …] [FILE …]`."""

import sys


def _run(words: list[str]) -> int:
    if words and words[0].startswith("lint-"):
        from mlflow_uv_hooks.quick import is_clean  # noqa: PLC0415  # the other hooks do not need it

        if is_clean(words[0], words[1:]):
            return 0
    from mlflow_uv_hooks.hook import main  # noqa: PLC0415  # imports what a hook without findings does not need

    return main()


if __name__ == "__main__":
    raise SystemExit(_run(sys.argv[1:]))
