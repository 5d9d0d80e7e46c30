"""A model that another job logged is released if its run had this lock, and the doubt is told if nobody can say so."""

import json
import subprocess
from pathlib import Path

import pytest

from mlflow_uv.command.errors import BadInput, BadProject, ChainBroken, ModelNotFound
from mlflow_uv.ops.model.verification_plan import RequirementsPolicy
from mlflow_uv.tools.uv.environments import Environment

from .in_process import InProcessProject

NOWHERE = "0123456789abcdef0123456789abcdef01234567"
UNKNOWN = {"sha": "unknown", "dirty": "unknown"}
LATER = pytest.mark.extended


def recorded(project: InProcessProject) -> dict[str, str | None]:
    """The commit of the release record."""
    return dict(json.loads(project.sample.consumer.record.read_text())["commit"])


@pytest.mark.parametrize(
    ("tag", "tags", "dirty"), [("noted", {}, "unknown"), ("commit", {"dirty": "false"}, None)], ids=["MLflow's", "ours"]
)
def test_a_run_of_this_lock_is_released(
    project: InProcessProject, tag: str, tags: dict[str, str], dirty: str | None
) -> None:
    """
    The model gets the lock and its answers, the record names the commit of the run, and a re-run finds it again.

    MLflow notes the commit and not whether the tree was clean: the record does not say so either.
    """
    commit = project.head
    run_id = project.logged_elsewhere(**{tag: commit}, **tags)
    project.sample.consumer.git("commit", "--quiet", "--allow-empty", "--message", "later")

    adopted = project.log(from_run=run_id)
    again = project.log(from_run=run_id)

    assert ((), {"sha": commit, "project": ".", "dirty": dirty}) == (adopted.findings, recorded(project))
    assert ("adopted and verified", True) == (adopted.summary[-20:], again.outputs.reused)
    assert run_id == adopted.outputs.run_id
    files = {path.name for path in (project.sample.consumer.model / "mlflow-uv").iterdir()}
    assert {"uv.lock", "answers.json"} <= files


def test_a_run_of_another_lock_is_refused(project: InProcessProject) -> None:
    """
    One changed pin at the commit that the run recorded breaks the chain at the lock, whoever recorded it.
    """
    other = project.with_another_lock(lambda lock: lock.replace("1.17.0", "1.16.0"))
    runs = [project.logged_elsewhere(noted=other), project.logged_elsewhere(commit=other)]

    broken = []
    for run_id in runs:
        with pytest.raises(ChainBroken) as caught:
            project.log(from_run=run_id)
        broken.append((caught.value.links, caught.value.fix.startswith(f"git checkout {other[:12]}")))

    assert [(("lock",), True)] * 2 == broken


def test_a_lock_that_its_run_noted_is_believed_before_the_commit(project: InProcessProject) -> None:
    """
    The commit has this lock, and the run says that it was trained under another: that is refused.
    """
    run_id = project.logged_elsewhere(commit=project.head, lock="0" * 64)

    with pytest.raises(ChainBroken) as caught:
        project.log(from_model=project.model_of(run_id))

    assert ("lock",) == caught.value.links


@pytest.mark.parametrize(
    ("tags", "why", "commit"),
    [
        pytest.param({}, "its run recorded no commit", UNKNOWN, marks=LATER, id="no commit"),
        pytest.param({"commit": "--output=x"}, "its run recorded no commit", UNKNOWN, id="no commit that git knows"),
        pytest.param(
            {"noted": NOWHERE},
            "neither this checkout nor its origin has uv.lock",
            {**UNKNOWN, "sha": NOWHERE},
            id="not here",
        ),
        pytest.param(
            {"commit": NOWHERE, "dirty": "true"},
            "the tree differed from commit",
            {"sha": NOWHERE, "dirty": "changed"},
            marks=LATER,
            id="dirty",
        ),
    ],
)
def test_what_nobody_can_check_here_is_a_warning(
    project: InProcessProject, tags: dict[str, str], why: str, commit: dict[str, str | None]
) -> None:
    """
    The model is proved, the doubt is told, and the record claims no more than is known.
    """
    run_id = project.logged_elsewhere(**tags)

    report = project.log(from_run=run_id)

    (finding,) = report.findings
    assert ("lineage-unverified", "warning", True) == (finding.rule, finding.severity.value, report.ok)
    assert why in finding.why
    assert {**commit, "project": "."} == recorded(project)


def test_of_two_models_one_is_named(project: InProcessProject) -> None:
    """
    Which model of a run is released is a question; its name answers it.
    """
    run_id = project.logged_elsewhere("single", "double", noted=project.head)

    with pytest.raises(ModelNotFound) as asked:
        project.log(from_run=run_id)
    report = project.log(from_run=run_id, logged_model="single")

    assert "they are called double, single" in asked.value.why
    assert "--logged-model NAME" in asked.value.fix
    assert "single" == json.loads(project.sample.consumer.record.read_text())["model"]["name"]
    assert report.ok


@pytest.mark.parametrize("status", ["RUNNING", "FAILED", "KILLED"])
def test_a_run_that_did_not_finish_is_refused(project: InProcessProject, status: str) -> None:
    """
    What a run left that goes on, or came to grief, is not released by its run.
    """
    run_id = project.logged_elsewhere(status=status, noted=project.head)

    with pytest.raises(ModelNotFound) as caught:
        project.log(from_run=run_id)
    if status == "RUNNING":
        project.ask("end-run", run_id=run_id, status="KILLED")

    assert f"run {run_id} is {status}" == caught.value.what


@pytest.mark.extended
def test_a_model_of_another_release_keeps_its_version_whole(project: InProcessProject) -> None:
    """
    To prove it again would change the digest that its version was tested with: refused, unless no version was made.
    """
    run_id = project.logged_elsewhere(noted=project.head)
    first = project.log(from_run=run_id)
    free = project.log(from_run=run_id, requirements=RequirementsPolicy.INFER)
    project.log(from_run=run_id, retrain=True)
    tags = {"mlflow-uv.release-key": first.outputs.release_key}
    version = project.ask(
        "find-or-create-version",
        name="cellar",
        model_id=first.outputs.model_id,
        model_sha256=first.outputs.model_sha256,
        tags=tags,
        description="",
        timeout_s=60,
    )
    before = {path: path.read_bytes() for path in project.sample.consumer.model.rglob("*") if path.is_file()}

    with pytest.raises(BadInput) as caught:
        project.log(from_run=run_id, requirements=RequirementsPolicy.INFER, retrain=True)
    same = project.log(from_run=run_id)

    assert (True, "1", True) == (free.ok, version["version"], same.ok)
    assert f"model {first.outputs.model_id} belongs to another release" == caught.value.what
    assert "version 1 of cellar" in caught.value.why
    assert before == {path: path.read_bytes() for path in project.sample.consumer.model.rglob("*") if path.is_file()}


@pytest.mark.core_variants(1)
@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("rows.csv", "x\n1.5\n4\n"),
        pytest.param("rows.json", '[{"x": 1.5}, {"x": 4}]', marks=LATER),
        pytest.param("split.json", '{"columns": ["x"], "data": [[1.5], [4]]}', marks=LATER),
        ("request.json", '{"dataframe_split": {"columns": ["x"], "data": [[1.5], [4]]}}'),
    ],
)
def test_a_file_is_what_the_model_is_asked_with(project: InProcessProject, name: str, text: str) -> None:
    """
    CSV, rows, a table as pandas writes it, or a request as MLflow's server takes it: the answers are those to it.
    """
    (project.folder / name).write_text(text)
    model_id = project.model_of(project.logged_elsewhere(noted=project.head))

    report = project.log(from_model=model_id, input_example=Path(name))
    answers = json.loads((project.sample.consumer.model / "mlflow-uv" / "answers.json").read_text())
    (project.folder / name).unlink()

    assert ((), [{"predictions": [3.0, 8.0]}]) == (report.findings, answers)


@pytest.mark.extended
def test_other_examples_are_another_release(project: InProcessProject) -> None:
    """
    What the model is asked is part of what makes two releases the same one.
    """
    model_id = project.model_of(project.logged_elsewhere(noted=project.head))
    file = project.folder / "rows.csv"
    keys = [project.log(from_model=model_id).outputs.release_key]

    for text in ("x\n1\n", "x\n2\n", "x\n2\n"):
        file.write_text(text)
        keys.append(project.log(from_model=model_id, input_example=Path("rows.csv")).outputs.release_key)
    file.unlink()

    assert (3, keys[2]) == (len(set(keys)), keys[3])


@pytest.mark.core_variants(2)
@pytest.mark.parametrize(
    ("name", "text", "told"),
    [
        ("rows.csv", "y\n1.5\n", "Model is missing inputs ['x']"),
        ("rows.csv", "x\nred\n", "the model cannot answer request 1"),
        ("rows.csv", "", "`rows.csv` is empty"),
        ("rows.csv", "x\n", "`rows.csv` has no row below its column names"),
        pytest.param("rows.json", "[1, 2", "`rows.json` is not JSON", marks=LATER),
        pytest.param("rows.json", "[]", "is neither a request", marks=LATER),
        ("rows.json", None, "`rows.json` cannot be read: No such file or directory"),
    ],
    ids=["another column", "a word for a number", "empty", "no row", "not JSON", "no table", "not there"],
)
def test_a_file_that_the_model_does_not_take_is_refused(
    project: InProcessProject, name: str, text: str | None, told: str
) -> None:
    """
    It is wrong input, and the reason is MLflow's own or names what is wrong with the file.
    """
    if text is not None:
        (project.folder / name).write_text(text)
    model_id = project.model_of(project.logged_elsewhere(noted=project.head))

    with pytest.raises(BadInput) as caught:
        project.log(from_model=model_id, input_example=Path(name))
    (project.folder / name).unlink(missing_ok=True)

    assert "`input-example`" in caught.value.what
    assert told in caught.value.why


@pytest.mark.extended
def test_the_projects_own_environment_is_used_where_it_is_the_lock(project: InProcessProject) -> None:
    """
    One package more is told with the command that mends it, and nothing is changed; without it the model is proved.
    """
    model_id = project.model_of(project.logged_elsewhere(noted=project.head))
    sync = ("uv", "sync", "--quiet", "--locked", "--project", project.folder)
    environment = project.tools.host.variables
    inputs = {"from_model": model_id, "environment": Environment.PROJECT}

    refused = []
    for argv in (sync, ("uv", "pip", "install", "--quiet", "--python", project.own, "--no-deps", "iniconfig==2.1.0")):
        if argv is not sync:
            subprocess.run(sync, check=True, env=environment)
            subprocess.run(argv, check=True, env=environment)
        with pytest.raises(BadProject) as caught:
            project.log(**inputs)
        refused.append((caught.value.fix, caught.value.why))
    subprocess.run(sync, check=True, env=environment)
    report = project.log(**inputs)

    fixes, (missing, extra) = {fix for fix, _ in refused}, [why for _, why in refused]
    assert {"uv sync --locked --package wine"} == fixes
    assert "- iniconfig==2.1.0" == extra
    assert "+ " in missing
    assert (True, False, False) == (report.ok, (project.folder / ".venv").exists(), report.outputs.reused)
