"""Answers requests with `mlflow.pyfunc.spark_udf`, in a batch or in a stream of files."""

import json
import os
import platform
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import mlflow
import pandas as pd
from mlflow.models import Model
from mlflow.pyfunc import scoring_server
from pyspark.errors import PySparkException
from pyspark.sql import Column, DataFrame, Row, SparkSession
from pyspark.sql.functions import struct

from ..messages.models import AnswerBySpark, ModelAnswers
from ..problems import Problem, ProblemKind, last_line

_PREDICTION, _POSITION = "mlflow-uv prediction", "mlflow-uv row"
# Every table is split, so that its rows are scored by several tasks.
_PARTITIONS = 2


def answer(request: AnswerBySpark) -> ModelAnswers:
    """
    Answer each request with one row of predictions for each row of its table.

    Raises Problem of the kind cannot-predict if Spark or the model fails.
    """
    with spark_session(request.master) as spark, tempfile.TemporaryDirectory(prefix="mlflow-uv-spark-") as scratch:
        score = _stream if request.streaming else _batch
        answers = []
        for number, (body, result_type) in enumerate(zip(request.requests, request.result_types, strict=True), start=1):
            data, params = scoring_server._split_data_and_params(json.dumps(body))  # noqa: SLF001  # MLflow's parser
            table = scoring_server.infer_and_parse_data(data, Model.load(request.model).get_input_schema())
            try:
                udf = mlflow.pyfunc.spark_udf(
                    spark, request.model, result_type=result_type, env_manager="local", params=params
                )
                rows = score(spark, table, udf, Path(scratch) / str(number))
            except PySparkException as error:
                why = f"Spark cannot answer request {number}: {spark_error(error)}"
                raise Problem(ProblemKind.CANNOT_PREDICT, why) from error
            answers.append({"predictions": rows})
    return ModelAnswers(answers=tuple(answers), python=platform.python_version(), mlflow=str(mlflow.__version__))


@contextmanager
def spark_session(master: str) -> Iterator[SparkSession]:
    """A session on loopback whose workers run this interpreter; without the variable, they run `python3` on PATH."""
    os.environ["PYSPARK_PYTHON"] = os.environ["PYSPARK_DRIVER_PYTHON"] = sys.executable
    os.environ.setdefault("SPARK_LOCAL_IP", "127.0.0.1")
    with tempfile.TemporaryDirectory(prefix="mlflow-uv-spark-") as scratch:
        builder = SparkSession.builder.master(master).appName("mlflow-uv")
        for name, value in {
            "spark.ui.enabled": "false",
            "spark.driver.host": "127.0.0.1",
            "spark.driver.bindAddress": "127.0.0.1",
            "spark.local.dir": f"{scratch}/local",
            "spark.sql.warehouse.dir": f"{scratch}/warehouse",
            "spark.sql.shuffle.partitions": str(_PARTITIONS),
        }.items():
            builder = builder.config(name, value)
        session = builder.getOrCreate()
        try:
            yield session
        finally:
            session.stop()


def _numbered(spark: SparkSession, table: "pd.DataFrame") -> DataFrame:
    """The table with the position of each row, since Spark does not keep their order."""
    table = table.copy()
    table.insert(0, _POSITION, range(len(table)))
    return spark.createDataFrame(table)


def _scored(frame: DataFrame, udf: Any) -> DataFrame:
    columns: list[Column] = [frame[f"`{name}`"] for name in frame.columns if name != _POSITION]
    return frame.select(frame[f"`{_POSITION}`"], udf(struct(*columns)).alias(_PREDICTION))


def _batch(spark: SparkSession, table: "pd.DataFrame", udf: Any, folder: Path) -> "list[Any]":
    del folder  # only a stream writes files
    return _in_order(_scored(_numbered(spark, table).repartition(_PARTITIONS), udf).collect(), len(table))


def _stream(spark: SparkSession, table: "pd.DataFrame", udf: Any, folder: Path) -> "list[Any]":
    """
    Score files that arrive in a folder, as Structured Streaming with a checkpoint, which is restarted in the middle.

    The second half of the rows arrives between the two queries. A row that is lost, or that is scored by both queries,
    is a Problem.
    """
    arriving, written, checkpoint = (str(folder / name) for name in ("arriving", "written", "checkpoint"))
    numbered = _numbered(spark, table)
    half = (len(table) + 1) // 2
    position = numbered[f"`{_POSITION}`"]
    for part in (numbered.where(position < half), numbered.where(position >= half)):
        part.coalesce(1).write.mode("append").parquet(arriving)
        frame = spark.readStream.schema(numbered.schema).parquet(arriving)
        query = (
            _scored(frame, udf)
            .writeStream.format("parquet")
            .option("path", written)
            .option("checkpointLocation", checkpoint)
            .trigger(availableNow=True)
            .start()
        )
        query.awaitTermination()
    return _in_order(spark.read.parquet(written).collect(), len(table))


def _in_order(rows: "list[Row]", length: int) -> "list[Any]":
    positions = sorted(row[_POSITION] for row in rows)
    if positions != list(range(length)):
        lost, repeated = set(range(length)) - set(positions), len(positions) - len(set(positions))
        why = f"of {length} rows, {len(lost)} were lost and {repeated} were scored twice"
        raise Problem(ProblemKind.CANNOT_PREDICT, why)
    return [_plain(row[_PREDICTION]) for row in sorted(rows, key=lambda row: int(row[_POSITION]))]


def _plain(value: Any) -> Any:
    """A value of Spark as JSON has it."""
    if isinstance(value, Row):
        return {name: _plain(part) for name, part in value.asDict().items()}
    if isinstance(value, (list, tuple)):
        return [_plain(part) for part in value]
    if value is None or isinstance(value, (bool, int, float, str)):
        return value
    return str(value)


def spark_error(error: PySparkException) -> str:
    """The last line of a worker's Python traceback in Spark's message, else its first line."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    tracebacks = [at for at, line in enumerate(lines) if line.startswith("Traceback (most recent call last)")]
    if not tracebacks:
        return lines[0] if lines else last_line(error)
    after = lines[tracebacks[-1] + 1 :]
    ends = (
        line for line in after if not line.startswith(("File ", "^")) and ": " in line and " " not in line.split(":")[0]
    )
    return next(ends, after[-1] if after else lines[0])
