"""Serves the files of a run to the process that scores them, and stages the parts that it writes."""

import base64
import binascii
import json
import os
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import field
from pathlib import Path
from typing import Any

from ...command.errors import BadInput, ToolFailed
from ...command.report import Console
from ...core.scoring.layout import TableFormat, part_name, rejects_name
from ...core.scoring.manifest import InputFile, Part, Start
from ...core.scoring.pace import Pace
from ...payloads.messages.lazy_dataclass import lazy_dataclass
from ...payloads.messages.reader import read
from ...payloads.messages.scoring import (
    BeginPart,
    EndPart,
    ReadBlock,
    RejectRow,
    ReportProgress,
    ScoreTables,
    ScoringMessage,
    WriteBlock,
)
from ...tools.mlflow.mlflow import converse, invalid_message
from ...tools.system.clock import Clock
from ...tools.system.commands import Conversation
from .inputs import identify
from .output import Output, StagedFile

LONGEST_READ = 4 << 20  # bytes of a file in one message
EVERY_S = 10.0  # between two lines of progress
SHOWN_REASONS = 3  # of rejected rows, in the report
_MESSAGES: Mapping[str, type[ScoringMessage]] = {
    kind.ask: kind for kind in (ReadBlock, BeginPart, WriteBlock, RejectRow, ReportProgress, EndPart)
}


@lazy_dataclass
class ScoredFile:
    """An input that is scored: its path, identity, the start of the names of its parts, and where it is continued."""

    path: Path
    identity: InputFile
    stem: str
    start: Start


@lazy_dataclass
class SessionFiles:
    """The inputs that are scored, the format of the output, and the bytes of all inputs."""

    scored: tuple[ScoredFile, ...]
    format: TableFormat
    total_bytes: int


@lazy_dataclass(kw_only=False, frozen=False)
class _OpenPart:
    """A part that is being staged."""

    file: int
    first_row: int
    number: int
    data: StagedFile
    rejects: StagedFile
    stack: ExitStack = field(repr=False)


class ScoringSession:
    """
    The caller's end of the channel of `score`; payloads/messages/scoring defines the messages.

    The process runs code of the model: it gets no path, reads only the inputs of the run, and writes only the part that
    is open. A message that is not expected ends the session.
    """

    def __init__(self, files: SessionFiles, output: Output, *, clock: Clock, console: Console) -> None:
        self._files = files
        self._output = output
        self._clock = clock
        self._console = console
        self._stack = ExitStack()
        self._descriptors: list[int] = []
        self._part: _OpenPart | None = None
        self._numbers = [file.start.number for file in files.scored]
        self._shares = [file.start.offset / max(1, file.identity.size) for file in files.scored]
        self._rows_before = [file.start.row for file in files.scored]
        self._rows = list(self._rows_before)
        self.rejected_reasons: list[str] = []

    @property
    def files(self) -> tuple[ScoredFile, ...]:
        """The inputs that are scored."""
        return self._files.scored

    def run(self, conversation: Conversation, request: ScoreTables) -> object:
        """
        Serve until the process responds, and return its response as it was sent.

        What is staged and not complete is removed at the end. Raises ToolFailed if the process ends or sends anything
        unexpected, BadInput for an input that changed while it was read.
        """
        self._start_clock()
        with self._stack:
            for file in self._files.scored:
                self._open(file)
            response = converse(conversation, request, lambda content: self._reply(_message(content)))
            if response is None:
                raise self._ended(conversation)
            return response

    def _start_clock(self) -> None:
        self._started_s = self._reported_s = self._clock.now_s()
        self._share_before = self._share

    def _open(self, file: ScoredFile) -> None:
        try:
            descriptor = os.open(file.path, os.O_RDONLY | os.O_CLOEXEC)
        except OSError as error:
            what = f"the input `{file.path}` cannot be read"
            raise ToolFailed(what=what, why=error.strerror or str(error)) from error
        self._stack.callback(os.close, descriptor)
        self._descriptors.append(descriptor)

    def _reply(self, message: ScoringMessage) -> Mapping[str, object]:
        part, numbers = self._part, range(len(self._descriptors))
        match message:
            case ReadBlock(file=number, offset=offset, length=length) if (
                number in numbers and offset >= 0 and 0 <= length <= LONGEST_READ
            ):
                return {"data": self._read(number, offset, length)}
            case BeginPart(file=number, row=row) if part is None and number in numbers and row >= 0:
                self._begin_part(number, row)
            case WriteBlock(data=data) if part is not None:
                part.data.write(_decoded(data))
            case RejectRow() if part is not None:
                self._reject(part, message)
            case ReportProgress(file=number, row=row, fraction=fraction) if number in numbers and row >= 0:
                self._rows[number], self._shares[number] = row, min(1.0, max(0.0, fraction))
                self._report()
            case EndPart() if part is not None and message.row > part.first_row and _counts(message):
                self._end_part(part, message)
            case _:
                raise invalid_message()
        return {}

    def _read(self, number: int, offset: int, length: int) -> str:
        try:
            return base64.b64encode(os.pread(self._descriptors[number], length, offset)).decode()
        except OSError as error:
            what = f"the input `{self._files.scored[number].path}` cannot be read"
            raise ToolFailed(what=what, why=error.strerror or str(error)) from error

    def _begin_part(self, number: int, row: int) -> None:
        if self._rows == self._rows_before:
            self._start_clock()  # before the first row: the model is loaded by now
        name = part_name(self._files.scored[number].stem, self._numbers[number], self._files.format)
        stack = self._stack.enter_context(ExitStack())
        self._part = _OpenPart(
            file=number,
            first_row=row,
            number=self._numbers[number],
            data=stack.enter_context(self._output.writing(name)),
            rejects=stack.enter_context(self._output.writing(rejects_name(name))),
            stack=stack,
        )

    def _reject(self, part: _OpenPart, row: RejectRow) -> None:
        name = self._files.scored[part.file].identity.name
        line = {"input_file": name, "input_row": row.row, "reason": row.reason, "record": row.record}
        part.rejects.write(json.dumps(line, ensure_ascii=False).encode(errors="replace") + b"\n")
        if len(self.rejected_reasons) < SHOWN_REASONS:
            self.rejected_reasons.append(f"row {row.row} of `{name}`: {row.reason}")

    def _end_part(self, part: _OpenPart, end: EndPart) -> None:
        if bool(end.rows) != bool(part.data.size) or bool(end.rejected) != bool(part.rejects.size):
            raise invalid_message()
        file = self._files.scored[part.file]
        self._require_unchanged(file)
        name = part_name(file.stem, part.number, self._files.format)
        part.data.finish()
        part.rejects.finish()
        self._output.add(
            Part(
                input=file.identity.name,
                number=part.number,
                first_row=part.first_row,
                end_row=end.row,
                end_offset=end.offset,
                last=end.last,
                name=name,
                rows=end.rows,
                size=part.data.size,
                sha256=part.data.sha256,
                rejects=rejects_name(name),
                rejected=end.rejected,
                rejects_size=part.rejects.size,
                rejects_sha256=part.rejects.sha256,
            )
        )
        part.stack.close()
        self._numbers[part.file] += 1
        self._part = None

    def _require_unchanged(self, file: ScoredFile) -> None:
        now = identify(file.identity.name, file.path, file.identity)
        if (now.size, now.sha256) != (file.identity.size, file.identity.sha256):
            self._output.drop(file.identity.name)
            what = f"the input `{file.path}` changed while it was read"
            raise BadInput(
                what=what, why="its parts would mix two contents", fix="run it again when the file is complete"
            )

    @property
    def _share(self) -> float:
        """The share of all inputs that is done, by bytes; inputs that need nothing are done."""
        left = sum(
            file.identity.size * (1 - share) for file, share in zip(self._files.scored, self._shares, strict=True)
        )
        return 1 - left / max(1, self._files.total_bytes)

    @property
    def pace(self) -> Pace:
        """How far the run is."""
        return Pace(
            rows=sum(self._rows) - sum(self._rows_before),
            seconds=self._clock.now_s() - self._started_s,
            share_before=self._share_before,
            share=self._share,
        )

    def _report(self) -> None:
        now_s = self._clock.now_s()
        if now_s - self._reported_s >= EVERY_S:
            self._reported_s = now_s
            self._console.say(f"  {self.pace.text}")

    def _ended(self, conversation: Conversation) -> ToolFailed:
        lines = [line for line in conversation.log().splitlines() if line.strip()]
        for line in lines[-20:]:
            self._console.foreign(line)
        number = self._part.file if self._part else 0
        name = self._files.scored[number].identity.name
        return ToolFailed(
            what=f"the model ended its process after row {self._rows[number]} of `{name}`",
            why=lines[-1].strip() if lines else "it printed nothing",
            fix="see its output above; parts that are complete are kept when it is run again",
        )


def _message(content: dict[str, Any]) -> ScoringMessage:
    """The message in a line of the process, which may be anything."""
    kind = _MESSAGES.get(str(content.pop("ask")))
    if kind is None:
        raise invalid_message()
    try:
        return read(kind, content, what="the message")
    except ValueError as error:
        raise invalid_message() from error


def _counts(end: EndPart) -> bool:
    return min(end.rows, end.rejected, end.offset) >= 0


def _decoded(text: str) -> bytes:
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError) as error:
        raise invalid_message() from error
