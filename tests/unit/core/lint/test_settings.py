"""Settings name rules that exist."""

from pathlib import PurePath

import pytest

from mlflow_uv.command.errors import BadInput
from mlflow_uv.core.lint.settings import LintSettings, read_lint_settings
from mlflow_uv.core.lock.toml_lines import key_lines
from mlflow_uv.core.policy.table import PolicyTable
from mlflow_uv.core.security.toml_documents import parse_toml


def read(text: str) -> LintSettings:
    """The settings of a manifest with this table."""
    manifest = f"[tool.mlflow-uv.lint]\n{text}\n"
    value = parse_toml(manifest.encode(), limit=10_000)["tool"]["mlflow-uv"]["lint"]
    return read_lint_settings(
        PolicyTable(name="lint", value=value, lines=key_lines(manifest), manifest=PurePath("p"), shown="pyproject.toml")
    )


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('ignore = ["tracking-url"]', "does not know `tracking-url`.*did you mean `tracking-uri`"),
        ('warn = ["x:y"]', "`warn` in .* [(]line 2 of pyproject.toml[)] does not know `x:y`"),
        ('ignore = ["credentials:"]', "there is no pattern after the colon"),
        ("ignored = []", "does not know `ignored`"),
        ("add = 1", "must be a list"),
    ],
)
def test_a_mistake_is_an_error_with_its_line(text: str, message: str) -> None:
    """
    A rule that is spelled wrong would silence nothing, and nobody would notice.
    """
    with pytest.raises(BadInput, match=message):
        read(text)


def test_a_pattern_is_of_a_file_or_a_folder_above_it() -> None:
    """
    Without a pattern, a rule is silent everywhere.
    """
    settings = read('ignore = ["credentials", "tracking-uri:demo", "tracking-uri:*.tmp.py"]')
    paths = ("demo/a.py", "demos/a.py", "x/b.tmp.py")

    assert settings.ignores("credentials", "a")
    assert [True, False, True] == [settings.ignores("tracking-uri", path) for path in paths]
