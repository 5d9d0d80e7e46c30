"""When the hook of a rule decides alone that there is nothing to report."""

from pathlib import Path

import pytest
from mlflow_uv_hooks.quick import is_clean

URI = 'mlflow.set_tracking_uri("http://localhost:5000")\n'


@pytest.mark.parametrize(
    ("hook", "words", "clean"),
    [
        ("lint-tracking-uri", ["good.py"], True),
        ("lint-tracking-uri", [], True),
        ("lint-tracking-uri", ["good.py", "bad.py"], False),
        ("lint-tracking-uri", ["--fix", "good.py"], False),
        ("lint-tracking-uri", ["--", "good.py"], False),
        ("lint-script-lock", ["bad.py", "gone.py"], True),
        ("lint", ["good.py"], False),
        ("lint-nothing", ["good.py"], False),
        ("tracking-uri", ["good.py"], False),
    ],
)
def test_only_files_without_a_finding_are_clean(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, hook: str, words: list[str], clean: bool
) -> None:
    """
    Flags, and everything that is no rule, are left to the step.
    """
    (tmp_path / "good.py").write_text("import mlflow\n")
    (tmp_path / "bad.py").write_text(URI)
    monkeypatch.chdir(tmp_path)

    assert clean is is_clean(hook, words)
