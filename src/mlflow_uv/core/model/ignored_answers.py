"""Reads the paths that `ignore-answers` leaves out, and tells which of them name nothing."""

from collections.abc import Iterator, Sequence

from ...command.errors import BadInput
from ...command.report import Finding, Severity
from ...command.wording import option
from .answer_paths import AnswerPath, compares_something, names_something, parse_path


def ignored_paths(texts: Sequence[str]) -> tuple[AnswerPath, ...]:
    """The paths of an input or setting. Raises BadInput for what is none."""
    try:
        return tuple(map(parse_path, texts))
    except ValueError as error:
        what = "`ignore-answers` holds something that is no path into an answer"
        raise BadInput(what=what, why=str(error), fix=option("ignore-answers", "$.created")) from error


def naming_nothing(paths: Sequence[AnswerPath], answers: Sequence[object]) -> Iterator[Finding]:
    """A notice for each path that is in no answer of training, and so leaves out nothing."""
    for path in paths:
        if not any(names_something(answer, path) for answer in answers):
            yield Finding(
                rule="ignored-nothing",
                severity=Severity.WARNING,
                what=f"`{path.text}` of `ignore-answers` names nothing in any answer",
                why="so nothing is left out for it",
                fix="correct it, or take it out",
            )


def leaving_nothing(paths: Sequence[AnswerPath], answers: Sequence[object]) -> Iterator[Finding]:
    """An error where the paths together leave out every value of every answer, so that any model would pass."""
    before, after = (any(compares_something(answer, left_out) for answer in answers) for left_out in ((), paths))
    if before and not after:
        yield Finding(
            rule="ignored-everything",
            what="`ignore-answers` leaves out everything that the model answers",
            why="nothing would be compared, so that any answer would pass as the one of training",
            fix="name only what differs each time",
        )
