"""Which recorded requests of a model a server gets."""

from pathlib import Path

import pytest

from mlflow_uv.command.errors import BadInput, ChainBroken
from mlflow_uv.core.model import model_files
from mlflow_uv.core.model.answer_paths import parse_path
from mlflow_uv.core.model.recorded_requests import RecordedRequest, RequestOrigin, requests_file, responses_file
from mlflow_uv.core.release.record import AnswersLink
from mlflow_uv.ops.model.selected_requests import requests_to_send

LINK = AnswersLink(cases="a", expected="b", requests="c", responses="d")
DERIVED = RecordedRequest(name="derived: x", origin=RequestOrigin.DERIVED, body="{}", answer={"predictions": [1]})


@pytest.fixture
def model(tmp_path: Path) -> Path:
    """A model with an example and a derived request."""
    files = {
        model_files.CASES: '[{"inputs": [1]}]',
        model_files.ANSWERS: '[{"predictions": [1]}]',
        model_files.REQUESTS: requests_file([DERIVED]),
        model_files.RESPONSES: responses_file([DERIVED]),
    }
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(exist_ok=True, parents=True)
        (tmp_path / name).write_text(text)
    return tmp_path


def test_derived_requests_can_be_left_out(model: Path) -> None:
    """
    The example stays.
    """
    selected = [requests_to_send(model, LINK, (), skip_derived=skip) for skip in (False, True)]

    assert [2, 1] == list(map(len, selected))


def test_a_model_without_predictions_is_wrong_input(model: Path) -> None:
    """
    So is one of which nothing would be compared; a missing file breaks the chain.
    """
    with pytest.raises(BadInput, match="no recorded predictions"):
        requests_to_send(model, None, (), skip_derived=False)
    with pytest.raises(BadInput, match="excludes the whole response"):
        requests_to_send(model, LINK, (parse_path("$.predictions"),), skip_derived=False)
    (model / model_files.ANSWERS).unlink()
    with pytest.raises(ChainBroken, match="cannot be read"):
        requests_to_send(model, LINK, (), skip_derived=False)
