"""Which files of a project import which others."""

import pytest

from mlflow_uv.core.init.project_imports import ProjectImports

FILES = ("track.py", "src/wine/__init__.py", "src/wine/track.py", "src/wine/jobs/run.py", "libs/beer/src/beer/track.py")


@pytest.mark.parametrize(
    ("line", "imported"),
    [
        ("import track", {"track.py", "src/wine/track.py"}),
        ("import os, wine.track as t", {"src/wine/track.py"}),
        ("from wine import track, other", {"src/wine/__init__.py", "src/wine/track.py"}),
        ("    from src.wine.track import a", {"src/wine/track.py"}),
        ("from wine import (\n  other,  # track\n  track as t,\n)", {"src/wine/__init__.py", "src/wine/track.py"}),
        ("from wine import other  # track", {"src/wine/__init__.py"}),
        ("from beer.track import a", {"libs/beer/src/beer/track.py"}),
        ("from ..track import a", {"src/wine/track.py"}),
        ("from .. import track", {"src/wine/__init__.py", "src/wine/track.py"}),
        ("from ..... import track", set()),
        ("x = 'import track'\n# from wine import track", set()),
        ("from import\nimport\nfrom . import\nfrom wine import", set()),
    ],
)
def test_an_import_leads_to_a_file(line: str, imported: set[str]) -> None:
    """
    In the folder of the file and those above it, in `src`, and in that of other members of a workspace.
    """
    imports = ProjectImports({**dict.fromkeys(FILES, ""), "src/wine/jobs/train.py": line + "\n"})

    assert imported == imports.imported("src/wine/jobs/train.py")


def test_a_circle_of_imports_ends() -> None:
    """
    In both directions; a file that imports itself does not reach itself.
    """
    imports = ProjectImports(
        {"a.py": "import a, b\n", "b.py": "import c\n", "c.py": "import a\n", "d.py": "import b\n"}
    )

    assert frozenset(("a.py", "b.py", "d.py")) == imports.reaching(["c.py"])
    assert frozenset(("b.py", "c.py")) == imports.reached("a.py")


@pytest.mark.parametrize(
    ("line", "needs"),
    [("import jobs.data", True), ("import data", False), ("import wine.track", False), ("import json", False)],
)
def test_an_import_may_need_the_folder_of_the_project(line: str, needs: bool) -> None:
    """
    One that is found neither beside the file nor in `src`.
    """
    files = {"jobs/train.py": line, "jobs/data.py": "", "src/wine/track.py": ""}

    assert needs == ProjectImports(files).needs("jobs/train.py", "")
