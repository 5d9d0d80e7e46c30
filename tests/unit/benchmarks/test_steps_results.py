"""The benchmark of steps subtracts what no program can avoid, and says which steps miss the aim."""

import pytest

from benchmarks import steps_results as steps


def test_a_step_that_misses_the_aim_is_bold_and_counted() -> None:
    """
    What Python alone takes is no part of a step's number.
    """
    taken = {steps.ALONE: 10.0, "audit": 110.0, "release": 111.0, steps.REFUSED: 100.0}

    text = steps.section(taken, {"audit": 210, "release": 290}, rounds=30)

    assert "| `audit` | 100 |\n| `release` | **101** |" in text
    assert "**bold numbers miss it**: 1 of 2." in text
    assert "What is left are 210 to 290 of our modules" in text
    assert "the help, it takes 90 ms." in text


def test_a_step_is_compared_with_its_own_requests() -> None:
    """
    Its processor time beyond them may be more or less.
    """
    steps_taken = [
        steps.StoreStep("audit", 30, steps.Taken(1.5, 0.9), steps.Taken(1.75, 1.0)),
        steps.StoreStep("promote", 52, steps.Taken(2.0, 1.0), steps.Taken(1.0, 0.75)),
    ]

    text = steps.store_section(steps_taken, rounds=5)

    assert "| `audit` | 30 | 1.50 s | 1.75 s | 0.90 s | 1.00 s | +0.10 s |" in text
    assert "| `promote` | 52 | 2.00 s | 1.00 s | 1.00 s | 0.75 s | -0.25 s |" in text
    assert "Medians of 5 rounds" in text


def test_a_set_up_that_misses_its_aim_is_bold() -> None:
    """
    Only the two that have one.
    """
    slow = steps.Taken(9.0, 1.5)
    setup = steps.Setup(cold=steps.Taken(3.01, 1.0), downloaded=slow, warm=steps.Taken(0.3, 0.2), without_uv=slow)

    text = steps.setup_section(setup, rounds=3, load=20.5)

    assert "| uv is on `PATH`, nothing was downloaded | **3.01** | 1.00 | 3 |" in text
    assert "| the same, with what uv downloaded before | 9.00 | 1.50 |  |" in text
    assert "| the environment was made before | 0.30 | 0.20 | 0.3 |" in text
    assert "Medians of 3 rounds at a load of 20.5" in text


@pytest.mark.parametrize(("load", "stated"), [(2.0, False), (2.1, True)])
def test_a_load_that_disturbs_is_stated(load: float, *, stated: bool) -> None:
    """
    More processes than processors make wall-clock times longer; the sentence is written with the numbers.
    """
    text = " ".join(steps.disturbed(load, 2))

    assert stated == ("does not show that the aim is missed" in text)
