"""Defines the verb that scores tables, and the messages that it exchanges with the caller while it runs."""

from collections.abc import Mapping
from typing import Any, ClassVar

from .lazy_dataclass import lazy_dataclass
from .request import Request


@lazy_dataclass
class TableFile:
    """
    A file to score, from a position on: `row` rows are before it (0 at the start), in a text `offset` bytes.

    `kind` is `parquet`, `csv` or `jsonl`, `size` in bytes. Its content is read with ReadBlock.
    """

    name: str
    kind: str
    size: int
    row: int
    offset: int


@lazy_dataclass
class ScoreTables(Request):
    """
    Score files with the model in a folder, and write the rows of each file in parts.

    `format` is that of the parts, `key_columns` are copied to them, and `constants` are columns with one text in every
    row. The model gets `batch_rows` rows at once; a part has about `part_rows` rows. With `strict`, a row that cannot
    be scored is an error.
    """

    verb: ClassVar[str] = "score"
    model: str
    files: tuple[TableFile, ...]
    format: str
    params: Mapping[str, Any] | None
    key_columns: tuple[str, ...]
    constants: Mapping[str, str]
    batch_rows: int
    part_rows: int
    strict: bool


@lazy_dataclass
class ScoreTablesBySpark(ScoreTables):
    """
    The same on a Spark cluster with the URL `master`, whose workers read the files at `paths`, in the order of `files`.

    The parts are written by the caller as well.
    """

    verb: ClassVar[str] = "score-by-spark"
    master: str
    paths: tuple[str, ...]


@lazy_dataclass
class ScoringResult:
    """The number of rows that were scored and rejected, and the versions of Python and MLflow."""

    rows: int
    rejected: int
    python: str
    mlflow: str


@lazy_dataclass
class ScoringMessage:
    """A message of the verb to its caller, which replies to each with an object; `ask` names the class."""

    ask: ClassVar[str]


@lazy_dataclass
class ReadBlock(ScoringMessage):
    """Read bytes of a file, by its index in the request; the reply is `{"data"}`, in base64."""

    ask: ClassVar[str] = "read"
    file: int
    offset: int
    length: int


@lazy_dataclass
class BeginPart(ScoringMessage):
    """Begin the next part of a file; `row` rows of the file are before it."""

    ask: ClassVar[str] = "part"
    file: int
    row: int


@lazy_dataclass
class WriteBlock(ScoringMessage):
    """Append bytes, in base64, to the part."""

    ask: ClassVar[str] = "write"
    data: str


@lazy_dataclass
class RejectRow(ScoringMessage):
    """A row of the part, numbered from 1 in its file, that cannot be scored; `record` is its content as JSON."""

    ask: ClassVar[str] = "reject"
    row: int
    reason: str
    record: Any


@lazy_dataclass
class ReportProgress(ScoringMessage):
    """`row` rows of a file, and a share of its content (0 to 1), are done."""

    ask: ClassVar[str] = "progress"
    file: int
    row: int
    fraction: float


@lazy_dataclass
class EndPart(ScoringMessage):
    """
    The part is complete, with numbers of rows that were scored and rejected.

    `row` rows and, in a text, `offset` bytes of the file are before the next part; `last` if there is none.
    """

    ask: ClassVar[str] = "end-part"
    rows: int
    rejected: int
    row: int
    offset: int
    last: bool
