"""Reads the recorded requests of a model, with the responses of its training environment."""

from pathlib import Path

from ...core.model import model_files
from ...core.model.recorded_requests import RecordedRequest, from_examples, read_recorded
from ...core.model.streams import requests_stream
from ...core.release.record import AnswersLink
from ...core.security.documents import parse_json


def recorded_in(model: Path, link: AnswersLink | None) -> tuple[RecordedRequest, ...]:
    """
    Return the requests of the input example, and those of a file, for streams and derived ones if the record has any.

    A request whose body has `"stream": true` is left out if streams are recorded: MLflow's server ignores that member,
    and this program's server answers it with a stream. Raises ValueError for a file that is missing or not as log-model
    writes it.
    """
    cases, answers = (_parsed(model, name) for name in (model_files.CASES, model_files.ANSWERS))
    if not isinstance(cases, list) or not isinstance(answers, list) or len(cases) != len(answers):
        raise ValueError(f"{model_files.CASES} and {model_files.ANSWERS} are not lists of the same length")
    examples = from_examples(cases, answers)
    if link is None or not link.requests:
        return examples
    files = (_parsed(model, name) for name in (model_files.REQUESTS, model_files.RESPONSES))
    recorded = (*examples, *read_recorded(*files))
    if not any(item.is_stream for item in recorded):
        return recorded
    return tuple(item for item in recorded if item.is_stream or not requests_stream(item.body))


def _parsed(model: Path, name: str) -> object:
    try:
        content: object = parse_json((model / name).read_bytes())
    except FileNotFoundError as error:
        raise ValueError(f"its file {name} is missing") from error
    except ValueError as error:
        raise ValueError(f"its file {name} is not JSON: {error}") from error
    return content
