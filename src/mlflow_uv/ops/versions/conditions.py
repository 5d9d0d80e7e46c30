"""Defines the conditions of a promotion, and how they are shown."""

from ...command.report import Table
from ...payloads.messages.lazy_dataclass import lazy_dataclass


@lazy_dataclass
class Condition:
    """One condition, named after its rule in [tool.mlflow-uv.promote] if it has one."""

    name: str
    holds: bool
    text: str
    fix: str = ""


@lazy_dataclass
class PromotionDecision:
    """Every condition, and tables of the differences to the champion."""

    conditions: tuple[Condition, ...]
    tables: tuple[Table, ...]

    @property
    def lines(self) -> tuple[str, ...]:
        """The conditions as lines for the audit entry."""
        return tuple(f"{'✓' if condition.holds else '✗'} {condition.text}" for condition in self.conditions)

    @property
    def table(self) -> Table:
        """The conditions as a table."""
        rows = tuple(
            (condition.name, "✓ holds" if condition.holds else "✗ fails", condition.text)
            for condition in self.conditions
        )
        return Table(title="Gates", columns=("Gate", "", "Numbers"), rows=rows)
