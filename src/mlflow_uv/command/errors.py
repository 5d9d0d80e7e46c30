"""Defines the errors that end a step without an answer: one class, and one exit code, for each reason."""

from pathlib import PurePath
from typing import ClassVar

from .wording import Wording, step_call

_AGAIN = step_call("release")


def sentence(what: str, why: str, fix: str) -> str:
    """The three parts of every message in one line: what is so, why, and the command that mends it."""
    text = f"{what}: {why}" if why else what
    if not fix:
        return text
    return Wording(text, "" if text.endswith((".", "?", "!")) else ".", " Fix: ", fix)


class StepError(Exception):
    """
    A step that cannot give an answer: what is so, why, and the command that mends it.

    Findings end with exit code 1 and are not errors; every class below has its own code. `path` and `line` (1-based)
    are the place in the project that it is about, `output` the last lines of the program that failed, `so_far` the
    Report of what was done before, each where there is one.
    """

    exit_code: ClassVar[int] = 3
    meaning: ClassVar[str] = "the step ended without an answer"

    def __init__(self, *, what: str, why: str = "", fix: str = "") -> None:
        super().__init__(what)
        self.what = what
        self.why = why
        self.fix = fix
        self.path: PurePath | None = None
        self.line = 1
        self.output: tuple[str, ...] = ()
        self.so_far: object = None

    @property
    def text(self) -> str:
        """The three parts as one sentence, without the place."""
        return sentence(self.what, self.why, self.fix)

    def __str__(self) -> str:
        return str(self.text)


class BadInput(StepError):
    """An input, a flag or a key of `[tool.mlflow-uv]` that cannot be understood."""

    exit_code = 2
    meaning = "an input, flag or setting is wrong"


class BadProject(StepError):
    """The project folder has no readable `pyproject.toml`, or none that fits the question."""

    exit_code = 4
    meaning = "the project cannot be read"


class ToolMissing(StepError):
    """A program this step needs is not installed or too old."""

    exit_code = 5
    meaning = "a required program is missing"


class ToolFailed(StepError):
    """A program ended in a way that none of the other classes describes."""

    exit_code = 6
    meaning = "a program failed"


class NotCommitted(StepError):
    """The project is not in a git repository with a commit, so nothing can name its state."""

    exit_code = 7
    meaning = "the project has no commit"


class StoreUnreachable(StepError):
    """The tracking server or registry does not answer, refuses us, or was not named."""

    exit_code = 8
    meaning = "the tracking server cannot be used"


class TrainingFailed(StepError):
    """The project's own training command did not end well."""

    exit_code = 9
    meaning = "training failed"


class ModelNotFound(StepError):
    """Training logged no model, or several and none was chosen."""

    exit_code = 10
    meaning = "there is no model, or more than one"


class ChainBroken(StepError):
    """A link of the release does not hold when it is computed again from its source."""

    exit_code = 11
    meaning = "a link of the chain is broken"

    def __init__(self, *links: str, why: str, fix: str = _AGAIN) -> None:
        super().__init__(what=f"the chain is broken at {', '.join(f'`{link}`' for link in links)}", why=why, fix=fix)
        self.links = links


class BaseImageMissing(StepError):
    """The base image is neither here nor can it be pulled."""

    exit_code = 12
    meaning = "the base image is missing"


class NoEngine(StepError):
    """A container engine was asked for and none answers."""

    exit_code = 13
    meaning = "no container engine answers"


class ModelUnusable(StepError):
    """The model does not load, or cannot predict its own input example."""

    exit_code = 14
    meaning = "the model cannot predict its own input example"


class NotServing(StepError):
    """The server died, or was not healthy in time."""

    exit_code = 15
    meaning = "the model server did not become healthy"


class LockNotFresh(StepError):
    """The lock is stale, missing or unusable, so nothing can be made from it; check-lock says more."""

    exit_code = 16
    meaning = "the lock is not fresh"


class Unforeseen(StepError):
    """A mistake of ours: anything that none of the classes above was made for."""

    exit_code = 17
    meaning = "an internal error"


class BaseImageUnfit(StepError):
    """The base image lacks the model's Python, or a library without which the model does not load."""

    exit_code = 18
    meaning = "the base image lacks the Python or a library that the model needs"


class NoSpace(StepError):
    """A disk is full."""

    exit_code = 19
    meaning = "a disk is full"


class BuildRefused(StepError):
    """Something would have to be built to answer, and builds are refused, as for a pull request from a fork."""

    exit_code = 20
    meaning = "a build is required and is refused"


class Cancelled(BaseException):
    """SIGTERM: the caller wants us gone, and all that we started. A BaseException, as KeyboardInterrupt is."""

    exit_code = 143
