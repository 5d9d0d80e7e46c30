"""Which files of a project are read for its commands."""

from pathlib import Path

from mlflow_uv.ops.init.project_documents import project_documents
from mlflow_uv.ops.lint.folder import CheckedFolder


def test_what_people_run_comes_before_what_they_read(tmp_path: Path) -> None:
    """
    Tasks of the manifest, a Makefile, the README, and workflows last; a file that is deep in the project is left out.
    """
    names = ("README.md", "Makefile", "a/b/Makefile", "a/b/c/Makefile", "train.py", "Dockerfile.train", "ci.yml")
    for name in names:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(name)
    manifest = {"tool": {"poe": {"tasks": {"fit": {"cmd": "python a.py"}, "all": ["python b.py", {"ref": "c"}]}}}}

    found = list(project_documents(CheckedFolder(str(tmp_path)), "", names, manifest, ["ci.yml"]))

    assert ["pyproject.toml", "Makefile", "a/b/Makefile", "README.md", "Dockerfile.train", "ci.yml"] == [
        document.path for document in found
    ]
    assert ("fit = python a.py\nall = python b.py\nref = c", [True] * 5 + [False]) == (
        found[0].text,
        [document.decides for document in found],
    )
