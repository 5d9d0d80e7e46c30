"""Parses the paths of `ignore-answers`, and reports those that match nothing or everything."""

from collections.abc import Iterator, Sequence

from ...command.errors import BadInput
from ...command.report import Finding, Severity
from ...command.wording import option
from .answer_paths import AnswerPath, compares_something, names_something, parse_path


def ignored_paths(texts: Sequence[str]) -> tuple[AnswerPath, ...]:
    """Parse the paths of an input or setting. Raises BadInput for an invalid path."""
    try:
        return tuple(map(parse_path, texts))
    except ValueError as error:
        what = "`ignore-answers` has an invalid path"
        raise BadInput(what=what, why=str(error), fix=option("ignore-answers", "$.created")) from error


def unmatched_paths(paths: Sequence[AnswerPath], answers: Sequence[object]) -> Iterator[Finding]:
    """Yield a warning for each path that matches nothing in any response recorded after training."""
    for path in paths:
        if not any(names_something(answer, path) for answer in answers):
            yield Finding(
                rule="ignored-nothing",
                severity=Severity.WARNING,
                what=f"`{path.text}` in `ignore-answers` matches nothing in any response",
                why="it has no effect",
                fix="correct or remove it",
            )


def everything_ignored(paths: Sequence[AnswerPath], answers: Sequence[object]) -> Iterator[Finding]:
    """Yield an error if the paths together remove every value of every answer, so that any model would pass."""
    before, after = (any(compares_something(answer, left_out) for answer in answers) for left_out in ((), paths))
    if before and not after:
        yield Finding(
            rule="ignored-everything",
            what="`ignore-answers` excludes the whole response",
            why="nothing would be compared, so that any response would pass",
            fix="exclude only values that differ each time",
        )
