"""Defines the settings of an evaluation (data, target column, model type) and the tags that record them."""

import os
from collections.abc import Mapping
from enum import Enum
from pathlib import Path
from typing import Annotated

from ...command.errors import BadInput
from ...command.step import Doc, Matching, OneOf, SettingReach
from ...payloads.messages.lazy_dataclass import lazy_dataclass
from ...payloads.messages.tags import EVALUATION_DATA, EVALUATION_MODEL_TYPE, EVALUATION_TARGET

_FUNCTION = r"[^\W\d]\w*(\.[^\W\d]\w*)*:[^\W\d]\w*(\.[^\W\d]\w*)*"


class ModelType(Enum):
    """The model types of MLflow's default evaluator."""

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
    Doc("File in the project with data that training has not seen: CSV, Parquet, JSON or JSON Lines."),
]
DataFunction = Annotated[
    str | None,
    OneOf("data"),
    Doc("Function of the project that returns the evaluation data as a DataFrame, as package.module:function."),
    Matching(_FUNCTION, "of the form package.module:function"),
]
TargetColumn = Annotated[str | None, Doc("Column of the evaluation data with the expected predictions.")]
Measures = Annotated[
    ModelType | None, Doc("Model type that determines MLflow's metrics; without it only the response time is measured.")
]


@lazy_dataclass
class EvaluationSettings:
    """The settings of an evaluation; None where not set."""

    data: DataFile = None
    data_function: DataFunction = None
    target_column: TargetColumn = None
    model_type: Measures = None

    def tags(self, folder: Path) -> Mapping[str, str]:
        """
        Return the tags of an evaluation's runs, for the project in `folder`.

        A file in the project is recorded by its relative path. Raises BadInput if both a file and a function are set.
        """
        if self.data is not None and self.data_function is not None:
            raise BadInput(
                what="`data` and `data-function` are both set",
                why="the data comes from one of them",
                fix="remove one of them",
            )
        source = None if self.data is None else _file(folder, self.data)
        values = {
            EVALUATION_DATA: f"function {self.data_function}" if self.data_function else source,
            EVALUATION_TARGET: self.target_column,
            EVALUATION_MODEL_TYPE: None if self.model_type is None else self.model_type.value,
        }
        return {tag: value for tag, value in values.items() if value is not None}


def describe_tags(tags: Mapping[str, str]) -> str:
    """Data, target column and model type from the tags, for messages; empty where there are none."""
    words = {EVALUATION_DATA: "the {}", EVALUATION_TARGET: "target column `{}`", EVALUATION_MODEL_TYPE: "as a {}"}
    return ", ".join(text.format(tags[tag]) for tag, text in words.items() if tag in tags)


def _file(folder: Path, data: Path) -> str:
    path = os.path.normpath(folder.absolute() / data)
    inside = os.path.relpath(path, folder.absolute())
    return f"file {path if data.is_absolute() and inside.startswith(os.pardir) else inside}"
