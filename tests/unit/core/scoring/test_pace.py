"""What is shown of the progress of a run."""

import pytest

from mlflow_uv.core.scoring.pace import Pace, duration


def test_the_time_left_is_that_of_the_rest_at_this_speed() -> None:
    """
    What an earlier run had done counts as done, and not as speed.
    """
    pace = Pace(rows=250_000, seconds=50.0, share_before=0.5, share=0.75)

    assert 50.0 == pace.left_s
    assert "75% · 250,000 rows · 5,000 rows/s · 50 s left" == pace.text


def test_a_run_without_speed_has_no_time_left() -> None:
    """
    Before the first batch nothing is known.
    """
    assert "0% · 0 rows · 0 rows/s" == Pace(rows=0, seconds=0.0, share_before=0.0, share=0.0).text


@pytest.mark.parametrize(("seconds", "text"), [(0.2, "0 s"), (59.4, "59 s"), (70, "1 min 10 s"), (7500, "2 h 5 min")])
def test_a_duration_has_two_units_at_most(seconds: float, text: str) -> None:
    """
    Seconds of hours tell nobody anything.
    """
    assert text == duration(seconds)
