"""Recorded requests are read from a model, all of them only if its record says that there are more."""

import json
from dataclasses import replace
from pathlib import Path

import pytest

from mlflow_uv.core.model import model_files
from mlflow_uv.core.model.recorded_requests import RecordedRequest, RequestOrigin, requests_file, responses_file
from mlflow_uv.core.release.record import AnswersLink
from mlflow_uv.ops.model.recorded_files import recorded_in

LINK = AnswersLink(cases="0", expected="1")
MORE = RecordedRequest(name="line 2", origin=RequestOrigin.FILE, body='{"inputs": [2]}', answer=[4])


def model(folder: Path, cases: str = '[{"inputs": [1]}]', answers: str = '[{"predictions": [2]}]') -> Path:
    """A model with these recorded files."""
    (folder / model_files.FOLDER).mkdir()
    (folder / model_files.CASES).write_text(cases)
    (folder / model_files.ANSWERS).write_text(answers)
    (folder / model_files.REQUESTS).write_text(requests_file([MORE]))
    (folder / model_files.RESPONSES).write_text(responses_file([MORE]))
    return folder


def test_the_record_says_whether_there_are_more_than_the_example(tmp_path: Path) -> None:
    """
    Files that it does not vouch for are not read.
    """
    folder = model(tmp_path)

    without, alone, all_of_them = (recorded_in(folder, link) for link in (None, LINK, replace(LINK, requests="2")))

    (example,) = alone
    assert (json.dumps({"inputs": [1]}), {"predictions": [2]}) == (example.body, example.answer)
    assert (alone, (example, MORE)) == (without, all_of_them)


@pytest.mark.parametrize(
    ("cases", "answers"), [("{}", "[]"), ("[1]", "[]"), ("[]", "[1]"), ("3", "[]"), ("not JSON", "[]")]
)
def test_files_that_do_not_fit_together_are_refused(tmp_path: Path, cases: str, answers: str) -> None:
    """
    As no release writes them.
    """
    with pytest.raises(ValueError, match=r"not lists of the same length|its file .* is not JSON"):
        recorded_in(model(tmp_path, cases, answers), LINK)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    """
    It is a file of the model.
    """
    folder = model(tmp_path)
    (folder / model_files.ANSWERS).unlink()

    with pytest.raises(ValueError, match=r"its file mlflow-uv/answers.json is missing"):
        recorded_in(folder, LINK)
