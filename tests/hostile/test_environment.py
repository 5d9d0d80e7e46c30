"""Nobody whose code we run reads what we were given: a build backend, a training, a model."""

import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.cases.consumer import Consumer, make_consumer
from tests.cases.sample_project import training
from tests.processes import is_running

from .spy import SPY, Acted, Caller

SECRETS = ("MLFLOW_TRACKING_TOKEN", "MLFLOW_TRACKING_PASSWORD", "AWS_SECRET_ACCESS_KEY", "GITHUB_TOKEN",
           "ACTIONS_RUNTIME_TOKEN", "ACTIONS_ID_TOKEN_REQUEST_TOKEN", "UV_PUBLISH_TOKEN")  # fmt: skip
BACKEND = """
[project]
name = "wine"
requires-python = ">=3.9"
dynamic = ["version", "dependencies"]

[build-system]
requires = []
build-backend = "backend"
backend-path = ["."]
"""
BUILDING = """
def prepare_metadata_for_build_wheel(folder, config_settings=None):
    if _os.path.exists(LOOT):
        spy("backend", LOOT)
        leave(LOOT + "-backend")
    _os.mkdir(_os.path.join(folder, "wine-1.dist-info"))
    with open(_os.path.join(folder, "wine-1.dist-info", "METADATA"), "w") as file:
        file.write("Metadata-Version: 2.2\\nName: wine\\nVersion: 1\\n")
    return "wine-1.dist-info"


prepare_metadata_for_build_editable = prepare_metadata_for_build_wheel
"""
# In training the model is asked too, by MLflow: there it has what training has.
IN_TRAINING = '"MLFLOW_RUN_CONTEXT" in os.environ'
ASKED = f"""
        who = "nobody" if {IN_TRAINING} else "model"
        spy(who, LOOT)
        if who == "model":
            leave(LOOT + "-model")
            command_the_runner(RUNNER)
        return [2.0 * x for x in model_input["x"]]
"""
BODY = """
spy("training", LOOT)
leave(LOOT + "-training")
command_the_runner(RUNNER)
with mlflow.start_run():
    log()
"""


def daemons(caller: Caller, who: str) -> list[int]:
    """Those that somebody left."""
    return [int(line) for line in Path(f"{caller.loot}-{who}").read_text().split()]


@pytest.mark.parametrize("surface", ["program", "hook"])
def test_a_build_backend_finds_no_secret(tmp_path: Path, surface: str) -> None:
    """
    Dynamic metadata runs the project's code while its lock is checked: in no process it may look into is a secret.
    """
    caller = Caller.at(tmp_path / "caller")
    folder = tmp_path / "wine"
    folder.mkdir()
    (folder / "pyproject.toml").write_text(BACKEND)
    (folder / "backend.py").write_text(f"LOOT = {str(caller.loot)!r}\n{SPY}\n{BUILDING}")
    assert 0 == caller.run(("uv", "lock", "--quiet", "--offline"), {}, folder).returncode
    caller.loot.touch()
    argv = {
        "program": ("-m", "mlflow_uv", "check-lock"),
        "hook": ("-m", "mlflow_uv_hooks", "check-lock", str(folder / "uv.lock")),
    }[surface]

    variables = {**caller.canaries(*SECRETS), "UV_CACHE_DIR": str(tmp_path / "cache")}  # uv remembers what was built
    done = caller.run((sys.executable, "-I", *argv), variables, folder)

    assert (0, set()) == (done.returncode, caller.found("backend")), done.stderr
    assert not [pid for pid in daemons(caller, "backend") if is_running(pid)]


@dataclass(frozen=True, kw_only=True)
class Release:
    """A project whose training and whose model mean harm, and how far it came."""

    caller: Caller
    consumer: Consumer
    logged: Acted
    evaluated: Acted


@pytest.fixture(scope="module")
def release(tmp_path_factory: pytest.TempPathFactory, root: Path) -> Release:
    """Train and log, register, evaluate: as three steps of a job that holds secrets."""
    place = tmp_path_factory.mktemp("hostile")
    caller = Caller.at(place / "caller")
    consumer = make_consumer(place / "wine", place / "home", root / "examples" / "wine", engine="none")
    fault = f"LOOT, RUNNER = {str(caller.loot)!r}, {str(caller.runner)!r}\n{SPY}\n{training(BODY, predict=ASKED)}"
    (consumer.folder / "train.py").write_text(fault)
    consumer.edit(consumer.folder / "pyproject.toml", 'data-function = "train:unseen"\n', "")
    (consumer.folder / "unseen.csv").write_text("x,y\n1.0,2.0\n2.0,4.0\n")
    consumer.git("add", "--all")
    consumer.git("commit", "--quiet", "--message", "harm")
    variables = {"MLFLOW_UV_HOME": str(consumer.home), **caller.canaries(*SECRETS)}
    logged = caller.act("log-model", variables, consumer.folder, embedded="true")
    registered = consumer.run("register")
    assert registered.code == 0, logged.log + registered.stderr
    words = {"data": "unseen.csv", "target_column": "y", "model_type": "regressor", "candidate": "1"}
    evaluated = caller.act("evaluate", variables, consumer.folder, embedded="true", **words)
    return Release(caller=caller, consumer=consumer, logged=logged, evaluated=evaluated)


@pytest.mark.extended
def test_a_training_finds_no_secret_but_its_own(release: Release) -> None:
    """
    It has what it logs with; the rights of the job on the repository are nowhere that it may look.
    """
    own = {f"own {name}" for name in ("MLFLOW_TRACKING_TOKEN", "MLFLOW_TRACKING_PASSWORD", "AWS_SECRET_ACCESS_KEY")}

    assert own == release.caller.found("training")


@pytest.mark.extended
def test_a_model_finds_no_secret(release: Release) -> None:
    """
    Neither while it is proved nor while it is evaluated is a secret in a process that it may look into.
    """
    assert set() == release.caller.found("model")


@pytest.mark.extended
@pytest.mark.parametrize("who", ["training", "model"])
def test_what_was_left_running_is_ended(release: Release, who: str) -> None:
    """
    Daemons of a training and of a model end before the step does.
    """
    left = daemons(release.caller, who)

    assert ([], True) == ([pid for pid in left if is_running(pid)], bool(left))


@pytest.mark.extended
def test_what_was_ended_is_said(release: Release) -> None:
    """
    Who starts a server on purpose learns why it is gone.
    """
    assert "training left processes running, which were stopped: python" in release.logged.log


@pytest.mark.extended
@pytest.mark.parametrize("step", ["logged", "evaluated"])
def test_nobody_commands_the_runner(release: Release, step: str) -> None:
    """
    What a training or a model wrote into the runner's files is not there when the step ends, and the step fails.
    """
    acted: Acted = getattr(release, step)

    assert (1, False) == (acted.code, "LD_PRELOAD" in acted.seen), acted.log
    assert "a program that this step ran wrote to GITHUB_ENV" in acted.log


@pytest.mark.extended
def test_the_outputs_of_a_step_are_its_own(release: Release) -> None:
    """
    What the step itself has to say reaches the job.
    """
    assert "model-id" in release.logged.commands["GITHUB_OUTPUT"]
    assert "<sub><code>mlflow-uv log-model</code></sub>" in release.logged.commands["GITHUB_STEP_SUMMARY"]


@pytest.mark.extended
def test_no_secret_leaves(release: Release) -> None:
    """
    Not one byte of the logs, the runner's files, the store and the records holds a canary.
    """
    kept = [path for path in (release.consumer.home / "state").rglob("*") if path.is_file()]
    texts = [acted.seen for acted in (release.logged, release.evaluated)]

    holding = [str(path) for path in kept if release.caller.token.encode() in path.read_bytes()]

    assert ([], []) == (holding, [text for text in texts if release.caller.token in text])
