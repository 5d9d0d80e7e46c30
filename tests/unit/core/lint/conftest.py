"""A folder of files that rules are tried on."""

from pathlib import Path

import pytest

from mlflow_uv.core.lint.catalog import rule_of
from mlflow_uv.ops.lint.check import broken_rules
from mlflow_uv.ops.lint.folder import CheckedFolder

LOCK = """version = 1
requires-python = ">=3.11"

[[package]]
name = "mlflow"
version = "3.4.0"
source = { registry = "https://index.test/simple" }

[[package]]
name = "ruff"
version = "0.14.2"
source = { registry = "https://index.test/simple" }
"""


@pytest.fixture
def find(tmp_path: Path):
    """Write files beside a lock, and return the path, line and message of what a rule finds in them."""

    def found(name: str, files: dict[str, str], *, lock: str = LOCK) -> list[tuple[str, int, str]]:
        texts = {"uv.lock": lock, "pyproject.toml": '[project]\nname = "wine"\nversion = "1"\n'} | files
        for path, text in texts.items():
            (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / path).write_bytes(text.encode())
        broken = broken_rules((rule_of(name),), texts, CheckedFolder(str(tmp_path)), tracked=texts)
        return [(each.path, each.problem.line, each.problem.what) for each in broken]

    return found
