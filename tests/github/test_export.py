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
      - uses: actions/checkout@v7
      - id: export
        uses: ACTION/actions/export@v1
        with:
          INPUTS
"""


BESIDE = "--no-index\n--find-links ../wheels\n"  # the only index of the project is a folder beside it


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
@pytest.mark.extended
def test_a_file_is_written_where_it_was_asked_for(consumer: Consumer) -> None:
    """
    The file is the lock in one normal form, extras included only if named, and nothing else is written.
    """
    run = consumer.run(inputs(project="mein modell", extras="serve", requirements_file="out/requirements.txt"))

    assert run.ok, run.log
    listed = (run.workspace / "mein modell" / "out" / "requirements.txt").read_text()
    assert "--no-index\n--find-links ../../wheels\ncork==3.0\ngrape==1.0\nyeast==2.0\n" == listed
    assert ("3", "true") == (run.outputs["export"]["pins"], run.outputs["export"]["changed"])
    assert '?? "mein modell/out/"' == checkout.git(run.workspace, "status", "--porcelain")


@pytest.mark.extended
@pytest.mark.usefixtures("project")
def test_without_a_file_the_list_is_in_the_log(consumer: Consumer) -> None:
    """
    And so is the block of doctor: what a terminal gets on standard output.
    """
    doctor = "\n      - uses: ACTION/actions/doctor@v1\n        with:\n          project: mein modell\n"

    run = consumer.run(inputs(project="mein modell") + doctor)

    assert run.ok, run.log
    assert "\ngrape==1.0\nyeast==2.0\n" in run.log
    assert "grape==1.0" in run.summary
    assert "mlflow-uv:             " in run.log
    assert "\n```\nmlflow-uv:             " in run.summary


def test_a_comparison_writes_nothing_and_shows_the_difference(consumer: Consumer, project: Path) -> None:
    """
    `check: true` fails on a file that is not what the lock says, with the lines that differ.
    """
    (project / "requirements.txt").write_text(f"{BESIDE}grape==0.9\nyeast==2.0\n")

    run = consumer.run(inputs(project="mein modell", check="true", requirements_file="requirements.txt"))

    assert not run.ok
    assert [("mein modell/requirements.txt", 3)] == [(one.file, one.line) for one in run.annotations], run.log
    assert "grape 0.9 → 1.0" in run.annotations[0].message
    assert f"{BESIDE}grape==0.9\nyeast==2.0\n" == (run.workspace / "mein modell" / "requirements.txt").read_text()


@pytest.mark.extended
@pytest.mark.usefixtures("project")
def test_switches_written_as_text_are_switches(consumer: Consumer) -> None:
    """
    Every input of an action is text: `'false'` is false.
    """
    run = consumer.run(inputs(project="mein modell", check="'false'", requirements_file="requirements.txt"))

    assert (True, f"{BESIDE}grape==1.0\nyeast==2.0\n") == (
        run.ok,
        (run.workspace / "mein modell" / "requirements.txt").read_text(),
    ), run.log


@pytest.mark.extended
def test_an_extra_that_is_not_there_is_named(consumer: Consumer, project: Path) -> None:
    """
    A typing error in an input is the user's to mend, and the message says which.
    """
    run = consumer.run(inputs(project=project.name, extras="srve"))

    assert not run.ok
    assert "the selection is not in the lock: Extra `srve`" in run.annotations[0].message


@pytest.mark.extended
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


def local_package(consumer: Consumer, project: Path) -> str:
    """Let the project need a wheel that lies in the repository; its name."""
    own = projects.wheel(consumer.folder / "own", "stem", "1.0")
    with (project / "pyproject.toml").open("a") as file:
        file.write(f'[tool.uv.sources]\nstem = {{ path = "../own/{own.name}" }}\n')
    projects.depend_on(project, "grape", "stem")
    projects.lock(project)
    return own.name


def test_several_files_and_wheels_come_from_one_call(consumer: Consumer, project: Path) -> None:
    """
    Requirements, pylock.toml and bill, a local package as a wheel beside them, and its name in the outputs.
    """
    name = local_package(consumer, project)
    files = {"requirements_file": "out/pins.txt", "pylock_file": "out/pylock.toml", "sbom_file": "out/b.cdx.json"}

    run = consumer.run(inputs(project="mein modell", local_packages="wheels", **files))

    made = {path.name for path in (run.workspace / "mein modell" / "out").rglob("*") if path.is_file()}
    assert run.ok, run.log
    assert {"pins.txt", "pylock.toml", "b.cdx.json", name} == made
    assert name in run.outputs["export"]["wheels"]


def test_a_local_package_stops_the_job_until_somebody_decides(consumer: Consumer, project: Path) -> None:
    """
    The annotation stands on the package in the lock, and says how to choose.
    """
    local_package(consumer, project)
    lock = (project / "uv.lock").read_text().splitlines()

    run = consumer.run(inputs(project="mein modell", requirements_file="requirements.txt"))

    (annotation,) = run.annotations
    assert (False, "mein modell/uv.lock", 'name = "stem"') == (run.ok, annotation.file, lock[annotation.line or 0])
    assert (
        "--local-packages wheels` in a clone, and commit what it writes, or `local-packages: omit`"
        in annotation.message
    )
