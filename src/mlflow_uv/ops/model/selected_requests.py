"""Selects the recorded requests of a model that a server is tested with."""

from pathlib import Path

from ...command.errors import BadInput, ChainBroken
from ...command.wording import Wording, step_call
from ...core.model.answer_paths import AnswerPath
from ...core.model.ignored_answers import everything_ignored
from ...core.model.recorded_requests import RecordedRequest, RequestOrigin, compared_values
from ...core.release.record import AnswersLink
from .recorded_files import recorded_in


def requests_to_send(
    model: Path, link: AnswersLink | None, ignored: tuple[AnswerPath, ...], *, skip_derived: bool
) -> tuple[RecordedRequest, ...]:
    """
    Return the recorded requests of a model, with or without the derived ones.

    Raises ChainBroken for files that cannot be read, and BadInput if the model has no recorded predictions or nothing
    of them would be compared.
    """
    if link is None:
        raise BadInput(
            what="there are no recorded predictions to compare with",
            why="the model has no input example",
            fix=Wording("log it with input_example=…, then ", step_call("log-model")),
        )
    try:
        requests = recorded_in(model, link)
    except ValueError as error:
        raise ChainBroken(
            "answers", why=f"the recorded requests or predictions in the model cannot be read: {error}"
        ) from error
    requests = tuple(item for item in requests if not (skip_derived and item.origin is RequestOrigin.DERIVED))
    if everything := next(everything_ignored(ignored, compared_values(requests)), None):
        raise BadInput(what=everything.what, why=everything.why, fix=everything.fix)
    return requests
