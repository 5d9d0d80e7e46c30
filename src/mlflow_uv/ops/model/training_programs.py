"""Checks that the programs that create the model count as inputs of its training."""

import os
import re
from collections.abc import Iterator
from itertools import product
from pathlib import PurePosixPath

from ...command.errors import BadInput
from .release_key import Key
from .source import ModelSource, ModelSourceKind


def with_program(key: Key, source: ModelSource) -> Key:
    """Return the key. Raises BadInput if a program that creates the model is excluded from the training inputs."""
    folder = key.scope.project.folder
    for name in programs_of(source):
        path = PurePosixPath(os.path.normpath(name))
        if not path.is_absolute() and (folder / path).is_file() and key.scope.without.match(path.as_posix()):
            raise BadInput(
                what=f"`{path}`, which creates the model, is excluded from what training depends on",
                why="changing it would not cause a new training: it matches `not-inputs` or counts as documentation",
                fix=f'add "!/{path}" as the last of `not-inputs` in [tool.mlflow-uv]',
            )
    return key


def programs_of(source: ModelSource) -> Iterator[str]:
    """Yield the files that a model source may run, by its arguments; some may not exist."""
    text = " ".join(source.words)
    modules = re.findall(r"(?:^|\s)-m\s*([\w.]+)", text)
    match source.kind:
        case ModelSourceKind.TRAIN:
            yield from (source.word, *re.findall(r"[\w./-]+\.(?:py|ipynb|sh|R)(?![\w.])", text))
        case ModelSourceKind.ENTRY_POINT:
            yield "MLproject"
        case ModelSourceKind.FUNCTION:
            modules = [source.word.partition(":")[0]]
        case _:
            return
    for place, module in product(("", "src/"), modules):
        base = place + module.replace(".", "/")
        yield from (f"{base}.py", f"{base}/__init__.py", f"{base}/__main__.py")
