"""Setting a project up, in a real repository."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from mlflow_uv.command.errors import BadInput, BadProject
from mlflow_uv.command.host import Host
from mlflow_uv.command.report import Report
from mlflow_uv.steps.init import Inputs, Outputs, run
from mlflow_uv.surfaces.terminal import terminal
from mlflow_uv.tools.lock_toolbox import locktools
from tests import checkout
from tests.runner import words

TRAIN = 'import mlflow\nmlflow.sklearn.log_model(1)\nif __name__ == "__main__":\n    pass\n'


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A project with a script in a repository."""
    folder = tmp_path / "mein modell"
    folder.mkdir()
    (folder / "pyproject.toml").write_text('[project]\nname = "wine"\nversion = "1"\n')
    (folder / "train.py").write_text(TRAIN)
    checkout.repository(folder)
    return folder


def init(folder: Path, *, dry_run: bool = False) -> Report[Outputs]:
    """Run the step."""
    host = Host.of(dict(os.environ), folder=folder, python=Path(sys.executable))
    with locktools(host, console=terminal(words())) as tools:
        return run(Inputs(project=folder, dry_run=dry_run), tools)


@pytest.mark.parametrize(
    ("branch", "origin", "written"),
    [
        ("trunk", "", "[trunk]"),
        ("topic", "master", "[master]"),
        ("c++", "", '["c\\\\+\\\\+"]'),
        ("true", "", '["true"]'),
    ],
)
def test_the_branch_that_is_released_is_the_default_one(project: Path, branch: str, origin: str, written: str) -> None:
    """
    That of origin, else the current one.
    """
    checkout.git(project, "checkout", "--quiet", "-B", branch)
    if origin:
        checkout.git(project, "symbolic-ref", "refs/remotes/origin/HEAD", f"refs/remotes/origin/{origin}")

    init(project)

    text = (project / ".github/workflows/mlflow-uv-release.yml").read_text()
    assert f"    branches: {written}\n" in text


@pytest.mark.parametrize(
    ("more", "written", "noted"),
    [
        ((), "[trunk]", False),
        (("branch other",), "[main]", True),
        (("update-ref refs/remotes/origin/trunk HEAD", "branch --quiet --delete --force trunk"), "[trunk]", False),
    ],
)
def test_a_commit_without_a_branch_gets_the_only_one(
    project: Path, more: tuple[str, ...], written: str, *, noted: bool
) -> None:
    """
    Of several ones none is guessed: a note says where the workflow names one.
    """
    checkout.git(project, "checkout", "--quiet", "-B", "trunk")
    for name in checkout.git(project, "for-each-ref", "--format=%(refname:short)", "refs/heads").split():
        if name != "trunk":
            checkout.git(project, "branch", "--delete", "--force", name)
    checkout.git(project, "checkout", "--quiet", "--detach")
    for command in more:
        checkout.git(project, *command.split())

    report = init(project)

    text = (project / ".github/workflows/mlflow-uv-release.yml").read_text()
    notes = [line for line in report.advice if "git names no branch" in line]
    assert (True, noted) == (f"    branches: {written}\n" in text, bool(notes))
    assert all("mlflow-uv-release.yml" in line for line in notes)


def test_a_dry_run_prints_a_patch_and_writes_nothing(project: Path) -> None:
    """
    `git apply` makes of it what a run without it writes; a second run has nothing to do.
    """
    report = init(project, dry_run=True)
    assert "" == checkout.git(project, "status", "--porcelain")
    subprocess.run(["git", "apply"], cwd=project, input=report.result, text=True, check=True)
    applied = {name: (project / name).read_bytes() for name in report.outputs.setup_files}
    checkout.git(project, "checkout", "--quiet", ".")
    checkout.git(project, "clean", "--quiet", "-fd")

    written = init(project)

    assert ("python train.py", "sklearn") == (written.outputs.training, written.outputs.flavor)
    assert (None, [f"wrote {name}" for name in applied]) == (written.result, list(written.advice[: len(applied)]))
    assert applied == {name: (project / name).read_bytes() for name in written.outputs.setup_files}
    assert () == init(project).outputs.setup_files


def test_a_link_out_of_the_repository_is_not_written_through(project: Path, tmp_path: Path) -> None:
    """
    The folder of the workflows may be a link in an untrusted checkout.
    """
    (tmp_path / "elsewhere").mkdir()
    (project / ".github").symlink_to(tmp_path / "elsewhere")

    with pytest.raises(BadInput) as raised:
        init(project)
    left = list((tmp_path / "elsewhere").iterdir())
    before = checkout.git(project, "status", "--porcelain")
    subprocess.run(raised.value.fix, shell=True, check=True, cwd=project)
    init(project)

    assert ([], "?? .github") == (left, before)
    assert (project / ".github/workflows/mlflow-uv-check.yml").is_file()
    assert [] == list((tmp_path / "elsewhere").iterdir())


def test_the_link_that_leads_out_is_named_also_where_it_is_not_the_first_one(project: Path, tmp_path: Path) -> None:
    """
    And a link in the repository stays.
    """
    (tmp_path / "elsewhere").mkdir()
    (project / "own").mkdir()
    (project / ".github").symlink_to("own")
    (project / "own/workflows").symlink_to(tmp_path / "elsewhere")

    with pytest.raises(BadInput) as raised:
        init(project)
    subprocess.run(raised.value.fix, shell=True, check=True, cwd=project)
    init(project)

    assert (project / "own/workflows/mlflow-uv-check.yml").is_file()
    assert [] == list((tmp_path / "elsewhere").iterdir())


def test_a_folder_without_a_project_is_an_error(tmp_path: Path) -> None:
    """
    A project begins with `uv init`.
    """
    with pytest.raises(BadProject):
        init(tmp_path)


def test_a_project_whose_training_is_unknown_gets_a_warning(project: Path) -> None:
    """
    The files are written without a command, and the finding says what to add.
    """
    (project / "train.py").unlink()

    report = init(project)

    assert (["no script that logs a model was found"], True) == ([found.what for found in report.findings], report.ok)
    assert report.summary.endswith("; the command that trains is not known")


@pytest.mark.parametrize(
    ("scripts", "what"),
    [
        (("train_a.py", "train_b.py"), "several commands may be the one that trains"),
        (("examples/a/serve.py",), "the only command that may train is not likely to be the right one"),
    ],
)
def test_the_command_that_the_fix_names_is_read_from_where_it_says(
    project: Path, scripts: tuple[str, ...], what: str
) -> None:
    """
    The most likely one; once it is written there, the project trains with it.
    """
    (project / "train.py").unlink()
    for script in scripts:
        (project / script).parent.mkdir(parents=True, exist_ok=True)
        (project / script).write_text(TRAIN)

    (finding,) = init(project).findings

    row = finding.fix.split("`")[1]
    manifest = project / "pyproject.toml"
    manifest.write_text(manifest.read_text().replace("[tool.mlflow-uv]\n", f"[tool.mlflow-uv]\n{row}\n"))
    report = init(project)
    assert (what, f"python {scripts[0]}", ()) == (finding.what, report.outputs.training, report.findings)


@pytest.mark.parametrize(
    ("mlproject", "training"),
    [("", "python train.py"), ("entry_points:\n  fit:\n    command: python train.py\n", "fit")],
)
def test_settings_of_the_user_that_do_not_name_the_training_get_the_rows_that_do(
    project: Path, mlproject: str, training: str
) -> None:
    """
    The table is not changed, and the training is clear; with the rows of the fix the project trains like that.
    """
    manifest = project / "pyproject.toml"
    own = manifest.read_text() + '[tool.mlflow-uv]\nmodel-name = "mine"\n'
    manifest.write_text(own)
    if mlproject:
        (project / "MLproject").write_text(mlproject)

    (finding,) = init(project).findings

    assert ("[tool.mlflow-uv] does not say how the project trains", own) == (finding.what, manifest.read_text())
    manifest.write_text(own + "\n".join(finding.fix.split("`")[1::2]) + "\n")
    report = init(project)
    assert (training, ()) == (report.outputs.training, report.findings)


def test_a_project_with_the_scripts_of_a_member_names_the_member(project: Path) -> None:
    """
    The folder that the fix names is that of a project whose training is found.
    """
    (project / "train.py").unlink()
    member = project / "libs" / "white wine"
    member.mkdir(parents=True)
    (member / "pyproject.toml").write_text('[project]\nname = "white"\nversion = "1"\n')
    (member / "train.py").write_text(TRAIN)

    (finding,) = init(project).findings

    _, folder, _ = finding.fix.split("`")
    assert (str(member), "python train.py") == (folder, init(Path(folder)).outputs.training)


def test_a_file_in_the_place_of_a_folder_changes_nothing(project: Path) -> None:
    """
    Workflows cannot be written, so the settings are not, either.
    """
    (project / ".github").write_text("no folder")
    before = (project / "pyproject.toml").read_bytes()

    with pytest.raises(BadInput, match="cannot be written"):
        init(project)

    assert before == (project / "pyproject.toml").read_bytes()


@pytest.mark.parametrize("name", ["${{ github.token }}", "a\nb", "a\udcff"])
def test_a_folder_that_a_workflow_cannot_name_is_refused(project: Path, name: str) -> None:
    """
    GitHub would evaluate it, or it would be another name in the workflow.
    """
    folder = project / name
    folder.mkdir()
    (folder / "pyproject.toml").write_bytes((project / "pyproject.toml").read_bytes())

    with pytest.raises(BadProject, match="cannot be named in a workflow"):
        init(folder)
    assert not (project / ".github").exists()
