"""The conditions of a promotion as they are shown."""

from mlflow_uv.ops.versions.conditions import Condition, PromotionDecision


def test_a_decision_is_shown_with_the_mark_of_each_condition() -> None:
    """
    As lines for the entry on the version, and as the table of a summary.
    """
    conditions = (
        Condition(name="state", holds=True, text="it is tested"),
        Condition(name="gates", holds=False, text="1 < 2"),
    )

    decision = PromotionDecision(conditions=conditions, tables=())

    assert ("✓ it is tested", "✗ 1 < 2") == decision.lines
    assert (("state", "✓ holds", "it is tested"), ("gates", "✗ fails", "1 < 2")) == decision.table.rows
