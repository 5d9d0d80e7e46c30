"""Which files a rule gets."""

import os
from pathlib import Path

from mlflow_uv.core.lint.rule import LintProblem, LintRule, SourceFile
from mlflow_uv.ops.lint.check import broken_rules, path_below
from mlflow_uv.ops.lint.folder import CheckedFolder

READER = LintRule("reader", "", r"\.py$", check=lambda source, _: [LintProblem(1, source.path, "", "")])
NAMES = LintRule("names", "", "", check_names=lambda paths, _: [LintProblem(1, ",".join(paths), "", "", (), "x")])


def test_a_rule_gets_the_files_of_the_project(tmp_path: Path) -> None:
    """
    Each once, by its pattern; no link, nothing of others, nothing outside.
    """
    for name in ("a.py", "-b.py", "::c.py", "ü d.py", ".venv/e.py", "f.txt"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text("")
    (tmp_path / "g.py").symlink_to("a.py")
    paths = [*sorted(os.listdir(tmp_path)), "a.py", ".venv/e.py", "../a.py", "gone.py"]  # noqa: PTH208

    broken = broken_rules((READER,), paths, CheckedFolder(str(tmp_path)), tracked=())

    assert ["-b.py", "::c.py", "a.py", "ü d.py"] == [each.problem.what for each in broken]


def test_a_place_to_which_two_files_lead_is_reported_once(tmp_path: Path) -> None:
    """
    Such as a pin of Python, which is also looked at with the manifest.
    """
    both = LintRule("both", "", "", check=lambda *_: [LintProblem(1, "old", "", "", (), "pin")])
    (tmp_path / "pin").write_text("")
    (tmp_path / "manifest").write_text("")

    broken = broken_rules((both,), ("manifest", "pin"), CheckedFolder(str(tmp_path)), tracked=())

    assert [("pin", 1)] == [(each.path, each.problem.line) for each in broken]


def test_names_are_those_of_tracked_files(tmp_path: Path) -> None:
    """
    Whether they exist or not.
    """
    broken = broken_rules((NAMES,), ("a",), CheckedFolder(str(tmp_path)), tracked=("b", "node_modules/c", "b"))

    assert [("x", "b")] == [(each.path, each.problem.what) for each in broken]


def test_a_path_is_below_the_folder() -> None:
    """
    From wherever it was named.
    """
    paths = [path_below("/p", where, word) for where, word in (("/p", "a"), ("/p/q", "../a"), ("/", "p/a"), ("/", "b"))]

    assert ["a", "a", "a", "../b"] == paths
    assert "" == SourceFile("a", "").folder
