"""What a release says at its end."""

from dataclasses import replace

from mlflow_uv.core.release.record import AnswersLink
from mlflow_uv.steps.release import _serve_line
from tests.unit.core.release.test_record import WHOLE


def test_the_command_that_serves_an_image_hands_on_what_its_model_needs() -> None:
    """
    By name: the value is the caller's, and stands in no command line.
    """
    needing = replace(WHOLE, answers=AnswersLink(cases="7", expected="8", variables=("A_KEY", "REGION")))

    found = [_serve_line(record, "wine:7") for record in (needing, WHOLE)]

    assert [
        "serve it:    docker run --rm --publish 8080:8080 --env A_KEY --env REGION wine:7",
        "serve it:    docker run --rm --publish 8080:8080 wine:7",
    ] == found
