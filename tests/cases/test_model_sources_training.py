"""What a training program may do by itself: log code, log automatically, and leave things open."""

import json

import pytest

from mlflow_uv.command.errors import BadInput

from .in_process import InProcessProject

CODE = """\
import mlflow


class Triple(mlflow.pyfunc.PythonModel):
    def predict(self, context, model_input, params=None):
        return [3.0 * x for x in model_input["x"]]


mlflow.models.set_model(Triple())
"""
# MLflow's client repeats a call whose answer was lost: then a run, or a model, is there twice, and one stays open.
LOGS_CODE = """\
import json
import os

import mlflow
import pandas as pd

with mlflow.start_run() as run:
    mlflow.pyfunc.log_model(name="triple", python_model="triple.py", input_example=pd.DataFrame({"x": [1.0, 2.0]}))
    tags = json.loads(os.environ["MLFLOW_RUN_CONTEXT"])
    client, experiment = mlflow.MlflowClient(), run.info.experiment_id
    client.create_run(experiment, tags=tags)
    client.create_logged_model(experiment, name="triple", source_run_id=run.info.run_id, tags=tags)
"""
LOGS_BY_ITSELF = """\
import mlflow
import pandas as pd
from sklearn.linear_model import LinearRegression

mlflow.sklearn.autolog({options})
X = pd.DataFrame({{"x": [1.0, 2.0, 3.0]}})
LinearRegression().fit(X, 2 * X["x"])
"""


def test_a_model_from_code_is_released_and_nothing_stays_open(project: InProcessProject) -> None:
    """
    The file is the model; a run and a model that MLflow's client made twice are closed, and not taken for it.
    """
    (project.folder / "triple.py").write_text(CODE)
    (project.folder / "code.py").write_text(LOGS_CODE)
    project.sample.commit()

    report = project.log(train=("python", "code.py"))

    models = project.sample.store.rows("SELECT status FROM logged_models WHERE name = 'triple' ORDER BY status")
    answers = json.loads((project.sample.consumer.model / "mlflow-uv" / "answers.json").read_text())
    assert ((), [{"predictions": [3.0, 6.0]}]) == (report.findings, answers)
    assert {"FINISHED", "KILLED"} == set(project.sample.store.runs[-2:])
    assert [("2",), ("3",)] == models  # ready, failed


@pytest.mark.parametrize(
    ("options", "rules"),
    [("", ["no-input-example"]), pytest.param("log_input_examples=True", [], marks=pytest.mark.extended)],
    ids=["without examples", "with examples"],
)
def test_what_is_logged_automatically_is_released(project: InProcessProject, options: str, rules: list[str]) -> None:
    """
    By default autologging keeps no input example, which is a finding; with one the model is proved.
    """
    (project.folder / "auto.py").write_text(LOGS_BY_ITSELF.format(options=options))
    project.sample.commit()

    report = project.log(train=("python", "auto.py"))

    assert (rules, not rules) == ([finding.rule for finding in report.findings], report.ok)
    assert "RUNNING" not in project.sample.store.runs


def test_a_model_without_a_run_that_another_job_logged_is_refused_by_its_id(project: InProcessProject) -> None:
    """
    Nothing is written into it: a release of it would have no record.
    """
    logged = project.sample.consumer.ask_mlflow(
        "model = client.create_logged_model('0', name='alone')\n"
        f"client.log_model_artifacts(model.model_id, {str(project.saved)!r})\n"
        "client.finalize_logged_model(model.model_id, 'READY')\n"
        "print(model.model_id)"
    )

    with pytest.raises(BadInput, match="`alone` was logged without a run"):
        project.log(from_model=logged.split()[-1])
