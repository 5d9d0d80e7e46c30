"""The benchmark of starts subtracts Python's own, and says which steps miss the aim."""

from benchmarks import steps_results as steps


def test_a_step_that_misses_the_aim_is_bold_and_counted() -> None:
    """
    What Python alone takes is no part of a step's number.
    """
    text = steps.section({steps.ALONE: 10.0, "audit": 110.0, "release": 111.0}, rounds=30)

    assert "| `audit` | 100 |\n| `release` | **101** |" in text
    assert "**bold numbers miss it**: 1 of 2." in text
