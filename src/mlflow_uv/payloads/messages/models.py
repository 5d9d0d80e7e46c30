"""Defines the verbs about logged models and their files."""

from collections.abc import Mapping
from dataclasses import field
from typing import Any, ClassVar

from .lazy_dataclass import lazy_dataclass
from .registry import RegisteredVersion
from .request import Request
from .runs import RunDescription


@lazy_dataclass
class LoggedModelDescription:
    """
    A logged model; `created` is in milliseconds since 1970, `message` the reason of its status.

    With MLflow 2 it is a folder of a run, and its id is `runs:/RUN/PATH`.
    """

    model_id: str
    name: str
    run_id: str | None
    experiment_id: str
    status: str
    message: str | None
    created: int
    artifact_location: str
    tags: Mapping[str, str]


@lazy_dataclass
class LoggedModelId:
    """The id of a logged model."""

    model_id: str


@lazy_dataclass
class FunctionModel:
    """
    The id of the model that a function returned.

    `saved_as` is its serialization format if that is not MLflow's default, and `reason` why; both are empty otherwise.
    """

    model_id: str
    saved_as: str = ""
    reason: str = ""


@lazy_dataclass
class CallFunction(Request):
    """Call `package.module:function` of the project in `folder`, and log the model that it returns as `name`."""

    verb: ClassVar[str] = "call-function"
    function: str
    folder: str
    name: str


@lazy_dataclass
class FindModels(Request):
    """Find the models of the runs with a tag (name and value), of a run, or a single model: one of the three."""

    verb: ClassVar[str] = "find-models"
    tag: tuple[str, str] | None = None
    run_id: str | None = None
    model_id: str | None = None


@lazy_dataclass
class FoundModels:
    """Runs, their models, and the versions that were made from those, each oldest first."""

    runs: tuple[RunDescription, ...]
    models: tuple[LoggedModelDescription, ...]
    versions: tuple[RegisteredVersion, ...]


@lazy_dataclass
class FindReleased(Request):
    """Find the finished models of earlier releases with the same release key."""

    verb: ClassVar[str] = "find-released"
    release_key: str


@lazy_dataclass
class ReleasedModels:
    """Finished models of releases, oldest first."""

    models: tuple[LoggedModelDescription, ...]


@lazy_dataclass
class FindLatest(Request):
    """Find the newest finished model of a project's releases."""

    verb: ClassVar[str] = "find-latest"
    project: str


@lazy_dataclass
class LatestModel:
    """The newest finished model, None without one."""

    model: LoggedModelDescription | None


@lazy_dataclass
class FindReferencedModel(Request):
    """Find the id of the model that a `models:/` or `runs:/` URI refers to."""

    verb: ClassVar[str] = "find-referenced-model"
    reference: str


@lazy_dataclass
class DescribeModel(Request):
    """Describe a logged model."""

    verb: ClassVar[str] = "describe-model"
    model_id: str


@lazy_dataclass
class LogFolder(Request):
    """Log a folder that `save_model` wrote as a model of a run."""

    verb: ClassVar[str] = "log-folder"
    folder: str
    name: str
    run_id: str
    tags: Mapping[str, str] | None = None


@lazy_dataclass
class DownloadModel(Request):
    """
    Download the files of a model, by its id or by a URI, into a folder that is empty or absent.

    `files` are the POSIX paths of those to download, of which some may not exist; all files if it is empty.
    """

    verb: ClassVar[str] = "download-model"
    destination: str
    model_id: str | None = None
    uri: str | None = None
    files: tuple[str, ...] = ()


@lazy_dataclass
class OverwriteModel(Request):
    """Overwrite files of a model with those of a folder, and delete others by their POSIX paths."""

    verb: ClassVar[str] = "overwrite-model"
    model_id: str
    folder: str
    delete: tuple[str, ...]


@lazy_dataclass
class AnswerRequests(Request):
    """
    Answer requests of `/invocations`, given as their bodies, with the model in a folder.

    `given` says that they are not the model's own example, `again` requests a second answer to each. `cases` and
    `derived` are bodies as exact text, which may be refused; `derived_types` are the media types of the derived ones,
    JSON without any. A derived request is left out if it takes longer than
    `request_s` seconds, or all of them more than `derived_s`. `streams` are bodies for predict_stream, each of which
    may take `stream_s` seconds.
    """

    verb: ClassVar[str] = "answer"
    model: str
    requests: tuple[Any, ...]
    given: bool = False
    again: bool = False
    cases: tuple[str, ...] = ()
    derived: tuple[str, ...] = ()
    derived_types: tuple[str, ...] = ()
    derived_s: float = 60.0
    request_s: float = 60.0
    streams: tuple[str, ...] = ()
    stream_s: float = 60.0


@lazy_dataclass
class ModelResponse:
    """
    The status of a response, and its JSON, or the reason of a refusal for another status than 200.

    The answer of a stream is the list of its chunks, also of those before it failed.
    """

    status: int
    answer: Any = None
    reason: str = ""


@lazy_dataclass
class BodyResponses:
    """
    The responses to `cases`, `derived` and `streams`.

    None for a derived request that was left out, and for a stream of a model that has none.
    """

    cases: tuple[ModelResponse, ...] = ()
    derived: tuple[ModelResponse | None, ...] = ()
    streams: tuple[ModelResponse | None, ...] = ()


@lazy_dataclass
class AnswerBySpark(Request):
    """
    Answer requests with the model in a folder as a function of Spark SQL, on the cluster of a master's URL.

    Each request holds a table; `result_types` are the types of its predictions in Spark's DDL (`bigint`). With
    `streaming`, the table arrives in files, and the query is restarted from its checkpoint.
    """

    verb: ClassVar[str] = "answer-by-spark"
    model: str
    requests: tuple[Any, ...]
    result_types: tuple[str, ...]
    master: str
    streaming: bool


@lazy_dataclass
class ModelAnswers:
    """
    The bodies of the answers, and the versions that gave them.

    `bodies` are the responses to the other bodies. `again` and `bodies_again` are those of the second time.
    """

    answers: tuple[Any, ...]
    python: str
    mlflow: str
    bodies: BodyResponses = BodyResponses()
    again: tuple[Any, ...] = ()
    bodies_again: BodyResponses = BodyResponses()


@lazy_dataclass
class DescribeCases(Request):
    """Read the input example of the model in a folder, without loading the model."""

    verb: ClassVar[str] = "describe-cases"
    model: str


@lazy_dataclass
class ModelCases:
    """Whether a model has a signature and an input example, and the example as request bodies of `/invocations`."""

    has_signature: bool
    has_example: bool
    requests: tuple[Any, ...]


@lazy_dataclass
class ReadExample(Request):
    """Read a JSON or CSV file as request bodies of `/invocations`."""

    verb: ClassVar[str] = "read-example"
    file: str


@lazy_dataclass
class ExampleRequests:
    """Request bodies of `/invocations`."""

    requests: tuple[Any, ...]


@lazy_dataclass
class ReadCases(Request):
    """Read a JSON Lines or CSV file as bodies of requests for `/invocations`."""

    verb: ClassVar[str] = "read-cases"
    file: str


@lazy_dataclass
class CaseRequest:
    """A request on a line (from 1) of the file; `expected` is its response, if it `has_expected` one."""

    line: int
    body: str
    has_expected: bool = False
    expected: Any = None


@lazy_dataclass
class CaseRequests:
    """The requests of a file."""

    cases: tuple[CaseRequest, ...]


@lazy_dataclass
class DescribeSignature(Request):
    """Read the signature and the flavors of the model in a folder."""

    verb: ClassVar[str] = "describe-signature"
    model: str


@lazy_dataclass
class ModelSignature:
    """
    A signature as the MLmodel file holds it, None without one.

    `flavors` has the version of each flavor's library, empty where the file has none.
    """

    signature: Any
    flavors: Mapping[str, str] = field(default_factory=dict)
