"""
Decides in milliseconds that a rule of `lint` finds nothing in the files of a hook.

It imports the rule alone. Where the rule finds anything, or the hook has flags, the step itself runs and reports.
"""

import os

from mlflow_uv.core.lint.catalog import NAMES, rule_of
from mlflow_uv.core.lint.rule import PREFIX
from mlflow_uv.ops.lint.check import broken_rules, path_below
from mlflow_uv.ops.lint.folder import CheckedFolder


def is_clean(hook: str, words: list[str]) -> bool:
    """Whether the hook of a rule has nothing to report about files that are named by these words."""
    name = hook.removeprefix(PREFIX)
    if name not in NAMES or not hook.startswith(PREFIX):
        return False
    if any(word.startswith("-") for word in words):
        return False
    folder = os.getcwd()  # `pathlib` takes a third of a hook's time
    paths = [path_below(folder, folder, word) for word in words]
    files = CheckedFolder(folder)
    return next(broken_rules((rule_of(name),), paths, files, tracked=paths), None) is None and not files.too_large
