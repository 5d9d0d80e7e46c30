"""Which folders git would use as a bare repository."""

from pathlib import Path

import pytest

from mlflow_uv.tools.git.bare_repository import bare_repository_at


@pytest.mark.parametrize(
    ("files", "found"),
    [
        (("HEAD", "objects/", "refs/"), True), (("HEAD", "objects/"), False), (("objects/", "refs/"), False),
        (("HEAD", "objects/", "refs/", ".git/HEAD"), True), ((".git/HEAD", ".git/objects/", ".git/refs/"), False),
    ],
)  # fmt: skip
def test_a_folder_that_git_would_take_for_a_bare_repository_is_found(
    tmp_path: Path, files: tuple[str, ...], found: bool
) -> None:
    """
    It can be committed, with settings that name programs; `.git` itself is none.
    """
    for name in files:
        path = tmp_path / "cover" / name
        (path if name.endswith("/") else path.parent).mkdir(parents=True, exist_ok=True)
        if not name.endswith("/"):
            path.touch()
    (tmp_path / "cover" / "inner").mkdir(exist_ok=True)

    expected = str(tmp_path / "cover") if found else None

    assert expected == bare_repository_at(str(tmp_path / "cover" / "inner"))
