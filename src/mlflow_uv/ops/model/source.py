"""In which way does a project make its model?"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum

from ...command.errors import BadInput
from ...command.wording import option
from ...tools.project.files import Project


class ModelSourceKind(Enum):
    """Every way there is; the values begin the part of the release key that says how."""

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
_PARAMETER = re.compile(r"[A-Za-z_][\w.-]*=.*", re.DOTALL)


@dataclass(frozen=True, kw_only=True, slots=True)
class ModelSource:
    """How the model is made, and the words that say what: a command line, or one name and perhaps its parameters."""

    kind: ModelSourceKind
    words: tuple[str, ...]

    @property
    def word(self) -> str:
        """The one name of every way but a command line."""
        return self.words[0]

    @property
    def adopts(self) -> bool:
        """Whether somebody else made the model already, so that nothing is trained."""
        return self.kind in ADOPTING

    @property
    def made_by(self) -> tuple[str, ...]:
        """The part of the release key that says how."""
        return (self.kind.value, *self.words)


def with_parameters(entry_point: str | None, parameters: tuple[str, ...]) -> tuple[str, ...] | None:
    """An entry point and its parameters as the words of a way; None without one. Raises BadInput."""
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


def way_of(given: Mapping[ModelSourceKind, object], *, project: Project) -> ModelSource:
    """The way that was chosen, of what was given for each. Raises BadInput unless it is exactly one."""
    chosen = [kind for kind in ModelSourceKind if given.get(kind)]
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
    value = given[chosen[0]]
    words = value if isinstance(value, tuple) else (value,)
    return ModelSource(kind=chosen[0], words=tuple(map(str, words)))
