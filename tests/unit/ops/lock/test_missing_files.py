"""Files that git tracks and that are not on disk: one finding for each reason, with the command that restores them."""

from pathlib import Path
from typing import cast

import pytest

from mlflow_uv.core.lock.missing_files import AbsenceReason, AbsentPath
from mlflow_uv.ops.lock.missing_files import absent_groups
from mlflow_uv.tools.git.git import Git
from mlflow_uv.tools.project.files import Project

PACKAGE = '[[package]]\nname = "{name}"\nversion = "1"\nsource = {{ editable = "{path}" }}\n'


class Index:
    """A repository in which everything below it that is missing is so for one reason."""

    def __init__(self, top: Path, reason: AbsenceReason | None) -> None:
        self.top, self.reason = top, reason

    def absence(self, path: Path) -> AbsentPath | None:
        """See Git."""
        if self.reason is None:
            return None
        return AbsentPath(reason=self.reason, path=path.relative_to(self.top).as_posix(), top=self.top)


def project(folder: Path, *packages: str) -> Project:
    """A project whose lock has these folders; none without a package."""
    folder.mkdir(parents=True, exist_ok=True)
    if packages:
        listed = "".join(PACKAGE.format(name=f"p{at}", path=path) for at, path in enumerate(packages))
        (folder / "uv.lock").write_text(f'version = 1\nrequires-python = ">=3.9"\n{listed}')
    return Project(folder=folder, root=folder, manifest={})


@pytest.mark.parametrize(
    ("reason", "fix"),
    [
        (AbsenceReason.SUBMODULE, "git submodule update --init -- apps/lib 'apps/my lib'"),
        (AbsenceReason.SPARSE, "git sparse-checkout add apps/lib 'apps/my lib'"),
        (
            AbsenceReason.SKIPPED,
            (
                "git ls-files -z -- apps/lib 'apps/my lib' | git update-index --no-skip-worktree -z --stdin"
                " && git checkout -- apps/lib 'apps/my lib'"
            ),
        ),
    ],
    ids=lambda value: value.name if isinstance(value, AbsenceReason) else "",
)
def test_folders_that_are_missing_for_one_reason_are_restored_together(
    tmp_path: Path, reason: AbsenceReason, fix: str
) -> None:
    """
    Names are quoted for a shell; the finding is at the lock that needs them.
    """
    wine = project(tmp_path / "apps", "lib", "my lib")

    (group,) = absent_groups(wine, cast("Git", Index(tmp_path, reason)), tmp_path)

    assert (fix, wine.lock) == (str(group.fix), group.near)
    assert "`apps/lib`, `apps/my lib` are in the repository, but not on disk" == group.what
    assert group.why.startswith(reason.value)


def test_from_another_folder_the_repository_is_named(tmp_path: Path) -> None:
    """
    So that the command can be run where the check was.
    """
    wine = project(tmp_path / "my repository", "lib")

    (group,) = absent_groups(wine, cast("Git", Index(wine.root, AbsenceReason.SPARSE)), tmp_path)

    assert "git -C 'my repository' sparse-checkout add lib" == str(group.fix)


def test_a_lock_that_is_missing_itself_is_told_at_the_project(tmp_path: Path) -> None:
    """
    A file that is not there has no line.
    """
    wine = project(tmp_path)

    (group,) = absent_groups(wine, cast("Git", Index(tmp_path, AbsenceReason.SPARSE)), tmp_path)

    assert ("`uv.lock` is in the repository, but not on disk", wine.root / "pyproject.toml") == (group.what, group.near)


def test_a_folder_with_a_manifest_is_there_and_one_that_nobody_tracks_is_not_explained(tmp_path: Path) -> None:
    """
    Each kind of manifest counts.
    """
    wine = project(tmp_path, "a", "b", "c")
    for name in ("a/pyproject.toml", "b/setup.py", "c/setup.cfg"):
        (tmp_path / name).parent.mkdir()
        (tmp_path / name).touch()

    there = absent_groups(wine, cast("Git", Index(tmp_path, AbsenceReason.SPARSE)), tmp_path)
    untracked = absent_groups(project(tmp_path, "z"), cast("Git", Index(tmp_path, None)), tmp_path)

    assert ((), ()) == (there, untracked)


def test_many_folders_are_named_in_part_and_restored_altogether(tmp_path: Path) -> None:
    """
    A sentence has room for five.
    """
    wine = project(tmp_path, *(f"p{at}" for at in range(7)))

    (group,) = absent_groups(wine, cast("Git", Index(tmp_path, AbsenceReason.SPARSE)), tmp_path)

    assert (True, 7) == ("`p4` and 2 more are in" in group.what, str(group.fix).count(" p"))


@pytest.mark.parametrize("text", ["<<<<<<< HEAD\n", "version = 1\n[[package]]\nname = 3\n"])
def test_a_lock_that_cannot_be_read_names_no_folder(tmp_path: Path, text: str) -> None:
    """
    That is another finding.
    """
    (tmp_path / "uv.lock").write_text(text)

    assert () == absent_groups(project(tmp_path), cast("Git", Index(tmp_path, AbsenceReason.SPARSE)), tmp_path)
