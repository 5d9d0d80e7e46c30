"""What a person sees at a terminal while a step runs: a real pseudo-terminal, and what its sequences draw there."""

import fcntl
import io
import os
import re
import signal
import struct
import subprocess
import sys
import termios
import threading
import unicodedata
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from mlflow_uv.surfaces.durations import Durations
from mlflow_uv.surfaces.live_line import LiveLine
from tests.waiting import CEILING_S, happens

SECRET = "s3cret-of-the-caller"
# A step that does what it is told on standard input.
STEP = """
import sys
from contextlib import ExitStack
from pathlib import Path
from mlflow_uv.surfaces.cli import cancellable
from mlflow_uv.surfaces.terminal import Detail, terminal
console = terminal(project=Path("/wine"), detail=Detail(sys.argv[1]))
def work():
    with console.working("log-model"), ExitStack() as groups:
        for line in sys.stdin:
            word, _, text = line.rstrip("\\n").partition(" ")
            if word == "group":
                groups.enter_context(console.group(text))
            elif word == "end":
                groups.close()
            else:
                getattr(console, word)(text)
    return 0
raise SystemExit(cancellable(work))
"""
SEQUENCE = re.compile(r"\x1b\[K|\x1b\[[0-9;]*m")


@dataclass
class Screen:
    """What a terminal shows: it knows a new line, a return, erasing to the end of a line and colours, nothing else."""

    columns: int
    rows: list[str] = field(default_factory=lambda: [""])
    colours: int = 0
    column: int = 0

    def feed(self, text: str) -> None:
        """Draw what a program wrote. Raises AssertionError for anything that this program never writes."""
        while text:
            if match := SEQUENCE.match(text):
                if match[0] == "\x1b[K":
                    self.rows[-1] = self.rows[-1][: self.column]
                else:
                    self.colours += 1
                text = text[match.end() :]
                continue
            character, text = text[0], text[1:]
            assert character in "\r\n" or character.isprintable(), repr(character)
            if character == "\n":
                self.rows.append("")
            elif character == "\r":
                self.column = 0
            else:
                assert self.column == len(self.rows[-1]), "it is written over what is there"
                self.rows[-1] += character
                self.column += 1
                assert self.cells <= self.columns, f"{self.rows[-1]!r} wraps"

    @property
    def cells(self) -> int:
        """The cells of the last row."""
        return sum(
            0 if unicodedata.combining(one) else 2 if unicodedata.east_asian_width(one) in "WF" else 1
            for one in self.rows[-1]
        )


@dataclass
class Terminal:
    """A pseudo-terminal with a step that writes to it."""

    process: subprocess.Popen[str]
    screen: Screen
    controller: int

    def tell(self, line: str) -> None:
        """Let the step do something."""
        assert self.process.stdin is not None
        self.process.stdin.write(f"{line}\n")
        self.process.stdin.flush()

    def shows(self, pattern: str) -> bool:
        """Whether the last row becomes one that a pattern describes as a whole."""
        return happens(lambda: re.fullmatch(pattern, self.screen.rows[-1]) is not None)

    def resize(self, columns: int) -> None:
        """Give the terminal another width."""
        self.screen.columns = columns
        _resize(self.controller, columns)

    def end(self) -> int:
        """End the step, and return its exit code."""
        assert self.process.stdin is not None
        self.process.stdin.close()
        return self.process.wait(CEILING_S)


def _resize(controller: int, columns: int) -> None:
    fcntl.ioctl(controller, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))


@contextmanager
def step_at_terminal(home: Path, *, columns: int = 60, detail: str = "usual", **variables: str) -> Iterator[Terminal]:
    """A step whose standard error is a terminal, with a reader of what it writes."""
    controller, device = os.openpty()
    _resize(controller, columns)
    environment = {
        "PATH": os.environ["PATH"], "HOME": str(home), "TERM": "xterm-256color", "LC_ALL": "C.UTF-8", "A_TOKEN": SECRET,
        **variables,
    }  # fmt: skip
    process = subprocess.Popen(
        (sys.executable, "-I", "-c", STEP, detail), stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=device,
        env=environment, text=True,
    )  # fmt: skip
    os.close(device)
    terminal = Terminal(process, Screen(columns), controller)
    faults: list[AssertionError] = []
    reader = threading.Thread(target=_read, args=(controller, terminal.screen, faults))
    reader.start()
    try:
        yield terminal
    finally:
        if process.stdin is not None:
            process.stdin.close()
        process.wait(CEILING_S)
        reader.join(CEILING_S)
        os.close(controller)
    assert [] == faults


def _read(controller: int, screen: Screen, faults: list[AssertionError]) -> None:
    """Draw all that is written, until nobody has the terminal open any more."""
    rest = b""
    while True:
        try:
            rest += os.read(controller, 1 << 16)
        except OSError:
            return
        try:
            text = rest.decode()
        except UnicodeDecodeError:
            continue  # half of a character
        if re.search(r"\x1b(?:\[[0-9;]*)?$", text):
            continue  # half of a sequence
        rest = b""
        try:
            screen.feed(text)
        except AssertionError as error:
            faults.append(error)
            screen.rows.append("")
            screen.column = 0


def test_a_step_that_prints_nothing_shows_that_it_runs(tmp_path: Path) -> None:
    """
    Its seconds are counted, below what was printed and below what is printed meanwhile.
    """
    with step_at_terminal(tmp_path) as terminal:
        first = terminal.shows(r"  [1-9]\d* s · log-model")
        terminal.tell("say the store has no model")
        again = terminal.shows(r"  [2-9]\d* s · log-model")
        code = terminal.end()

    assert (True, True, 0) == (first, again, code)
    assert ["the store has no model", ""] == terminal.screen.rows


def test_the_newest_line_of_a_program_is_shown_and_nothing_of_it_is_left(tmp_path: Path) -> None:
    """
    Without sequences and secrets, cut where the terminal ends, whatever the cells of its letters are.
    """
    with step_at_terminal(tmp_path) as terminal:
        terminal.tell("group train wine")
        terminal.tell(f"foreign \x1b[31m::error::{SECRET}\x1b[2J\t\u202edone")
        masked = terminal.shows(r"  \d+ s · train wine · ::error::\*\*\* \\u202edone")
        terminal.tell("foreign " + "模型" * 40)
        wide = terminal.shows(r"  \d+ s · train wine · (模型)+模?…")
        cells = terminal.screen.cells
        terminal.resize(30)
        narrow = terminal.shows(r"  \d+ s · train wine · 模型模?…")
        terminal.tell("end")
        after = terminal.shows(r"  \d+ s · log-model")
        code = terminal.end()

    assert (True, True, True, True, 0) == (masked, wide, narrow, after, code)
    assert 58 <= cells <= 59
    assert ["  train wine", ""] == terminal.screen.rows


def test_what_took_long_before_is_expected_to_take_as_long(tmp_path: Path) -> None:
    """
    Of the same part in another release, which differs in a version; the time of this one counts from then on.
    """
    durations = Durations(tmp_path / ".cache/mlflow-uv", Path("/wine"))
    durations.add({"log-model": 7200.0})
    durations.add({"log-model": 7200.0, "log-model/build #": 0.4})

    with step_at_terminal(tmp_path) as terminal:
        whole = terminal.shows(r"  \d+ s of about 2 h 0 min · log-model")
        terminal.tell("group build wine:7")
        short = terminal.shows(r"  [1-9]\d* s · build wine:7")

    assert (True, True) == (whole, short)
    now = Durations(tmp_path / ".cache/mlflow-uv", Path("/wine"))
    assert (7200.0, True) == (now.expected("log-model"), (now.expected("log-model/build #") or 0) >= 1)


def test_a_part_that_takes_longer_than_usual_says_so(tmp_path: Path) -> None:
    """
    What usually takes less than two seconds has no expected time, which nobody would read.
    """
    durations = Durations(tmp_path, Path("/wine"))
    durations.add({"log-model": 70.0, "log-model/train wine": 2.0, "log-model/export": 1.9})
    now_s = [0.0]
    line = LiveLine(io.StringIO(), durations=Durations(tmp_path, Path("/wine")), dim="", now_s=lambda: now_s[0])
    texts = []

    def text_after(seconds: float) -> None:
        now_s[0] += seconds
        texts.append(line.text)

    with line.part("log-model"):
        text_after(70.0)
        text_after(1.0)
        with line.part("train wine"):
            text_after(2.0)
            text_after(1.0)
        with line.part("export"):
            text_after(1.0)

    assert [
        "  1 min 10 s of about 1 min 10 s · log-model",
        "  1 min 11 s, usually 1 min 10 s · log-model",
        "  2 s of about 2 s · train wine",
        "  3 s, usually 2 s · train wine",
        "  1 s · export",
    ] == texts


def test_a_cancelled_step_leaves_a_clean_row(tmp_path: Path) -> None:
    """
    The line is erased; the cursor was never hidden, and no mode of the terminal changed.
    """
    with step_at_terminal(tmp_path) as terminal:
        terminal.tell("group train wine")
        terminal.tell("foreign epoch 1")
        shown = terminal.shows(r"  \d+ s · train wine · epoch 1")
        terminal.process.send_signal(signal.SIGINT)
        code = terminal.process.wait(CEILING_S)

    assert (True, 130) == (shown, code)
    assert ["  train wine", "  │ epoch 1", "cancelled", ""] == terminal.screen.rows
    assert Durations(tmp_path / ".cache/mlflow-uv", Path("/wine")).expected("log-model") is None


@pytest.mark.parametrize(
    ("variables", "detail", "shown", "colours"),
    [
        ({}, "usual", True, True),
        ({}, "verbose", True, True),
        ({"NO_COLOR": "1"}, "usual", True, False),
        ({"TERM": "dumb"}, "usual", False, False),
        ({}, "quiet", False, False),
    ],
)
def test_the_line_follows_the_conventions(
    tmp_path: Path, variables: dict[str, Any], detail: str, *, shown: bool, colours: bool
) -> None:
    """
    It is shown without colours where none are wanted, and not at all where the cursor cannot move or all is quiet.
    """
    with step_at_terminal(tmp_path, detail=detail, **variables) as terminal:
        terminal.tell("group train wine")
        terminal.tell("foreign epoch 1")
        found = terminal.shows(r"  [1-9]\d* s · .*wine.*") if shown else terminal.end() != 0
        terminal.end()

    rows = [] if detail == "quiet" else ["  train wine", *(["  │ epoch 1"] if detail == "verbose" else [])]
    assert (shown, colours, [*rows, ""]) == (found, terminal.screen.colours > 0, terminal.screen.rows)


def test_a_terminal_that_is_gone_ends_nothing() -> None:
    """
    The step goes on when the window is closed, as far as it does not print itself.
    """

    class Gone(io.StringIO):
        """A stream that nobody reads any more."""

        def write(self, text: str) -> int:
            tried.set()
            raise OSError(5, "Input/output error")

    tried = threading.Event()
    line = LiveLine(Gone(), durations=None, dim="")

    with line.part("train wine"):
        was_tried = tried.wait(CEILING_S)

    assert was_tried
