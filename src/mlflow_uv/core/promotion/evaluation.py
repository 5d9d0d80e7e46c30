"""On which data is a version evaluated, what is measured, and which evaluation is about what the project names?"""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import Annotated

from ...command.errors import BadInput
from ...command.step import Doc, Matching, OneOf, SettingReach

# Tags of the runs of an evaluation.
DATA = "mlflow-uv.evaluation-data"
TARGET = "mlflow-uv.evaluation-target"
MODEL_TYPE = "mlflow-uv.evaluation-model-type"

_FUNCTION = r"[^\W\d]\w*(\.[^\W\d]\w*)*:[^\W\d]\w*(\.[^\W\d]\w*)*"


class ModelType(Enum):
    """What MLflow's default evaluator knows how to measure."""

    CLASSIFIER = "classifier"
    REGRESSOR = "regressor"
    QUESTION_ANSWERING = "question-answering"
    SUMMARIZATION = "text-summarization"
    TEXT = "text"
    RETRIEVER = "retriever"


DataFile = Annotated[
    Path | None,
    OneOf("data"),
    SettingReach.DISCLOSED,
    Doc("File with data that no training has seen, in the project: CSV, Parquet, JSON or JSON Lines."),
]
DataFunction = Annotated[
    str | None,
    OneOf("data"),
    Doc("Function of the project that returns such data as a DataFrame, as package.module:function."),
    Matching(_FUNCTION, "of the form package.module:function"),
]
TargetColumn = Annotated[str | None, Doc("Column of the data that holds the right answers.")]
Measures = Annotated[
    ModelType | None, Doc("What to measure, as MLflow calls it; without it the time that an answer takes alone.")
]


@dataclass(frozen=True, kw_only=True, slots=True)
class Exam:
    """What a version is asked, as far as somebody named it."""

    data: DataFile = None
    data_function: DataFunction = None
    target_column: TargetColumn = None
    model_type: Measures = None

    def tags(self, folder: Path) -> Mapping[str, str]:
        """
        What the runs of an evaluation carry that was asked this, in the project of that folder.

        A file of the project is called the same on every machine. Raises BadInput where two say which data.
        """
        if self.data is not None and self.data_function is not None:
            raise BadInput(
                what="the data comes from one place, and `data` and `data-function` are given",
                why="each of them says which data",
                fix="keep one of them",
            )
        source = None if self.data is None else _file(folder, self.data)
        named = {
            DATA: f"function {self.data_function}" if self.data_function else source,
            TARGET: self.target_column,
            MODEL_TYPE: None if self.model_type is None else self.model_type.value,
        }
        return {tag: value for tag, value in named.items() if value is not None}


def shown(tags: Mapping[str, str]) -> str:
    """For a person: what of data, target column and kind of model the tags tell; empty where they tell nothing."""
    words = {DATA: "the {}", TARGET: "target column `{}`", MODEL_TYPE: "as a {}"}
    return ", ".join(text.format(tags[tag]) for tag, text in words.items() if tag in tags)


def _file(folder: Path, data: Path) -> str:
    path = os.path.normpath(folder.absolute() / data)
    inside = os.path.relpath(path, folder.absolute())
    return f"file {path if data.is_absolute() and inside.startswith(os.pardir) else inside}"
