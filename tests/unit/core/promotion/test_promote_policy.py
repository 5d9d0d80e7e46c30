"""[tool.mlflow-uv.promote], as it is written."""

import re
from pathlib import PurePath
from typing import Any

import pytest
import tomli

from mlflow_uv.command.errors import BadInput
from mlflow_uv.command.step import fields_of
from mlflow_uv.core.lock.toml_lines import key_lines
from mlflow_uv.core.policy.table import PolicyTable
from mlflow_uv.core.promotion.promote_policy import PromotePolicy, Promotion, read_promotion

HEAD = '[project]\nname = "wine"\n\n[tool.mlflow-uv.promote]\n'
MANIFEST = PurePath("pyproject.toml")


def table_of(value: Any, text: str = "") -> PolicyTable:
    """The table of a policy in a manifest."""
    return PolicyTable(name="promote", value=value, lines=key_lines(text), manifest=MANIFEST, shown="pyproject.toml")


def promotion(*lines: str) -> Promotion:
    """A manifest's table; its first line is the fifth of the file."""
    text = HEAD + "".join(f"{line}\n" for line in lines)
    table = tomli.loads(text)["tool"]["mlflow-uv"]["promote"]
    return read_promotion(table_of(table, text))


def test_an_empty_table_asks_for_nothing() -> None:
    """
    And allows nothing either.
    """
    found = promotion()

    assert (PromotePolicy(), (), None, False) == (
        found.policy, found.gates, found.policy.minimum_age_hours, found.policy.allow_dirty,
    )  # fmt: skip


def test_everything_that_may_be_said_is_read() -> None:
    """
    Gates are parsed, and each key has its line.
    """
    found = promotion(
        "gates = [", '  "accuracy >= champion - 0.01",', '  "`f 1` < 1",',
        "]", "minimum-age-hours = 0.5", 'required-tags = ["reviewed", "by=Ann, B=C"]', "allow-dirty = true",
        "allow-breaking-signature = true", 'allow-unverified = "commit image record"',
    )  # fmt: skip

    policy = PromotePolicy(
        gates=("accuracy >= champion - 0.01", "`f 1` < 1"), minimum_age_hours=0.5,
        required_tags=("reviewed", "by=Ann, B=C"), allow_dirty=True, allow_breaking_signature=True,
        allow_unverified=("commit", "image", "record"),
    )  # fmt: skip
    assert (policy, ["accuracy", "f 1"], 4, 5, 9) == (
        found.policy, [gate.metric for gate in found.gates], found.line, found.lines["gates"],
        found.lines["minimum-age-hours"],
    )  # fmt: skip


def test_every_key_is_explained_in_one_sentence() -> None:
    """
    The reference shows it beside the key.
    """
    wrong = [one.kebab for one in fields_of(PromotePolicy) if not re.fullmatch(r"[A-Z][^.]*(\.\S[^.]*)*\.", one.doc)]

    assert [] == wrong


@pytest.mark.parametrize(
    ("line", "what", "why"),
    [
        ("gate = []", "does not know `gate`", "did you mean `gates`?"),
        ("minimum_age_hours = 1", "does not know `minimum_age_hours`", "did you mean `minimum-age-hours`?"),
        (
            'gates = "accuracy >= 0.9"',
            "`gates` in [tool.mlflow-uv.promote] (line 5 of pyproject.toml) is not a",
            "it is text",
        ),
        ('gates = [\n"a > 1",\n"accuracy => 0.9"]', "(line 7 of pyproject.toml) holds 'accuracy => 0.9'", "`=>` is no"),
        ('gates = [""]', "holds ''", "at character 1"),
        ("gates = [1]", "must be a list of texts", "it has 1"),
        ('required-tags = ["a", "=b"]', "holds '=b', which is not a tag", "`key=value`"),
        ('required-tags = [""]', "holds ''", "`key=value`"),
        ('required-tags = "a b"', "is not a list", "it is text"),
        ('allowed-licences = "MIT"', "is not a list", "it is text"),
        ('licence-exceptions = ["a until soon"]', "'a until soon', which is not an exception", "until 2027-01-31"),
        ('vulnerability-exceptions = "GHSA-1"', "is not a list", "it is text"),
        ('vulnerability-exceptions = ["GHSA-1 soon"]', "'GHSA-1 soon', which is not an exception", "until 2027-01-31"),
        ('refused-vulnerabilities = "severe"', "`refused-vulnerabilities` in [tool.mlflow-uv.promote] (line 5", ""),
        ('licence-exceptions = ["a until 2026-02-30"]', "which is not an exception", "day is out of range"),
        (
            'minimum-age-hours = ""',
            "`minimum-age-hours` in [tool.mlflow-uv.promote] (line 5 of pyproject.toml) is empty",
            "a rule is turned off by removing it",
        ),
        ("minimum-age-hours = -3", "must be a finite number, not negative", "it is -3"),
        ("minimum-age-hours = nan", "must be a finite number, not negative", "it is nan"),
        ("minimum-age-hours = inf", "must be a finite number, not negative", "it is inf"),
        ("minimum-age-hours = true", "must be a finite number, not negative", "it is True"),
        ("allow-dirty = 1", "must be true or false", "it is 1"),
        ('allow-unverified = ["comit"]', "does not know `comit`", "did you mean `commit`?"),
    ],
)
def test_what_cannot_be_understood_is_refused(line: str, what: str, why: str) -> None:
    """
    A rule that nobody can read does not count as kept: key, line and nearest name are told.
    """
    with pytest.raises(BadInput) as caught:
        promotion(line)

    assert (True, True) == (what in caught.value.what, why in caught.value.why), caught.value


@pytest.mark.parametrize("table", ["strict", 1, True, [], ["gates"]])
def test_what_is_asked_is_a_table(table: Any) -> None:
    """
    Anything else is wrong input.
    """
    with pytest.raises(BadInput, match="not a table") as caught:
        read_promotion(table_of(table))

    assert "[tool.mlflow-uv.promote]" == caught.value.fix
