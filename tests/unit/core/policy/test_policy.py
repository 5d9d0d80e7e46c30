"""The rules of a lock policy: where they are declared, which values they take, and what they mean."""

import re
from pathlib import PurePath
from typing import Any

import pytest
import tomli

from mlflow_uv.command.errors import BadInput
from mlflow_uv.command.step import fields_of
from mlflow_uv.core.lock.toml_lines import key_lines
from mlflow_uv.core.policy.policy import LockPolicy, read_policy
from mlflow_uv.core.policy.table import PolicySource, PolicyTable

HEAD = '[project]\nname = "wine"\n\n[tool.mlflow-uv.policy]\n'
LOCK = PurePath("uv.lock")
DAY = 86_400


def table_of(value: Any, text: str = "", shown: str = "pyproject.toml") -> PolicyTable:
    """The table of a policy in a manifest."""
    return PolicyTable(
        name="policy", value=value, lines=key_lines(text), manifest=PurePath("pyproject.toml"), shown=shown
    )


def ruling(*lines: str) -> PolicySource[LockPolicy]:
    """A manifest's policy; its first line is the fifth of the file."""
    text = HEAD + "".join(f"{line}\n" for line in lines)
    table = tomli.loads(text)["tool"]["mlflow-uv"]["policy"]
    return read_policy(table_of(table, text))


def test_every_rule_is_off_unless_it_is_set() -> None:
    """
    An empty table is no rule at all.
    """
    policy = ruling().policy

    assert (None, None, False, None, (), None, ()) == (
        policy.allowed_indexes, policy.allowed_sources, policy.require_hashes, policy.minimum_uv, policy.excluded,
        policy.maximum_age_days, policy.warn,
    )  # fmt: skip


def test_every_key_is_explained_in_one_sentence() -> None:
    """
    The reference shows it beside the key.
    """
    wrong = [one.kebab for one in fields_of(LockPolicy) if not re.fullmatch(r"[A-Z][^.]*(\.\S[^.]*)*\.", one.doc)]

    assert [] == wrong


def test_a_key_has_the_line_where_it_stands() -> None:
    """
    For findings that are about the manifest.
    """
    found = ruling("", "# a comment", 'excluded = [\n  "a",\n]', 'minimum-uv = "0.9"')

    assert (4, {"excluded": 7, "minimum-uv": 10}) == (found.line, found.lines)


@pytest.mark.parametrize(
    ("line", "what", "why"),
    [
        ("require-hash = true", "does not know `require-hash`", "did you mean `require-hashes`?"),
        ("allowed_sources = []", "does not know `allowed_sources`", "did you mean `allowed-sources`?"),
        ('allowed-sources = ["registri"]', "(line 5 of pyproject.toml) does not know `registri`", "`registry`?"),
        ('allowed-sources = ["virtual"]', "does not know `virtual`", "known are"),
        ("allowed-sources = 3", "`allowed-sources` in [tool.mlflow-uv.policy] (line 5 of", "it is 3"),
        ('warn = ["exclude"]', "`warn` in [tool.mlflow-uv.policy] (line 5 of", "did you mean `excluded`?"),
        ('warn = ["warn"]', "does not know `warn`", "known are"),
        ("require-hashes = 1", "must be true or false", "it is 1"),
        ("maximum-age-days = true", "must be a whole number of at least 0", "it is True"),
        ("maximum-age-days = -1", "must be a whole number of at least 0", "it is -1"),
        ("maximum-age-days = 1.5", "must be a whole number of at least 0", "it is 1.5"),
        ("minimum-uv = 0.9", "must be text", "it is 0.9"),
        ('minimum-uv = ">=0.9"', "is not a version, such as 0.9", ">=0.9"),
        ('minimum-uv = ""', "`minimum-uv` in [tool.mlflow-uv.policy] (line 5 of pyproject.toml) is empty", "off"),
        ('excluded = ["a",\n\n"b =="]', "(line 7 of pyproject.toml) holds 'b =='", "Expected"),
        ('excluded = ["<2"]', "(line 5 of pyproject.toml) holds '<2'", "Expected package name"),
        ('excluded = ["a[b]"]', "holds 'a[b]'", "a name, or a name and a version range"),
        ("excluded = [\"a; os_name == 'nt'\"]", "holds", "a name, or a name and a version range"),
        ('excluded = ["a @ https://h.example/a.whl"]', "holds", "a name, or a name and a version range"),
    ],
)
def test_what_cannot_be_understood_is_refused(line: str, what: str, why: str) -> None:
    """
    A rule that nobody can read does not count as kept: key, line and nearest name are told.
    """
    with pytest.raises(BadInput) as caught:
        ruling(line)

    assert (True, True) == (what in caught.value.what, why in caught.value.why), caught.value


@pytest.mark.parametrize("table", ["strict", 1, True, [], ["excluded"]])
def test_a_policy_is_a_table(table: Any) -> None:
    """
    Anything else is wrong input.
    """
    with pytest.raises(BadInput, match="not a table") as caught:
        read_policy(table_of(table))

    assert "[tool.mlflow-uv.policy]" == caught.value.fix


def test_a_file_may_be_called_anything() -> None:
    """
    A folder with braces in its name does not break the message.
    """
    with pytest.raises(BadInput) as caught:
        read_policy(table_of({"warn": 1}, shown="{0}/{}/pyproject.toml"))

    assert "of {0}/{}/pyproject.toml) must be" in caught.value.what
