"""Each rule has a page, and the rule agrees with the examples on it."""

import re
from pathlib import Path

import pytest

from mlflow_uv.core.lint.catalog import NAMES, rule_of, rules
from mlflow_uv.core.lint.rule import LintRule
from mlflow_uv.ops.lint.check import broken_rules
from mlflow_uv.ops.lint.folder import CheckedFolder
from mlflow_uv.ops.lint.silenced import Silenced
from tests.work_limits import SIZES, assert_linear

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


# A file that each rule about texts reads, the beginnings of what it looks for, and the longest text it reads.
READ = {
    "dockerfile-lock": ("Dockerfile", ("", "RUN pip install 'a", "RUN uv sync", 'RUN ["', "RUN <<"), 200_000),
    "requirements-drift": ("requirements.txt", ("", "mlflow==", "mlflow["), SIZES[-1]),
    "environment-drift": ("conda.yaml", ("", "dependencies:\n- mlflow=", "dependencies:\n- a["), SIZES[-1]),
    "python-version": (".github/workflows/a.yml", ("", "python-version: ", "python:"), SIZES[-1]),
    "script-lock": (
        "a.py",
        ("", '# /// script\n# dependencies = ["a"]\n# ///\n', "# /// script\n# dependencies"),
        SIZES[-1],
    ),
    "pinned-tools": (".pre-commit-config.yaml", ("", "additional_dependencies: [", "- repo: "), SIZES[-1]),
    "tracking-uri": ("a.py", ("", "set_tracking_uri", "MlflowClient(a", 'MLFLOW_TRACKING_URI"'), SIZES[-1]),
    "credentials": ("a.py", ("", "AWS_SECRET_ACCESS_KEY", "@ a://", "@ a://b:"), 200_000),
    "notebook-outputs": ("a.ipynb", ("", '"outputs"', '"outputs": [', '"outputs": [{"'), SIZES[-1]),
}


def test_every_rule_about_texts_is_given_long_ones() -> None:
    """
    The table above has each of them.
    """
    assert {*READ} == {rule.name for rule in rules() if rule.check is not None}


@pytest.mark.parametrize(
    "unit",
    [
        *("\n", " ", "x"),
        *(pytest.param(unit, marks=pytest.mark.extended) for unit in ("\n ", "a[", '"', "\\\n", "# ", "<<a\n")),
        '{ name = "x"',
    ],
)
@pytest.mark.parametrize("name", READ)
def test_each_character_of_a_file_is_checked_a_few_times(name: str, unit: str, tmp_path: Path) -> None:
    """
    Blank lines, spaces or one long line of a megabyte take no more than linear work; a lock of a script too.
    """
    file, starts, most = READ[name]
    (tmp_path / file).parent.mkdir(parents=True, exist_ok=True)

    for start in starts:

        def check(text: str, start: str = start) -> None:
            (tmp_path / file).write_text(text)
            (tmp_path / f"{file}.lock").write_text(f"[manifest]\nrequirements = [{text.removeprefix(start)}]")
            broken_rules((rule_of(name),), (file,), CheckedFolder(str(tmp_path)), tracked=(file,))

        assert_linear(check, start, unit, most=most)
