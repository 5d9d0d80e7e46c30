"""Scores files on Spark: each task scores a range of rows as one process would, and the results are sent in order."""

import io
import platform
import tempfile
import zipfile
from collections import deque
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import mlflow
from mlflow import pyfunc
from pyspark import SparkContext
from pyspark.errors import PySparkException

from ..channel import Channel
from ..messages.scoring import EndPart, ScoreTablesBySpark, ScoringMessage, ScoringResult
from ..models.inference_params import require_params
from ..models.serving_environment import load_untraced, serving_environment
from ..problems import Problem, ProblemKind, describe, final_line
from ..scoring.ranges import (
    RANGE_ROWS,
    CollectedMessages,
    FileRange,
    RowRange,
    TextRange,
    count_rows,
    numbered_ranges,
    of_file,
    row_ranges,
    starting_at,
    text_ranges,
)
from ..scoring.scorer import ScoringRun, open_table
from ..scoring.tables import ScoredTable, TableRequest
from .answers import spark_error, spark_session

_BLOCK = 1 << 20
_MODELS: "dict[str, Any]" = {}  # in a worker, which scores several ranges
_JAVA_ERROR = "Py4JJavaError"


def score(request: ScoreTablesBySpark, channel: Channel) -> ScoringResult:
    """
    Score files, each from a position on, by tasks of a Spark cluster, and send their parts in the order of the rows.

    Raises Problem as the verb for one process does, and for an error of Spark.
    """
    rows = rejected = 0
    with spark_session(request.master) as spark, tempfile.TemporaryDirectory(prefix="mlflow-uv-spark-") as scratch:
        context = spark.sparkContext
        context.addPyFile(_package(Path(scratch)))
        try:
            for part, messages in _scored(context, request, _ranges(context, request)):
                for message in of_file(messages, part):
                    channel.send(message)
                    if isinstance(message, EndPart):
                        rows, rejected = rows + message.rows, rejected + message.rejected
        except PySparkException as error:
            raise Problem(ProblemKind.CANNOT_PREDICT, f"Spark cannot score the table: {spark_error(error)}") from error
        except Exception as error:
            if type(error).__name__ != _JAVA_ERROR:  # of py4j, whose module has no types
                raise
            raise Problem(ProblemKind.CANNOT_PREDICT, f"Spark cannot score the table: {final_line(error)}") from error
    return ScoringResult(rows=rows, rejected=rejected, python=platform.python_version(), mlflow=str(mlflow.__version__))


def _package(folder: Path) -> str:
    """The modules of the payloads as an archive that workers import from, under the name that this process uses."""
    name, _, _ = __name__.partition(".spark.")
    top = Path(__file__).resolve().parents[1]
    archive = folder / "payloads.zip"
    with zipfile.ZipFile(archive, "w") as file:
        for parent in (Path(*name.split(".")[:number]) for number in range(1, name.count(".") + 1)):
            file.writestr(f"{parent.as_posix()}/__init__.py", "")
        for path in sorted(top.rglob("*.py")):
            file.write(path, f"{name.replace('.', '/')}/{path.relative_to(top).as_posix()}")
    return str(archive)


def _ranges(context: SparkContext, request: ScoreTablesBySpark) -> "list[FileRange]":
    """The ranges of all files in order; every file is opened, so that one that does not fit is found at once."""
    model = load_untraced(pyfunc.load_model, request.model)
    require_params(model, request.params)
    ranges: list[FileRange] = []
    for number, (file, path) in enumerate(zip(request.files, request.paths, strict=True)):
        with Path(path).open("rb") as reader:
            table = open_table(reader, file, model, request)
            if table.rows is not None:
                ranges += row_ranges(number, file.row, table.rows, min(request.part_rows, RANGE_ROWS))
                continue
            parts = list(
                text_ranges(number, _text(reader, file.name, model, request), file.kind, starting_at(file, table))
            )
        count = partial(count_rows, path=path, kind=file.kind)
        counts = context.parallelize(parts, len(parts)).map(count).collect() if parts else []
        ranges += numbered_ranges(parts, counts, file.row)
    return ranges


def _text(reader: "io.BufferedReader[Any]", name: str, model: Any, request: ScoreTablesBySpark) -> TableRequest:
    size = Path(reader.name).stat().st_size
    keys, batch_rows = request.key_columns, request.batch_rows
    return TableRequest(name=name, file=reader, size=size, model=model, key_columns=keys, batch_rows=batch_rows)


def _scored(
    context: SparkContext, request: ScoreTablesBySpark, ranges: "list[FileRange]"
) -> "Iterator[tuple[FileRange, list[ScoringMessage]]]":
    """
    Yield the messages of each range in order.

    A job is one range, and a few more jobs run than there are processors: the results that wait are bounded.
    """
    ahead = 2 * max(1, context.defaultParallelism)
    task = partial(_score_range, request)
    waiting: deque[tuple[FileRange, Future[list[list[ScoringMessage] | tuple[str, str]]]]] = deque()
    with ThreadPoolExecutor(ahead) as pool:
        try:
            for part in (*ranges, *(None,) * ahead):
                if part is not None:
                    waiting.append((part, pool.submit(context.parallelize([part], 1).map(task).collect)))
                if waiting and (part is None or len(waiting) >= ahead):
                    done, future = waiting.popleft()
                    (result,) = future.result()
                    if isinstance(result, tuple):
                        kind, why = result
                        raise Problem(ProblemKind(kind), why)
                    yield done, result
        finally:
            for _, future in waiting:
                future.cancel()
            if waiting:
                context.cancelAllJobs()


def _score_range(request: ScoreTablesBySpark, part: FileRange) -> "list[ScoringMessage] | tuple[str, str]":
    """The messages about a range; kind and reason of a Problem, which Spark would wrap. It runs in a worker."""
    file, path = request.files[part.file], Path(request.paths[part.file])
    channel = CollectedMessages()
    try:
        with serving_environment():
            if request.model not in _MODELS:
                _MODELS[request.model] = load_untraced(pyfunc.load_model, request.model)
            model = _MODELS[request.model]
            source = TextRange(path, part.stop) if file.kind != "parquet" else path.open("rb", buffering=0)
            with io.BufferedReader(source, _BLOCK) as reader:
                table = open_table(reader, file, model, request)
                bounded: ScoredTable = table if table.rows is None else RowRange(table, part.stop)
                run = ScoringRun(channel=channel, model=model, request=request)
                run.score_file(part.file, replace(file, row=part.start.row, offset=part.start.offset), bounded)
    except Problem as problem:
        failure = describe(problem)
        return failure.kind, failure.message
    return channel.messages
