"""Defines the errors that end a step without a result: one class, and one exit code, for each reason."""

from pathlib import PurePath
from typing import ClassVar

from .wording import Wording, step_call

_AGAIN = step_call("release")


def sentence(what: str, why: str, fix: str) -> str:
    """The three parts of a message in one line: what is wrong, why, and the command that fixes it."""
    text = f"{what}: {why}" if why else what
    if not fix:
        return text
    return Wording(text, "" if text.endswith((".", "?", "!")) else ".", " Fix: ", fix)


class StepError(Exception):
    """
    A step ended without a result: what is wrong, why, and the command that fixes it.

    Findings are not errors, and end with exit code 1; every class below has its own code. `path` and `line` (1-based)
    are the place in the project, `output` the last lines of the failed program, `so_far` the Report of the steps
    before, each if there is one.
    """

    exit_code: ClassVar[int] = 3
    meaning: ClassVar[str] = "the step ended without a result"

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
    def kind(self) -> str:
        """The name of the class below that it is, or is a case of: one for each exit code."""
        return next(kind.__name__ for kind in type(self).__mro__ if "exit_code" in vars(kind))

    @property
    def text(self) -> str:
        """The three parts in one line, without the place."""
        return sentence(self.what, self.why, self.fix)

    def __str__(self) -> str:
        return str(self.text)


class BadInput(StepError):
    """An input, a flag or a key of `[tool.mlflow-uv]` is invalid."""

    exit_code = 2
    meaning = "an input, flag or setting is wrong"


class BadProject(StepError):
    """The project folder has no readable `pyproject.toml`, or it cannot be used by the step."""

    exit_code = 4
    meaning = "the project cannot be read"


class ToolMissing(StepError):
    """A required program is not installed or too old."""

    exit_code = 5
    meaning = "a required program is missing"


class ToolFailed(StepError):
    """A program failed, for a reason without a class of its own."""

    exit_code = 6
    meaning = "a program failed"


class NotCommitted(StepError):
    """The project is not in a git repository with a commit."""

    exit_code = 7
    meaning = "the project has no commit"


class StoreUnreachable(StepError):
    """The tracking server or registry does not respond, denies access, or is not configured."""

    exit_code = 8
    meaning = "the tracking server cannot be used"


class TrainingFailed(StepError):
    """The project's training command failed."""

    exit_code = 9
    meaning = "training failed"


class ModelNotFound(StepError):
    """Training logged no model, or several of which none was selected."""

    exit_code = 10
    meaning = "there is no model, or more than one"


class ChainBroken(StepError):
    """A link of the release differs from the value that is computed again from its source."""

    exit_code = 11
    meaning = "a link of the chain is broken"

    def __init__(self, *links: str, why: str, fix: str = _AGAIN) -> None:
        super().__init__(what=f"the chain is broken at {', '.join(f'`{link}`' for link in links)}", why=why, fix=fix)
        self.links = links


class BaseImageMissing(StepError):
    """The base image is not present and cannot be pulled."""

    exit_code = 12
    meaning = "the base image is missing"


class NoEngine(StepError):
    """A container engine is required and none responds."""

    exit_code = 13
    meaning = "no container engine answers"


class ModelUnusable(StepError):
    """The model does not load, or cannot predict its own input example."""

    exit_code = 14
    meaning = "the model cannot predict its own input example"


class NotServing(StepError):
    """The server exited, or was not healthy in time."""

    exit_code = 15
    meaning = "the model server did not become healthy"


class LockNotFresh(StepError):
    """The lock is stale, missing or unreadable; check-lock reports the reasons."""

    exit_code = 16
    meaning = "the lock is not fresh"


class Unforeseen(StepError):
    """An internal error: an exception that none of the classes above describes."""

    exit_code = 17
    meaning = "an internal error"


class BaseImageUnfit(StepError):
    """The base image lacks the model's Python, or cannot load a library that the model needs."""

    exit_code = 18
    meaning = "the base image lacks the Python or a library that the model needs"


class NoSpace(StepError):
    """A disk is full."""

    exit_code = 19
    meaning = "a disk is full"


class BuildRefused(StepError):
    """A build is required and builds are refused, as for a pull request from a fork."""

    exit_code = 20
    meaning = "a build is required and is refused"


class DeploymentBusy(StepError):
    """Another run changes the same deployment at this moment."""

    exit_code = 21
    meaning = "another run changes the deployment"


class PlanOutdated(StepError):
    """What a plan was made from has changed since: the alias, or what runs."""

    exit_code = 22
    meaning = "something moved after the deployment was planned"


class NotReturned(StepError):
    """A deployment failed, and what ran before could not be returned to."""

    exit_code = 23
    meaning = "a deployment failed, and what ran before does not run again"


class NotConvertible(StepError):
    """A model, or a step of it, has no counterpart in the format that it is converted to."""

    exit_code = 24
    meaning = "the model cannot be converted"


class ModelRefused(StepError):
    """The files of a model import what no model needs, or cannot be scanned; nothing loaded it."""

    exit_code = 25
    meaning = "the model has code that no model needs, or cannot be scanned for it"


class OutputNotWritten(StepError):
    """Standard output cannot be written, for example to a full disk; what the step did before is done."""

    exit_code = 26
    meaning = "standard output cannot be written"


class InputsChanged(StepError):
    """What a training depends on, such as a file or the lock, changed before its end; no model of it is used."""

    exit_code = 27
    meaning = "an input of training changed before training ended"


class LoginRefused(StepError):
    """A job has no identity, or the platform that it logs in to with its identity or secret does not accept it."""

    exit_code = 28
    meaning = "a platform does not accept the login of this job"


INTERRUPTED = 130  # the exit code after Ctrl-C


class Cancelled(BaseException):
    """
    SIGTERM or Ctrl-C was received; the processes of the step are ended. A BaseException, like KeyboardInterrupt.

    `so_far` is the Report of what was finished before; a step without one raises the exception of the signal.
    """

    exit_code = 143

    def __init__(self, so_far: object = None, *, exit_code: int = exit_code) -> None:
        super().__init__()
        self.so_far = so_far
        self.exit_code = exit_code
