"""The action `check-lock` in a user's workflow."""

import json
import shlex
from pathlib import Path

import pytest

from tests import checkout, projects, traps
from tests.github.act import Annotation, Consumer

WORKFLOW = """
on: push
permissions: {}
jobs:
  check:
    runs-on: ubuntu-latest
    steps:
      - uses: actions/checkout@v7
      - id: lock
        uses: ACTION/actions/check-lock@v1
        with: {project: PROJECT}
"""
STALE = (
    "`yeast` in [project] dependencies is not in uv.lock: the lock was made without it; `uv lock` would add yeast v2.0."
    " Fix: uv lock"
)


@pytest.fixture
def wheels(consumer: Consumer) -> Path:
    """Packages beside the projects."""
    folder = consumer.folder / "wheels"
    projects.wheel(folder, "grape", "1.0")
    projects.wheel(folder, "yeast", "2.0")
    return folder


def test_a_fresh_lock_passes_and_says_so(consumer: Consumer, wheels: Path) -> None:
    """
    Green, with the verdict and the digest as outputs, a line in the summary, and no annotation.
    """
    projects.lock(projects.project(consumer.folder, "grape", wheels=wheels))

    run = consumer.run(WORKFLOW.replace("PROJECT", "."))

    assert run.ok, run.log
    outputs = run.outputs["lock"]
    assert ("fresh", "[]", 64) == (outputs["verdict"], outputs["set-aside"], len(outputs["lock-sha256"]))
    assert outputs["lock"].endswith("/uv.lock")
    assert "### ✓ uv.lock is fresh\n\n<sub><code>mlflow-uv check-lock</code></sub>\n" in run.summary
    assert () == run.annotations
    assert "" == checkout.git(run.workspace, "status", "--porcelain")


@pytest.mark.parametrize(
    "folder",
    [
        pytest.param(".", marks=pytest.mark.extended),
        pytest.param("models/wine", marks=pytest.mark.extended),
        "modèles/bière ü",
    ],
)
def test_a_stale_lock_fails_where_it_stands(consumer: Consumer, wheels: Path, folder: str) -> None:
    """
    Red, with one annotation on the lock in the pull request, the reason and the command, in a folder of any name.
    """
    project = projects.project(consumer.folder / folder, "grape", wheels=wheels)
    projects.lock(project)
    projects.depend_on(project, "grape", "yeast")

    run = consumer.run(WORKFLOW.replace("PROJECT", folder))

    manifest = str(Path(folder) / "pyproject.toml")
    fix = "" if folder == "." else f" --project {shlex.quote(folder)}"
    expected = Annotation("error", STALE + fix, title="mlflow-uv lock-requirement-added", file=manifest, line=5)
    assert not run.ok
    assert [expected] == list(run.annotations), run.log
    assert ("stale", "failure") == (run.outputs["lock"]["verdict"], run.results["lock"])
    assert f"> <sub>{manifest}:5</sub>\n" in run.summary
    assert "| Add | yeast | v2.0 |" in run.summary


def test_a_monorepo_is_checked_whole_and_becomes_a_matrix(consumer: Consumer, root: Path) -> None:
    """
    The workflow of the examples: every lock in one step, then a job for each of its projects.
    """
    for folder in ("models/wine", "mein modell"):
        projects.lock(projects.project(consumer.folder / folder))
    workflow = (root / "examples" / "workflows" / "locks.yml").read_text().replace("org/mlflow-uv-action", "ACTION")

    run = consumer.run(workflow.replace("pull_request:", "push:"))

    assert run.ok, run.log
    assert "all 2 locks are fresh" in run.log
    assert 2 == run.log.count("✓ 0 packages install on linux-x86_64-py3.11; 0 packages install on linux-aarch64-py3.12")


def test_a_repository_without_a_project_ends_the_workflow_of_the_examples(consumer: Consumer, root: Path) -> None:
    """
    The step says that there is none, its output is JSON all the same, and no job is started for nothing.
    """
    workflow = (root / "examples" / "workflows" / "locks.yml").read_text().replace("org/mlflow-uv-action", "ACTION")

    run = consumer.run(workflow.replace("pull_request:", "push:"))

    assert not run.ok
    assert {"include": []} == json.loads(run.outputs["locks"]["projects"]), run.log
    assert "fromJSON" not in run.log.partition("is not a project")[2], run.log


@pytest.mark.extended
def test_a_lock_that_is_missing_is_told_at_the_project(consumer: Consumer) -> None:
    """
    GitHub shows no annotation of a file that is not in the pull request.
    """
    projects.project(consumer.folder / "nolock")

    run = consumer.run(WORKFLOW.replace("PROJECT", "nolock"))

    assert ["nolock/pyproject.toml"] == [annotation.file for annotation in run.annotations], run.log
    assert "uv.lock is missing" in run.annotations[0].message


@pytest.mark.extended
def test_one_stale_lock_of_a_monorepo_fails_at_its_own_line(consumer: Consumer, wheels: Path) -> None:
    """
    The others are fresh, and the outputs say so of each.
    """
    for folder in ("a", "b", "c"):
        projects.lock(projects.project(consumer.folder / folder, "grape", wheels=wheels))
    projects.depend_on(consumer.folder / "b", "grape", "yeast")

    run = consumer.run(WORKFLOW.replace("PROJECT", "."))

    found = json.loads(run.outputs["lock"]["projects"])["include"]
    assert ["b/pyproject.toml"] == [annotation.file for annotation in run.annotations], run.log
    assert [("a", "fresh"), ("b", "stale"), ("c", "fresh")] == [(one["project"], one["verdict"]) for one in found]
    assert (False, "stale", '["requirement-added"]') == (
        run.ok,
        run.outputs["lock"]["verdict"],
        run.outputs["lock"]["causes"],
    )


@pytest.mark.extended
def test_the_summary_tells_how_to_do_it_on_a_laptop(consumer: Consumer, wheels: Path) -> None:
    """
    What failed on a runner can be repeated where it can be mended.
    """
    project = projects.project(consumer.folder / "mein modell", "grape", wheels=wheels)
    projects.lock(project)
    projects.depend_on(project, "yeast")

    run = consumer.run(WORKFLOW.replace("PROJECT", "mein modell"))

    line = next(line for line in run.summary.splitlines() if "check-lock --project" in line)
    program, words = line.split(" mlflow-uv ")
    assert (0, "check-lock --project 'mein modell'") == (program.find("uvx --from git+https://github.com/"), words)


@pytest.mark.extended
def test_a_project_that_is_not_there_is_an_error_of_its_own(consumer: Consumer) -> None:
    """
    No answer is not a finding: the message says what is missing, and the step fails.
    """
    run = consumer.run(WORKFLOW.replace("PROJECT", "no/such"))

    assert ["mlflow-uv check-lock"] == [annotation.title for annotation in run.annotations]
    assert "is not a project: it has no pyproject.toml" in run.annotations[0].message
    assert "" == run.outputs["lock"]["verdict"]


@pytest.mark.extended
def test_a_job_wide_environment_neither_steers_nor_suffers(consumer: Consumer, wheels: Path, tmp_path: Path) -> None:
    """
    Traps in every variable that uv and Python read: the answer is the same, they are named, and none is touched.
    """
    projects.lock(projects.project(consumer.folder, "grape", wheels=wheels))
    laid = traps.lay(tmp_path / "traps")

    run = consumer.run(WORKFLOW.replace("PROJECT", "."), env=laid.variables)

    aside = '["UV_EXCLUDE_NEWER", "UV_FROZEN", "UV_NO_SYNC", "UV_PROJECT", "UV_PROJECT_ENVIRONMENT", "UV_PYTHON"]'
    assert (True, [], "fresh", aside) == (
        run.ok,
        laid.sprung(),
        run.outputs["lock"]["verdict"],
        run.outputs["lock"]["set-aside"],
    ), run.log
    assert ["mlflow-uv env-set-aside"] == [annotation.title for annotation in run.of("notice")]
    assert "" == checkout.git(run.workspace, "status", "--porcelain")


@pytest.mark.extended
def test_a_checkout_full_of_modules_is_not_imported(consumer: Consumer, wheels: Path, tmp_path: Path) -> None:
    """
    A pull request that brings a `json.py` or a `mlflow_uv` of its own does not run in our place.
    """
    projects.lock(projects.project(consumer.folder, "grape", wheels=wheels))
    laid = traps.lay(tmp_path / "traps")
    files = {path.name: path.read_text() for path in (laid.folder / "modules").iterdir()}

    run = consumer.run(WORKFLOW.replace("PROJECT", "."), files=files)

    assert (True, []) == (run.ok, laid.sprung()), run.log


@pytest.mark.extended
def test_what_a_project_says_is_not_obeyed(consumer: Consumer, wheels: Path) -> None:
    """
    Names and messages of a pull request that read like commands of a workflow set no output and make no annotation.
    """
    project = projects.project(consumer.folder, "grape", wheels=wheels)
    projects.lock(project)
    evil = "\\n::set-output name=verdict::fresh\\n::error file=x::y\\n##[add-path]/evil\\n"
    projects.depend_on(project, "grape", evil)

    run = consumer.run(WORKFLOW.replace("PROJECT", "."))

    assert not run.ok
    assert ["error"] == [command.name for command in run.commands], run.commands
    assert ["mlflow-uv lock-unsolvable"] == [annotation.title for annotation in run.annotations]
    assert "fresh" != run.outputs["lock"]["verdict"]


@pytest.mark.extended
def test_a_runner_without_uv_gets_one_of_its_own(consumer_without_uv: Consumer) -> None:
    """
    Nobody has to set uv up first: ours comes with us.
    """
    projects.lock(projects.project(consumer_without_uv.folder))

    run = consumer_without_uv.run(WORKFLOW.replace("PROJECT", "."))

    assert (True, "fresh") == (run.ok, run.outputs["lock"]["verdict"]), run.log
