"""Scores files with a model in bounded batches, finds the rows that it cannot score, and writes parts of the output."""

import io
import json
import platform
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import mlflow
import numpy as np
from mlflow import pyfunc

from ..channel import BLOCK, Channel, RemoteFile, RemotePart
from ..messages.scoring import BeginPart, EndPart, RejectRow, ReportProgress, ScoreTables, ScoringResult, TableFile
from ..models.inference_params import require_params
from ..models.serving_environment import load_untraced, serving_environment
from ..problems import Problem, ProblemKind, first_line, mask, shortened
from .csv_table import CsvTable
from .json_lines_table import JsonLinesTable
from .parquet_table import ParquetTable
from .prediction_columns import columns_of
from .table_writers import TableWriter, open_writer
from .tables import Block, Position, ScoredTable, TableRequest
from .text_writers import Repeated, json_value

# A file whose first rows are all rejected does not fit the model: the rest is not tried one by one.
HOPELESS_ROWS = 1000
_LONGEST_REASON = 500
_LONGEST_RECORD = 1 << 16  # characters of a rejected record that are kept
_TABLES: "dict[str, Callable[[TableRequest], ScoredTable]]" = {
    "parquet": ParquetTable,
    "csv": CsvTable,
    "jsonl": JsonLinesTable,
}


def score(request: ScoreTables, channel: Channel) -> ScoringResult:
    """
    Score files, each from a position on, and write the output in parts.

    All files are opened before the first row is scored, so that one that does not fit is found at once.
    """
    with serving_environment():
        model = load_untraced(pyfunc.load_model, request.model)
        require_params(model, request.params)
        tables = []
        for number, file in enumerate(request.files):
            reader = io.BufferedReader(RemoteFile(channel, number, file.size), BLOCK)
            tables.append(open_table(reader, file, model, request))
        run = ScoringRun(channel=channel, model=model, request=request)
        for number, (file, table) in enumerate(zip(request.files, tables, strict=True)):
            run.score_file(number, file, table)
    return ScoringResult(
        rows=run.rows, rejected=run.rejected, python=platform.python_version(), mlflow=str(mlflow.__version__)
    )


def open_table(reader: "io.BufferedReader[Any]", file: TableFile, model: Any, request: ScoreTables) -> ScoredTable:
    """Open a file of the request as a table. Raises Problem for one that does not fit the model."""
    return _TABLES[file.kind](
        TableRequest(
            name=file.name,
            file=reader,
            size=file.size,
            model=model,
            key_columns=request.key_columns,
            batch_rows=request.batch_rows,
        ),
    )


@dataclass
class _Part:
    """A part that is being written; the writer is opened with the first row that is scored."""

    rows: int = 0
    rejected: int = 0
    writer: "TableWriter | None" = None


@dataclass
class ScoringRun:
    """The state of one request; its messages are sent to the channel."""

    channel: Channel
    model: Any
    request: ScoreTables
    rows: int = 0
    rejected: int = 0
    _part: _Part = field(default_factory=_Part)
    _file: str = ""
    _hopeless: bool = True  # no row of the file was scored

    def score_file(self, number: int, file: TableFile, table: ScoredTable) -> None:
        """Score a file from its position on."""
        self._file = file.name
        start = Position(file.row, file.offset)
        self._hopeless = start.row == 0
        opened, before = False, 0.0
        for block, last in _with_last(table.blocks(start)):
            if not opened:
                self._part, opened = _Part(), True
                self.channel.send(BeginPart(file=number, row=start.row))
            first = block.end.row - block.count
            for lower in range(0, block.count, self.request.batch_rows):
                upper = min(block.count, lower + self.request.batch_rows)
                self._score_range(block, lower, upper)
                share = before + (block.fraction - before) * upper / block.count
                self.channel.send(ReportProgress(file=number, row=first + upper, fraction=share))
            before = block.fraction
            if last or self._part.rows + self._part.rejected >= self.request.part_rows:
                self._end_part(block.end, last=last)
                start, opened = block.end, False

    def _score_range(self, block: Block, lower: int, upper: int) -> None:
        """Score rows of a block; if that fails, each half of them, down to the row that cannot be scored."""
        try:
            frame = block.frame(lower, upper)
            predictions = self._predict(frame)
        except EOFError:
            raise
        except (Exception, SystemExit) as error:  # noqa: BLE001  # a model's code may raise anything
            if upper - lower == 1:
                self._reject(block, lower, error)
                return
        else:
            self._write(columns_of(predictions, upper - lower), block, lower, upper)
            return
        middle = (lower + upper) // 2
        self._score_range(block, lower, middle)
        self._score_range(block, middle, upper)

    def _predict(self, frame: Any) -> Any:
        params = self.request.params
        return self.model.predict(frame) if params is None else self.model.predict(frame, params=params)

    def _write(self, columns: dict[str, Any], block: Block, lower: int, upper: int) -> None:
        count, first = upper - lower, block.end.row - block.count + lower + 1
        if self._part.writer is None:
            file = io.BufferedWriter(RemotePart(self.channel), BLOCK)
            schema = self.model.metadata.get_output_schema()
            self._part.writer = open_writer(self.request.format, file, schema)
        constants = {**self.request.constants, "input_file": self._file}
        own: dict[str, Any] = {name: Repeated(text) for name, text in constants.items()}
        own["input_row"] = np.arange(first, first + count)
        keys = block.keys(lower, upper)
        if taken := [name for name in keys if name in own]:
            raise Problem(ProblemKind.INVALID, f"the key column `{taken[0]}` has the name of a column of every output")
        taken_names = own.keys() | keys.keys()
        predictions = {
            f"prediction_{name}" if name in taken_names else name: values for name, values in columns.items()
        }
        self._part.writer.add({**keys, **predictions, **own}, count)
        self._part.rows += count
        self.rows += count
        self._hopeless = False

    def _reject(self, block: Block, row: int, error: BaseException) -> None:
        number = block.end.row - block.count + row + 1
        reason = shortened(mask(first_line(error)), _LONGEST_REASON)
        if self.request.strict:
            why = f"row {number} of `{self._file}` cannot be scored: {reason}"
            raise Problem(ProblemKind.INVALID, why) from error
        self.channel.send(RejectRow(row=number, reason=reason, record=_bounded(json_value(block.record(row)))))
        self._part.rejected += 1
        self.rejected += 1
        if self._hopeless and self._part.rejected >= HOPELESS_ROWS:
            why = (
                f"none of the first {HOPELESS_ROWS} rows of `{self._file}` can be scored; the last reason is: {reason}"
            )
            raise Problem(ProblemKind.INVALID, why) from error

    def _end_part(self, end: Position, *, last: bool) -> None:
        if self._part.writer is not None:
            self._part.writer.close()
        self.channel.send(
            EndPart(rows=self._part.rows, rejected=self._part.rejected, row=end.row, offset=end.offset, last=last)
        )


def _bounded(record: Any) -> Any:
    """The record, or the start and the end of its text if that is long: a message has a limit."""
    text = record if isinstance(record, str) else json.dumps(record, ensure_ascii=False)
    return record if len(text) <= _LONGEST_RECORD else shortened(text, _LONGEST_RECORD)


def _with_last(blocks: Iterator[Block]) -> Iterator[tuple[Block, bool]]:
    """Yield each block, and whether it is the last one."""
    previous = next(blocks, None)
    for block in blocks:
        if previous is not None:
            yield previous, False
        previous = block
    if previous is not None:
        yield previous, True
