"""A training that names a tracking store by itself is followed there, or stopped at its first run with the reason."""

import shlex
from collections.abc import Iterator

import pytest

from mlflow_uv.command.errors import TrainingFailed

from .in_process import InProcessProject
from .sample_project import SampleProject, error, training

IGNORED = "mlflow.db*\nmlruns/\n*.mark\n*.db\n"
OWN = """\
mlflow.set_tracking_uri("{uri}")
mlflow.set_experiment("of their own")
with mlflow.start_run():
    log(registered_model_name="theirs")
"""
# It goes on for ever unless it is stopped, or told not to.
WAITING = """\
from pathlib import Path
from mlflow.tracking.context.registry import resolve_tags

mlflow.set_tracking_uri("{uri}")
if not Path("go.mark").exists():
    resolve_tags()
    while True:
        time.sleep(1)
with mlflow.start_run():
    log()
"""
# Two processes: MLflow keeps the connection of the first to the file that is gone.
WIPING = """\
import subprocess, sys

subprocess.run([sys.executable, "-c", "import mlflow; mlflow.start_run(); mlflow.log_metric('before', 1)"], check=True)
os.unlink("wiped.db")
with mlflow.start_run():
    log()
"""


@pytest.fixture
def own_store_project(project: InProcessProject) -> Iterator[InProcessProject]:
    """A project that keeps its own store out of git, as most do."""
    (project.folder / ".gitignore").write_text(IGNORED)
    yield project
    for left in ("mlflow.db", "go.mark", "team.db", "beside.db", "wiped.db"):
        (project.folder / left).unlink(missing_ok=True)


@pytest.mark.extended
def test_a_store_in_the_project_is_followed_and_found_again(own_store_project: InProcessProject) -> None:
    """
    A hard-coded SQLite file: the model is proved there, its artifacts lie there, and a re-run trains nothing.
    """
    own_store_project.sample.train_with(training(OWN.format(uri="sqlite:///mlflow.db")))
    database = own_store_project.folder / "mlflow.db"

    report = own_store_project.log(train=("python", "train.py"))
    again = own_store_project.log(train=("python", "train.py"))

    (finding, after) = (*report.findings, *again.findings)
    assert ("own-tracking-uri", "warning", after) == (finding.rule, finding.severity.value, finding)
    assert 'add `tracking-uri = "sqlite:///mlflow.db"` to [tool.mlflow-uv]' in finding.fix
    assert (f"sqlite:///{database}", True) == (report.outputs.tracking_uri, report.ok)
    assert (report.outputs.model_id, True) == (again.outputs.model_id, again.outputs.reused)
    assert list((own_store_project.folder / "mlruns").rglob(report.outputs.model_id))
    assert any("training sets its own tracking URI" in line for line in own_store_project.console.lines)


@pytest.mark.extended
def test_the_setting_that_the_finding_prints_ends_it(own_store_project: InProcessProject) -> None:
    """
    With that line in pyproject.toml the store is one that somebody named, and nothing is said.
    """
    own_store_project.sample.train_with(training(OWN.format(uri="sqlite:///./mlflow.db")))
    manifest = own_store_project.folder / "pyproject.toml"
    before = manifest.read_text()
    manifest.write_text(before.replace("[tool.mlflow-uv]", '[tool.mlflow-uv]\ntracking-uri = "sqlite:///mlflow.db"'))
    own_store_project.sample.commit()

    result = own_store_project.sample.consumer.run("log-model")
    manifest.write_text(before)
    own_store_project.sample.commit()

    assert (0, []) == (result.code, result.answer["findings"])
    assert "of its own" not in result.stderr


@pytest.mark.extended
def test_a_store_beside_the_one_that_the_job_names_ends_the_training_at_once(
    own_store_project: InProcessProject,
) -> None:
    """
    The job decides where models go: a training that would wait for ever is stopped, and the printed flag releases it.
    """
    # A name of its own: an interpreter that answered the tests above still has the file open that they removed.
    own_store_project.sample.train_with(training(WAITING.format(uri="sqlite:///beside.db")))

    with pytest.raises(TrainingFailed) as caught:
        own_store_project.log(train=("python", "train.py"), tracking_uri="sqlite:///team.db")
    (own_store_project.folder / "go.mark").touch()
    words = shlex.split(caught.value.fix.partition(", or")[0])
    report = own_store_project.log(train=("python", "train.py"), tracking_uri=words[1])

    assert caught.value.what.startswith("training was stopped: it logs to ")
    assert f"MLFLOW_TRACKING_URI is `sqlite:///{own_store_project.folder}/team.db`" in caught.value.why
    assert ("--tracking-uri", (), None) == (words[0], report.findings, report.outputs.tracking_uri)


def test_no_server_of_the_trainings_choice_is_asked_with_credentials(sample: SampleProject) -> None:
    """
    Where the job holds a token the address is refused before anything of ours asks it, and the token is not shown.
    """
    sample.train_with(training(WAITING.format(uri="http://127.0.0.1:9")))

    result = sample.run("log-model", variables={"MLFLOW_TRACKING_TOKEN": "canary-7c1f"})

    code, kind, sentence, fix = error(result)
    assert (9, "TrainingFailed") == (code, kind)
    assert "MLFLOW_TRACKING_TOKEN would go to `http://127.0.0.1:9`" in sentence
    assert "--tracking-uri http://127.0.0.1:9, or remove the tracking URI from the training" == fix
    assert "canary-7c1f" not in result.stdout + result.stderr


@pytest.mark.extended
def test_a_training_that_removes_its_database_is_told_what_that_cost(own_store_project: InProcessProject) -> None:
    """
    What it logs afterwards is found and released; what was there before is gone, which is a warning.
    """
    # A name of its own, as above.
    own_store_project.sample.train_with(training(WIPING))

    report = own_store_project.log(
        train=("python", "train.py"), tracking_uri=f"sqlite:///{own_store_project.folder}/wiped.db"
    )

    assert (["database-replaced"], True) == ([finding.rule for finding in report.findings], report.ok)


@pytest.mark.extended
@pytest.mark.parametrize("uri", ["./mlruns", "file:./mlruns", "sqlite:///data/rel.db"])
def test_a_store_that_is_relative_to_the_project_is_released_to(sample: SampleProject, uri: str) -> None:
    """
    As real projects commit it: every step finds it there.
    """
    (sample.folder / ".gitignore").write_text(f"{IGNORED}data/\n")
    (sample.folder / "data").mkdir()
    manifest = sample.folder / "pyproject.toml"
    manifest.write_text(manifest.read_text().replace("[tool.mlflow-uv]", f'[tool.mlflow-uv]\ntracking-uri = "{uri}"'))
    sample.commit()

    result = sample.consumer.run("release", "--engine", "none")
    audited = sample.consumer.run("audit", "models:/wine@candidate")

    assert (0, "1") == (result.code, result.outputs["version"]), result.stderr
    assert (0, []) == (audited.code, audited.outputs["broken"]), audited.stderr
