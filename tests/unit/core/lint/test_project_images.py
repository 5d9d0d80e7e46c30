"""Which images hold the project."""

import pytest

from mlflow_uv.core.lint.dockerfiles import instructions_of
from mlflow_uv.core.lint.project_images import context_sources, holds_project
from mlflow_uv.ops.lint.folder import CheckedFolder


@pytest.mark.parametrize(
    ("text", "holds"),
    [
        ("FROM a\nCOPY . .", True),
        ("FROM a\nCOPY --chown=x serve.py /", True),
        ("FROM a\nCOPY package /package", True),
        ("FROM a\nRUN --mount=type=bind,source=uv.lock,target=uv.lock uv sync", True),
        ("FROM a\nCOPY --from=b /app /app", False),
        ("FROM a\nCOPY nginx.conf /etc", False),
        ("FROM jupyter/base\nCOPY . .", False),
        ("FROM a AS spark\nFROM spark\nCOPY . .", True),
        ('FROM a\nCOPY . .\nCMD ["sh", "-c", "exec mlflow server"]', False),
        ("FROM a\nCOPY . .\nENTRYPOINT mlflow ui", False),
        ("FROM\nCOPY\nCMD", False),
    ],
)
def test_an_image_with_code_of_the_project_holds_it(tmp_path, text: str, holds: bool) -> None:
    """
    Unless it is a tracking server, or another program with packages of its own.
    """
    (tmp_path / "package").mkdir()
    (tmp_path / "package/__init__.py").touch()

    assert holds is holds_project(tuple(instructions_of(text)), "", CheckedFolder(str(tmp_path)))


def test_sources_are_those_of_the_context() -> None:
    """
    In both forms of `COPY`, and of mounts; not those of other stages.
    """
    text = 'COPY ["a b", "c", "/d"]\nADD e f /g\nCOPY --from=x h /i\nRUN --mount=type=bind,src=j --mount=type=cache k'

    assert ("a", "b", "c", "e", "f", "j") == context_sources(tuple(instructions_of(text)))
