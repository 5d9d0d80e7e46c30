"""What the process of a model may ask for while it scores, and what ends it."""

import base64
import json
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from mlflow_uv.command.errors import BadInput, ToolFailed
from mlflow_uv.core.scoring.layout import TableFormat
from mlflow_uv.core.scoring.manifest import Start
from mlflow_uv.ops.scoring.inputs import identify
from mlflow_uv.ops.scoring.output import Output, opened_output
from mlflow_uv.ops.scoring.session import ScoredFile, ScoringSession, SessionFiles
from mlflow_uv.payloads.messages.scoring import ScoreTables

REQUEST = ScoreTables(
    model="/m", files=(), format="csv", params=None, key_columns=(), constants={}, batch_rows=1, part_rows=1,
    strict=False,
)  # fmt: skip
BEGIN = {"ask": "part", "file": 0, "row": 0}
ROW = {"ask": "write", "data": base64.b64encode(b"p\n1\n").decode()}
END = {"ask": "end-part", "rows": 1, "rejected": 0, "row": 1, "offset": 4, "last": True}
DONE = {"value": {"rows": 1}}


@dataclass
class Scripted:
    """A process that sends these messages, whatever it is told."""

    messages: list[Any]
    replies: list[dict[str, Any]] = field(default_factory=list)
    before_end: Any = None

    def ask(self, line: str) -> str | None:
        """See Conversation."""
        self.replies.append(json.loads(line))
        if not self.messages:
            return None
        message = self.messages.pop(0)
        if self.before_end and isinstance(message, dict) and message.get("ask") == "end-part":
            self.before_end()
        return message if isinstance(message, str) else json.dumps(message)

    def code(self) -> int | None:
        """See Conversation."""
        return None

    def log(self) -> str:
        """See Conversation."""
        return "Segmentation fault"

    def stop(self) -> None:
        """See Conversation."""


@dataclass
class Watch:
    """A clock that goes on by a second at each look, and a console that keeps its lines."""

    seconds: float = 0.0
    lines: list[str] = field(default_factory=list)

    def now_s(self) -> float:
        """See Clock."""
        self.seconds += 1
        return self.seconds

    date_s = now_s

    def wait(self, seconds: float) -> None:
        """See Clock."""

    def say(self, text: str) -> None:
        """See Console."""
        self.lines.append(text)

    foreign = conceal = say

    def step(self, _name: str) -> AbstractContextManager[None]:
        """See Console."""
        return nullcontext()

    def group(self, _title: str, *, folded: bool = True) -> AbstractContextManager[None]:
        """See Console."""
        return nullcontext()


@contextmanager
def session(folder: Path) -> Iterator[tuple[ScoringSession, Output, Watch]]:
    """A session about one file of four bytes."""
    file, watch = folder / "a.csv", Watch()
    file.write_bytes(b"x\n1\n")
    with opened_output(folder / "scores", file) as output:
        identity = identify("a.csv", file, None)
        output.begin("k", {}, (identity,), strict=False)
        scored = ScoredFile(path=file, identity=identity, stem="a", start=Start())
        files = SessionFiles(scored=(scored,), format=TableFormat.CSV, total_bytes=4)
        yield ScoringSession(files, output, clock=watch, console=watch), output, watch


def test_a_file_is_read_and_a_part_is_written(tmp_path: Path) -> None:
    """
    The process gets the bytes that it asks for, and a part is recorded with what was written of it.
    """
    read = {"ask": "read", "file": 0, "offset": 2, "length": 9}
    reject = {"ask": "reject", "row": 1, "reason": "no", "record": {"x": "é"}}
    process = Scripted([read, BEGIN, ROW, reject, {**END, "rejected": 1, "row": 2}, DONE])

    with session(tmp_path) as (running, output, _):
        response = running.run(process, REQUEST)
        (part,) = output.manifest.parts
        output.publish()

    assert (DONE, b"1\n") == (response, base64.b64decode(process.replies[1]["data"]))
    assert (1, 1, 0, 2, 4, True) == (
        part.rows, part.rejected, part.first_row, part.end_row, part.end_offset, part.last,
    )  # fmt: skip
    assert "p\n1\n" == (tmp_path / "scores" / "a-00000.csv").read_text()
    rejected = json.loads((tmp_path / "scores" / "_rejects" / "a-00000.jsonl").read_text())
    assert {"input_file": "a.csv", "input_row": 1, "reason": "no", "record": {"x": "é"}} == rejected
    assert ["row 1 of `a.csv`: no"] == running.rejected_reasons


@pytest.mark.parametrize(
    "messages",
    [
        ["not JSON"],
        ["[]"],
        [{"ask": "delete"}],
        [{"ask": "read", "file": 1, "offset": 0, "length": 1}],
        [{"ask": "read", "file": 0, "offset": -1, "length": 1}],
        [{"ask": "read", "file": 0, "offset": 0, "length": 1 << 40}],
        [{"ask": "read", "file": 0, "offset": 0, "length": 1, "path": "/etc/passwd"}],
        [{"ask": "read", "file": True, "offset": 0, "length": 1}],
        [ROW],
        [BEGIN, BEGIN],
        [BEGIN, {"ask": "write", "data": "?"}],
        [END],
        [BEGIN, END],
        [BEGIN, ROW, {**END, "row": 0}],
        [BEGIN, ROW, {**END, "rows": 0}],
        [BEGIN, ROW, {**END, "rejected": 3}],
    ],
)
def test_a_process_that_sends_anything_else_is_ended(tmp_path: Path, messages: list[Any]) -> None:
    """
    Code of the model runs in it: nothing is read or written but what belongs to the run, and nothing is left.
    """
    with session(tmp_path) as (running, output, _):
        with pytest.raises(ToolFailed, match="the process that scores sent an invalid message"):
            running.run(Scripted(messages), REQUEST)
        parts = output.manifest.parts

    assert () == parts
    assert [] == list((tmp_path / "scores").rglob("*.csv*"))


def test_the_end_of_the_process_is_an_error_that_keeps_what_is_complete(tmp_path: Path) -> None:
    """
    With the row that it was at, and its last output.
    """
    progress = {"ask": "progress", "file": 0, "row": 1, "fraction": 0.5}
    messages = [BEGIN, ROW, progress, {**END, "last": False}, {**BEGIN, "row": 1}, ROW]

    with session(tmp_path) as (running, output, _):
        with pytest.raises(ToolFailed) as caught:
            running.run(Scripted(messages), REQUEST)
        kept = [part.name for part in output.manifest.parts]

    assert "the model ended its process after row 1 of `a.csv`" == caught.value.what
    assert "Segmentation fault" == caught.value.why
    assert ["a-00000.csv"] == kept


def test_an_input_that_changes_while_it_is_read_is_not_mixed(tmp_path: Path) -> None:
    """
    Its part is not recorded, and its earlier ones are forgotten.
    """
    with session(tmp_path) as (running, output, _):
        process = Scripted([BEGIN, ROW, END, DONE], before_end=lambda: (tmp_path / "a.csv").write_bytes(b"x\n2\n3\n"))
        with pytest.raises(BadInput, match="changed while it was read"):
            running.run(process, REQUEST)

        assert () == output.manifest.parts


def test_progress_is_shown_at_intervals(tmp_path: Path) -> None:
    """
    With the share, the rows a second and the time left.
    """
    steps = [{"ask": "progress", "file": 0, "row": row, "fraction": row / 40} for row in range(1, 21)]

    with session(tmp_path) as (running, _, watch):
        running.run(Scripted([BEGIN, *steps, ROW, {**END, "row": 20, "rows": 20}, DONE]), REQUEST)

    assert 1 <= len(watch.lines) <= 5
    assert all("rows/s" in line and "left" in line for line in watch.lines)
