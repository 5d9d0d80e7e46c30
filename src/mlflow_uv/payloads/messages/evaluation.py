"""Defines the verbs about evaluations."""

from collections.abc import Mapping
from dataclasses import field
from typing import ClassVar

from .lazy_dataclass import lazy_dataclass
from .request import Request


@lazy_dataclass
class WriteData(Request):
    """Call `package.module:function` of the project in `folder`, and write its DataFrame to a Parquet file."""

    verb: ClassVar[str] = "write-data"
    function: str
    folder: str
    destination: str


@lazy_dataclass
class WrittenData:
    """The number of rows that were written."""

    rows: int


@lazy_dataclass
class EvaluateModel(Request):
    """Evaluate the model in a folder on a file; the evaluator's files are moved to the folder `artifacts`."""

    verb: ClassVar[str] = "evaluate"
    model: str
    data: str
    artifacts: str
    target: str | None = None
    model_type: str | None = None


@lazy_dataclass
class EvaluationResult:
    """The metrics (latencies in milliseconds), the folder of artifacts, and the rows and SHA-256 of the data."""

    metrics: Mapping[str, float]
    artifacts: str
    rows: int
    data_sha256: str


@lazy_dataclass
class StartEvaluation(Request):
    """
    Create the run of an evaluation, as a child of the run that created the model.

    `model_id` and `run_id` are None where the version has none; `experiment` is the one for a model of no run.
    """

    verb: ClassVar[str] = "start-evaluation"
    model_id: str | None
    run_id: str | None
    experiment: str
    tags: Mapping[str, str]
    run_name: str


@lazy_dataclass
class StartedEvaluation:
    """The run of an evaluation."""

    run_id: str


@lazy_dataclass
class FillEvaluation(Request):
    """Log the results in the run of an evaluation, which stays open; `artifacts` is a folder that may be missing."""

    verb: ClassVar[str] = "fill-evaluation"
    run_id: str
    model_id: str | None
    metrics: Mapping[str, float]
    artifacts: str | None


@lazy_dataclass
class FindEvaluation(Request):
    """
    Find the last requested evaluation of all these models on the same data with the same settings.

    Each of its runs has the tags. A model without an id is called `models:/NAME/VERSION`.
    """

    verb: ClassVar[str] = "find-evaluation"
    model_ids: tuple[str, ...]
    tags: Mapping[str, str] = field(default_factory=dict)


@lazy_dataclass
class EvaluatedModel:
    """A model in an evaluation: its run (empty outside of a store), the digest of its files and its metrics."""

    run_id: str
    model_sha256: str | None
    metrics: Mapping[str, float]


@lazy_dataclass
class FoundEvaluation:
    """
    An evaluation: its id, the digest of its data, the tags of the first model's run, and each model by its id.

    `evaluation` and `data_sha256` are None, and the others empty, without one.
    """

    evaluation: str | None = None
    data_sha256: str | None = None
    tags: Mapping[str, str] = field(default_factory=dict)
    models: Mapping[str, EvaluatedModel] = field(default_factory=dict)
