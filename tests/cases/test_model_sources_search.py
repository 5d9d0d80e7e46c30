"""A training that makes several models, a model that is named as people name it, and a training with parameters."""

import json
import re

import pytest

from mlflow_uv.command.errors import BadInput, ModelNotFound, ToolFailed

from .in_process import InProcessProject
from .sample_project import training

# Three child runs that each log `model`, as every search does that follows MLflow's own examples.
SEARCH = """\
import sys

with mlflow.start_run(run_name="search") as parent:
    infos = []
    for depth in (1, 2, 3):
        with mlflow.start_run(run_name=f"depth-{depth}", nested=True):
            mlflow.log_metric("rmse", 1 / depth)
            infos.append(mlflow.pyfunc.log_model(name="model", python_model=Double(), input_example=EXAMPLE))
if "register" in sys.argv:
    mlflow.register_model(infos[1].model_uri, "by-itself")
"""
PARAMETERS = """\
import sys

with mlflow.start_run():
    mlflow.log_param("words", " ".join(sys.argv[1:]))
    log()
"""
PROJECT = """\
name: wine
entry_points:
  main:
    parameters:
      alpha: float
      note: {type: string, default: none}
    command: "python train.py {alpha} {note}"
"""

ENTRY = {"who": "x", "when": "2026-01-01T00:00:00Z"}


@pytest.fixture(scope="module")
def searching(project: InProcessProject) -> InProcessProject:
    """A project that searches."""
    (project.folder / "search.py").write_text(training(SEARCH))
    project.sample.commit()
    return project


@pytest.mark.extended
def test_of_a_search_what_training_registered_is_released(searching: InProcessProject) -> None:
    """
    The second of three models is a version already, so that is the one; a model of no other name is looked for.
    """
    report = searching.log(train=("python", "search.py", "register"))

    (version,) = searching.ask("find-versions", name="by-itself")["versions"]
    assert (True, report.outputs.model_id) == (report.ok, version["model_id"])
    assert any(line.startswith("of 3 models the one that training registered") for line in searching.console.lines)


@pytest.mark.extended
def test_of_a_search_that_registers_nothing_one_is_named_by_its_id(searching: InProcessProject) -> None:
    """
    The message lists ids and metrics; the fix that it prints, with an id from it, releases that model without a doubt.
    """
    with pytest.raises(ModelNotFound) as caught:
        searching.log(train=("python", "search.py"))
    best = re.findall(r"(m-[0-9a-f]{32}) `model` of run depth-3 [0-9a-f]{32} \(rmse 0.333333\)", caught.value.why)
    report = searching.log(from_model=best[0])

    assert caught.value.fix.startswith("--from-model ID")
    assert ((), best) == (report.findings, [report.outputs.model_id])


@pytest.mark.extended
def test_a_search_is_released_from_the_run_that_all_its_runs_are_below(searching: InProcessProject) -> None:
    """
    The parent made no model, so those of its child runs are listed instead of none.
    """
    with pytest.raises(ModelNotFound):
        searching.log(train=("python", "search.py"))
    ((parent,),) = searching.sample.store.rows(
        "SELECT run_uuid FROM runs WHERE name = 'search' ORDER BY start_time DESC LIMIT 1"
    )

    with pytest.raises(ModelNotFound) as caught:
        searching.log(from_run=parent)

    assert ("training logged 3 models", 3) == (caught.value.what, caught.value.why.count("of run depth-"))


def test_a_model_is_named_as_people_name_it(project: InProcessProject) -> None:
    """
    By a version, by the alias of one, by its place below a run, by its URI: it is one model, and one release.
    """
    run_id = project.logged_elsewhere("single", noted=project.head)
    model_id = project.model_of(run_id)
    made = project.ask(
        "find-or-create-version", name="named", model_id=model_id, model_sha256="0", tags={}, description="",
        timeout_s=60,
    )  # fmt: skip
    project.ask("assign-alias", name="named", alias="live", version=made["version"], entry=ENTRY)
    references = ("models:/named/1", "models:/named@live", "models:/named/latest", f"models:/{model_id}",
                  f"runs:/{run_id}/single", model_id)  # fmt: skip

    reports = [project.log(from_model=reference) for reference in references]

    assert {model_id} == {report.outputs.model_id for report in reports}
    assert 1 == len({report.outputs.release_key for report in reports})
    assert [False, True, True, True, True, True] == [report.outputs.reused for report in reports]


@pytest.mark.core_variants(2)
@pytest.mark.parametrize(
    ("reference", "error", "told"),
    [
        ("models:/nobody/1", ToolFailed, "nobody"),
        ("models:/unnamed@nothing", BadInput, "nothing"),
        ("models:/nobody/latest", ToolFailed, "there is no version of `nobody`"),
        ("models:/named/Production", BadInput, "known are models:/NAME@ALIAS"),
        ("models:/named", BadInput, "known are models:/NAME@ALIAS"),
    ],
)
def test_a_name_that_leads_to_no_model_is_refused(
    project: InProcessProject, reference: str, error: type[Exception], told: str
) -> None:
    """
    What is not there is said by its name; what MLflow gave up, as stages, with the forms that there are.
    """
    model_id = project.model_of(project.logged_elsewhere("single", noted=project.head))
    project.ask(
        "find-or-create-version", name="unnamed", model_id=model_id, model_sha256="0", tags={}, description="",
        timeout_s=60,
    )  # fmt: skip

    with pytest.raises(error) as caught:
        project.log(from_model=reference)

    assert told in str(caught.value)


@pytest.mark.extended
def test_an_entry_point_gets_its_parameters(project: InProcessProject) -> None:
    """
    A value with a space and one without a default arrive as they are, and other ones are another release.
    """
    project.sample.train_with(training(PARAMETERS))
    (project.folder / "MLproject").write_text(PROJECT)
    project.sample.commit()

    reports = [
        project.log(entry_point="main", parameters=words) for words in (("alpha=0.5", "note=two words"), ("alpha=1",))
    ]

    words = [project.ask("describe-run", run_id=report.outputs.run_id)["params"]["words"] for report in reports]
    assert ["0.5 two words", "1 none"] == words
    assert 2 == len({report.outputs.release_key for report in reports})
    assert "0.5" in json.dumps(project.ask("describe-run", run_id=reports[0].outputs.run_id)["params"])
