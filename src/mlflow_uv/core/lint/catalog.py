"""Lists the rules of `lint` by name and imports the module of a rule on first use, so that a hook imports one."""

from functools import cache
from importlib import import_module

from .rule import LintRule

# The module of a rule has its name, with underscores.
NAMES = (
    "dockerfile-lock",
    "requirements-drift",
    "environment-drift",
    "python-version",
    "script-lock",
    "pinned-tools",
    "tracking-uri",
    "credentials",
    "committed-store",
    "committed-model",
    "notebook-outputs",
)


@cache
def rule_of(name: str) -> LintRule:
    """Return the rule with a name from NAMES."""
    rule: LintRule = import_module(f".rules.{name.replace('-', '_')}", __package__).RULE
    return rule


def rules() -> tuple[LintRule, ...]:
    """Return all rules."""
    return tuple(map(rule_of, NAMES))
