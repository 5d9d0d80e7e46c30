"""Defines the verbs about runs and experiments."""

from collections.abc import Mapping
from dataclasses import field
from typing import ClassVar

from .lazy_dataclass import lazy_dataclass
from .request import Request


@lazy_dataclass
class RunDataset:
    """
    A dataset that training logged as an input of its run; `context` is its purpose, such as `training`, or empty.

    `digest` is computed by MLflow from a part of the data, or chosen by the training code. `source` is JSON.
    """

    name: str
    digest: str
    context: str
    source_type: str
    source: str


@lazy_dataclass
class RunDescription:
    """
    A run; `started` and `ended` are in milliseconds since 1970.

    Only describe-run fills `params` and `datasets`.
    """

    run_id: str
    experiment_id: str
    name: str | None
    status: str
    started: int | None
    ended: int | None
    artifact_location: str
    tags: Mapping[str, str]
    metrics: Mapping[str, float] = field(default_factory=dict)
    params: Mapping[str, str] = field(default_factory=dict)
    datasets: tuple[RunDataset, ...] = ()


@lazy_dataclass
class PrepareExperiment(Request):
    """
    Ensure that the experiment of that name has an allowed artifact location.

    `artifact_location` is that of a new experiment, None where a server decides.
    """

    verb: ClassVar[str] = "prepare-experiment"
    experiment: str
    artifact_location: str | None


@lazy_dataclass
class CreateRun(Request):
    """
    Create a run in the experiment of that name, which is created, at `artifact_location`, if there is none.

    With `beside`, the id of a run, the experiment is that of this run.
    """

    verb: ClassVar[str] = "create-run"
    experiment: str
    tags: Mapping[str, str]
    run_name: str | None = None
    artifact_location: str | None = None
    beside: str | None = None


@lazy_dataclass
class CreatedRun:
    """A new run and its experiment."""

    run_id: str
    experiment_id: str


@lazy_dataclass
class LogEntryPoint(Request):
    """
    Log the entry point of the MLproject file in `folder`, and its parameters, as `mlflow run` does for its own runs.

    `parameters` are those that the user gave; the defaults of the others are logged too.
    """

    verb: ClassVar[str] = "log-entry-point"
    run_id: str
    folder: str
    entry_point: str
    parameters: Mapping[str, str]


@lazy_dataclass
class EndRun(Request):
    """End a run with the status FINISHED, FAILED or KILLED."""

    verb: ClassVar[str] = "end-run"
    run_id: str
    status: str


@lazy_dataclass
class DescribeRun(Request):
    """Describe a run, with its parameters and its datasets."""

    verb: ClassVar[str] = "describe-run"
    run_id: str


@lazy_dataclass
class LogRecord(Request):
    """Log a file as an artifact of a run; `path` is the path of the artifact, with its file name."""

    verb: ClassVar[str] = "log-record"
    run_id: str
    file: str
    path: str


@lazy_dataclass
class DownloadRecord(Request):
    """Download an artifact of a run to the file `destination`."""

    verb: ClassVar[str] = "download-record"
    run_id: str
    path: str
    destination: str


@lazy_dataclass
class CloseAttempt(Request):
    """End every open run with the tag, whose name and value are given, and finalize every pending model of them."""

    verb: ClassVar[str] = "close-attempt"
    tag: tuple[str, str]
    status: str


@lazy_dataclass
class ClosedAttempt:
    """The ids of the runs and models that were still open."""

    runs: tuple[str, ...]
    models: tuple[str, ...]
