"""Determines the model source of a release: a training, a saved model, a run or a logged model."""

import re
from collections.abc import Mapping
from enum import Enum

from ...command.errors import BadInput
from ...command.lazy_pattern import lazy_pattern
from ...command.wording import option
from ...payloads.messages.lazy_dataclass import lazy_dataclass
from ...tools.project.files import Project


class ModelSourceKind(Enum):
    """The kinds of model source; the value is part of the release key."""

    TRAIN = "train"
    ENTRY_POINT = "entry-point"
    FUNCTION = "function"
    FOLDER = "folder"
    RUN = "from-run"
    MODEL = "from-model"


NAMES: Mapping[ModelSourceKind, str] = {
    kind: "model" if kind is ModelSourceKind.FOLDER else kind.value for kind in ModelSourceKind
}
ADOPTING = frozenset({ModelSourceKind.RUN, ModelSourceKind.MODEL})
_PARAMETER = lazy_pattern(r"[A-Za-z_][\w.-]*=.*", re.DOTALL)


@lazy_dataclass
class ModelSource:
    """The kind of a model source and its arguments: a command line, or a name and optional parameters."""

    kind: ModelSourceKind
    words: tuple[str, ...]

    @property
    def word(self) -> str:
        """The name in every kind but a command line."""
        return self.words[0]

    @property
    def adopts(self) -> bool:
        """Whether the model exists already, so that nothing is trained."""
        return self.kind in ADOPTING

    @property
    def made_by(self) -> tuple[str, ...]:
        """The part of the release key for the model source."""
        return (self.kind.value, *self.words)


def with_parameters(entry_point: str | None, parameters: tuple[str, ...]) -> tuple[str, ...] | None:
    """Return an entry point and its parameters as the words of a model source; None without one. Raises BadInput."""
    if entry_point is None:
        return None
    for text in parameters:
        if not _PARAMETER.fullmatch(text):
            raise BadInput(
                what=f"`{text}` is not a parameter of an entry point",
                why="a parameter is NAME=VALUE, in quotes where the value has spaces",
                fix=option("parameters", "NAME=VALUE"),
            )
    return (entry_point, *parameters)


def source_of(values: Mapping[ModelSourceKind, object], *, project: Project) -> ModelSource:
    """Return the model source that is set in `values`. Raises BadInput unless there is exactly one."""
    chosen = [kind for kind in ModelSourceKind if values.get(kind)]
    names = [f"`{NAMES[kind]}`" for kind in chosen]
    if not chosen:
        raise BadInput(
            what="no model source is configured",
            why=f"`[tool.mlflow-uv]` of {project.name} has none of {', '.join(NAMES.values())}",
            fix='add `train = "python train.py"` to [tool.mlflow-uv] in pyproject.toml',
        )
    if len(chosen) > 1:
        raise BadInput(
            what=f"a release has one model source, and {' and '.join(names)} are given",
            why="each of them is a source of the model",
            fix="keep one of them",
        )
    value = values[chosen[0]]
    words = value if isinstance(value, tuple) else (value,)
    return ModelSource(kind=chosen[0], words=tuple(map(str, words)))
