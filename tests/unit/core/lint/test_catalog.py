"""Each rule has a page, and the rule agrees with the examples on it."""

import re
from pathlib import Path

import pytest

from mlflow_uv.core.lint.catalog import NAMES, rule_of, rules
from mlflow_uv.core.lint.rule import LintRule
from mlflow_uv.ops.lint.check import broken_rules
from mlflow_uv.ops.lint.folder import CheckedFolder
from mlflow_uv.ops.lint.silenced import Silenced

PAGES = Path(__file__).parents[4] / "docs/rules"
SECTIONS = ["What it finds", "Why", "How to fix it", "How to silence it"]


def examples(rule: LintRule, section: str) -> dict[str, str]:
    """The files in a section of the page of a rule; the lock of the first section is beside all of them."""
    parts = re.split(r"^## (.*)\n", (PAGES / f"{rule.name}.md").read_text(), flags=re.MULTILINE)
    texts = dict(zip(parts[1::2], parts[2::2], strict=True))
    block = re.compile(r"<!-- file: ([^\n]+?) -->\n```\w*\n(.*?)^```$", re.MULTILINE | re.DOTALL)
    files = dict(block.findall(texts[section]))
    lock = dict(block.findall(texts[SECTIONS[0]])).get("uv.lock")
    return files | ({"uv.lock": lock} if lock else {})


def findings(folder: Path, rule: LintRule, files: dict[str, str]) -> list[str]:
    """What the rule finds in these files, without what the project silences."""
    for name, text in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)
    checked = CheckedFolder(str(folder))
    silenced = Silenced(folder, checked, where=folder)
    broken = broken_rules((rule,), files, checked, tracked=files)
    return [each.path for each in broken if not silenced.silent(each)]


@pytest.mark.parametrize("rule", rules(), ids=lambda rule: rule.name)
def test_a_page_says_what_the_rule_declares(rule: LintRule) -> None:
    """
    Its title is the name of the findings, its first paragraph the summary, and it has every section.
    """
    text = (PAGES / f"{rule.name}.md").read_text()

    assert text.startswith(f"# {rule.id}\n\n{rule.summary}\n\n")
    assert SECTIONS == re.findall(r"^## (.*)$", text, re.MULTILINE)


@pytest.mark.parametrize("rule", rules(), ids=lambda rule: rule.name)
def test_the_examples_of_a_page_are_what_the_rule_finds(rule: LintRule, tmp_path: Path) -> None:
    """
    The first example is found once, the one of the fix is not, and neither is the silenced one.
    """
    wrong = findings(tmp_path / "wrong", rule, examples(rule, "What it finds"))
    right = findings(tmp_path / "right", rule, examples(rule, "How to fix it"))
    silenced = findings(tmp_path / "silenced", rule, examples(rule, "How to silence it"))

    assert (1, [], []) == (len(wrong), right, silenced)


def test_there_is_no_page_without_a_rule() -> None:
    """
    A rule that is gone leaves no page behind.
    """
    assert {*NAMES, "README"} == {path.stem for path in PAGES.glob("*.md")}


@pytest.mark.parametrize("name", NAMES)
def test_a_rule_has_the_name_of_its_module(name: str) -> None:
    """
    The catalog imports the module by the name.
    """
    rule = rule_of(name)

    assert (name, f"lint-{name}", True) == (rule.name, rule.id, bool(re.compile(rule.files)))
