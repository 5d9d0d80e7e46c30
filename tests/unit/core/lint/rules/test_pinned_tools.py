"""Which hooks and workflows have another version than the lock."""

import pytest

HOOKS = ".pre-commit-config.yaml"
REPO = "repos:\n- repo: https://github.com/astral-sh/ruff-pre-commit\n  # comment\n  rev: {}\n  hooks:\n  - id: ruff\n"


@pytest.mark.parametrize(
    ("files", "lines"),
    [
        ({HOOKS: REPO.format("v0.14.2")}, []),
        ({HOOKS: REPO.format("'v0.1.0'")}, [4]),
        ({HOOKS: REPO.format("0123456789abcdef0123456789abcdef01234567  # frozen: v0.1.0")}, []),
        ({HOOKS: REPO.format("v0.15.0rc1")}, []),
        ({HOOKS: "repos:\n- repo: https://github.com/a/b\n  rev: v1\n"}, []),
        ({HOOKS: "    additional_dependencies: [mlflow==2.0, 'ruff==0.14.2']\n"}, [1]),
        ({HOOKS: "    additional_dependencies:\n    - mlflow==2.0\n    args: ['ruff==1']\n"}, [2]),
        ({".github/workflows/a.yml": "  - run: uvx ruff@0.1.0 check && uvx ruff@latest\n"}, [1]),
        ({".github/workflows/a.yml": "  # uvx ruff@0.1.0\n  - run: uvx ruff==0.14.2\n"}, []),
    ],
)
def test_another_version_is_found_at_its_line(find, files: dict[str, str], lines: list[int]) -> None:
    """
    Of packages of the lock; a commit or `latest` names no version.
    """
    assert lines == [line for _, line, _ in find("pinned-tools", files)]
