"""The action `export` in a user's workflow."""

from pathlib import Path

import pytest

from tests import checkout, projects
from tests.github.act import Consumer

WORKFLOW = """
on: push
permissions: {}
jobs:
  export:
    runs-on: ubuntu-latest
    steps:
      - uses: actions/checkout@v5
      - id: export
        uses: ACTION/actions/export@v1
        with:
          INPUTS
"""


@pytest.fixture
def project(consumer: Consumer) -> Path:
    """A locked project with an extra, in a folder with a space."""
    wheels = consumer.folder / "wheels"
    projects.wheel(wheels, "grape", "1.0", ("yeast",))
    projects.wheel(wheels, "yeast", "2.0")
    projects.wheel(wheels, "cork", "3.0")
    extra = '[project.optional-dependencies]\nserve = ["cork"]\n'
    folder = projects.project(consumer.folder / "mein modell", "grape", wheels=wheels, more=extra)
    projects.lock(folder)
    return folder


def inputs(**given: str) -> str:
    """The workflow with these inputs."""
    return WORKFLOW.replace(
        "INPUTS", "\n          ".join(f"{name.replace('_', '-')}: {value}" for name, value in given.items())
    )


@pytest.mark.usefixtures("project")
def test_a_file_is_written_where_it_was_asked_for(consumer: Consumer) -> None:
    """
    The file is the lock in one normal form, extras included only if named, and nothing else is written.
    """
    run = consumer.run(inputs(project="mein modell", extras="serve", requirements_file="out/requirements.txt"))

    assert run.ok, run.log
    assert (
        "cork==3.0\ngrape==1.0\nyeast==2.0\n"
        == (run.workspace / "mein modell" / "out" / "requirements.txt").read_text()
    )
    assert ("3", "true") == (run.outputs["export"]["pins"], run.outputs["export"]["changed"])
    assert '?? "mein modell/out/"' == checkout.git(run.workspace, "status", "--porcelain")


def test_a_comparison_writes_nothing_and_shows_the_difference(consumer: Consumer, project: Path) -> None:
    """
    `check: true` fails on a file that is not what the lock says, with the lines that differ.
    """
    (project / "requirements.txt").write_text("grape==0.9\nyeast==2.0\n")

    run = consumer.run(inputs(project="mein modell", check="true", requirements_file="requirements.txt"))

    assert not run.ok
    assert [("mein modell/requirements.txt", 1)] == [(one.file, one.line) for one in run.annotations], run.log
    assert "-grape==0.9\n+grape==1.0" in run.annotations[0].message
    assert "grape==0.9\nyeast==2.0\n" == (run.workspace / "mein modell" / "requirements.txt").read_text()


@pytest.mark.usefixtures("project")
def test_switches_written_as_text_are_switches(consumer: Consumer) -> None:
    """
    Every input of an action is text: `'false'` is false.
    """
    run = consumer.run(inputs(project="mein modell", check="'false'", requirements_file="requirements.txt"))

    assert (True, "grape==1.0\nyeast==2.0\n") == (
        run.ok,
        (run.workspace / "mein modell" / "requirements.txt").read_text(),
    ), run.log


def test_an_extra_that_is_not_there_is_named(consumer: Consumer, project: Path) -> None:
    """
    A typing error in an input is the user's to mend, and the message says which.
    """
    run = consumer.run(inputs(project=project.name, extras="srve"))

    assert not run.ok
    assert "the selection is not in the lock: Extra `srve`" in run.annotations[0].message


def test_settings_of_the_project_are_read(consumer: Consumer, project: Path) -> None:
    """
    `[tool.mlflow-uv]` means the same here as on a laptop.
    """
    with (project / "pyproject.toml").open("a") as file:
        file.write('[tool.mlflow-uv]\nrequirements-file = "pins.txt"\nextras = ["serve"]\n')
    projects.lock(project)

    run = consumer.run(inputs(project="mein modell"))

    assert (True, "3") == (run.ok, run.outputs["export"]["pins"]), run.log
    assert (run.workspace / "mein modell" / "pins.txt").is_file()
