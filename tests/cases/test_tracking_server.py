"""Over a tracking server everything is the same, no secret gets out, and a server that is not there is told at once."""

import json
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.ports import free_port
from tests.stores import mlflow_server

from .consumer import CommandResult
from .sample_project import ONCE, Database, SampleProject, error, training

BAD_INPUT, NO_STORE = 2, 8
PASSWORD = "ma-rk-er-of-a-pass-word"  # so that it would be found
SECRETS = {"MLFLOW_TRACKING_USERNAME": "alice", "MLFLOW_TRACKING_PASSWORD": PASSWORD}
INDISCREET = training(f"print('password:', os.environ['MLFLOW_TRACKING_PASSWORD'])\n{ONCE}")


@pytest.fixture(scope="module")
def server_python(released_sample: SampleProject) -> Path:
    """The consumer's own MLflow."""
    return min((released_sample.consumer.home / "cache" / "environments").glob("wine-*/bin/python"))


@pytest.fixture(scope="module")
def server(server_python: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, Path]]:
    """A tracking server on loopback, and the folder in which it keeps everything."""
    folder = tmp_path_factory.mktemp("server")
    with mlflow_server(server_python, folder) as uri:
        yield uri, folder


@pytest.fixture
def dead() -> str:
    """The address of a server that is gone."""
    return f"http://127.0.0.1:{free_port()}"


def holders_of(secret: str, *places: Path) -> list[str]:
    """The files that hold a text."""
    return [
        str(path)
        for place in places
        for path in place.rglob("*")
        if path.is_file() and secret.encode() in path.read_bytes()
    ]


@pytest.mark.extended
def test_a_release_over_a_server_goes_on_where_the_project_is_not(
    sample: SampleProject, server: tuple[str, Path], tmp_path: Path
) -> None:
    """
    With the record alone, another job registers, builds and tests; what it cannot verify there, it says.

    The password of the server is in no output, record, store or file, even where training prints it.
    """
    uri, kept = server
    variables = {"MLFLOW_TRACKING_URI": uri, **SECRETS}
    sample.train_with(INDISCREET)

    begun = sample.run("release", "--steps", "check-lock export log-model", variables=variables)
    record = tmp_path / "record.json"
    record.write_bytes(sample.consumer.record.read_bytes())
    registered, built, tested = (
        sample.run(step, *flags, "--record", str(record), variables=variables, folder=tmp_path)
        for step, *flags in (
            ("register", "--model-name", "wine"),
            ("build-image", "--engine", "none"),
            ("smoke-test",),
        )
    )

    result = (begun, registered, built, tested)
    assert [0, 0, 0, 0] == [one.code for one in result], [one.stderr for one in result]
    assert ("tested", "1") == (tested.outputs["state"], json.loads(record.read_text())["alias"]["after"])
    assert "`commit` is not verified here: the project folder is not available here" in registered.stderr
    assert [] == [one for one in result if leaks(one)]
    assert [] == holders_of(PASSWORD, kept, tmp_path, sample.folder, sample.consumer.home / "state")


@pytest.mark.extended
def test_a_whole_release_over_a_server(sample: SampleProject, server: tuple[str, Path]) -> None:
    """
    A tracking server in place of the embedded store changes nothing; a second release finds the first.
    """
    uri, _ = server
    flags = ("--engine", "none", "--tracking-uri", uri, "--model-name", "whole")

    first = sample.run("release", *flags)
    again = sample.run("log-model", "--tracking-uri", uri)

    assert (0, True, "tested") == (first.code, first.outputs["created"], first.outputs["state"]), first.stderr
    assert (0, True) == (again.code, again.outputs["reused"])
    assert ["1"] == sample.store.versions  # of the embedded store


@pytest.mark.extended
def test_a_database_of_ones_own_keeps_the_checkout_clean(sample: SampleProject, tmp_path: Path) -> None:
    """
    A database that is named relative to the current folder is used, and what it keeps lies beside it.
    """
    flags = ("--project", str(sample.folder), "--steps", "log-model register", "--tracking-uri", "sqlite:///own.db")

    result = sample.run("release", *flags, folder=tmp_path)

    assert 0 == result.code, result.stderr
    assert ["mlruns", "own.db"] == sorted(path.name for path in tmp_path.iterdir())
    assert ["1"] == Database(path=tmp_path / "own.db").versions


@pytest.mark.extended
def test_a_server_whose_artifacts_are_a_folder_is_told_before_training(
    sample: SampleProject, server_python: Path, tmp_path: Path
) -> None:
    """
    `mlflow server --default-artifact-root FOLDER` lets every client write into a folder of its own machine.

    Nothing is trained or written, and the server as the message would have it takes the same release.
    """
    root, witness = tmp_path / "artifacts", tmp_path / "trained"
    sample.train_with(training(f"open({str(witness)!r}, 'w').close()\n{ONCE}"))

    with mlflow_server(server_python, tmp_path / "server", root=root) as uri:
        refused = sample.run("log-model", variables={"MLFLOW_TRACKING_URI": uri})
    trained, written = witness.exists(), list(root.rglob("*"))
    with mlflow_server(server_python, tmp_path / "server") as uri:
        mended = sample.run("log-model", variables={"MLFLOW_TRACKING_URI": uri})

    code, kind, sentence, fix = error(refused)
    assert (NO_STORE, "StoreUnreachable") == (code, kind)
    assert f"experiment `wine`, `{root}/" in sentence
    assert "mlflow server --artifacts-destination" in fix
    assert (False, []) == (trained, written)
    assert (0, True) == (mended.code, witness.exists()), mended.stderr


@pytest.mark.extended
def test_an_experiment_keeps_its_folder_and_a_shared_one_is_used(
    sample: SampleProject, server_python: Path, tmp_path: Path
) -> None:
    """
    What the message offers besides: a folder that is shared is named, and an experiment that is there is left.
    """
    root = tmp_path / "artifacts"

    with mlflow_server(server_python, tmp_path / "server", root=root) as uri:
        variables = {"MLFLOW_TRACKING_URI": uri, "MLFLOW_UV_ARTIFACT_ROOTS": str(root)}
        shared = sample.run("log-model", variables=variables)
        registered = sample.run("register", variables=variables)
        kept = [path.name for path in root.rglob("MLmodel")]
        unsaid = sample.run("register", variables={"MLFLOW_TRACKING_URI": uri})
    with mlflow_server(server_python, tmp_path / "server") as uri:
        stays = sample.run("log-model", "--retrain", variables={"MLFLOW_TRACKING_URI": uri})
        mended = sample.run("log-model", "--retrain", "--experiment", "new", variables={"MLFLOW_TRACKING_URI": uri})

    assert ([0, 0], ["MLmodel"]) == ([shared.code, registered.code], kept), shared.stderr
    assert [NO_STORE, NO_STORE] == [unsaid.code, stays.code]
    assert "--experiment" in error(stays)[3]
    assert 0 == mended.code, mended.stderr


@pytest.mark.parametrize("step", ["log-model", pytest.param("register", marks=pytest.mark.extended)])
def test_a_server_that_is_gone_is_told_before_mlflow_gives_up(sample: SampleProject, dead: str, step: str) -> None:
    """
    MLflow's own patience is minutes; ours ends in time for a person to see it.
    """
    started = time.monotonic()

    result = sample.run(step, variables={"MLFLOW_TRACKING_URI": dead.replace("//", f"//alice:{PASSWORD}@")})

    code, kind, sentence, fix = error(result)
    assert (NO_STORE, "StoreUnreachable") == (code, kind)
    assert "does not answer" in sentence
    assert "--tracking-uri" in fix
    assert time.monotonic() - started < 120
    assert not leaks(result)


def test_credentials_in_an_address_are_refused_and_not_shown(sample: SampleProject) -> None:
    """
    Inputs are shown in logs, so none of them carries a secret.
    """
    result = sample.run("log-model", "--tracking-uri", f"https://alice:{PASSWORD}@mlflow.example.test")

    code, kind, _, fix = error(result)
    assert (BAD_INPUT, "BadInput") == (code, kind)
    assert "MLFLOW_TRACKING_PASSWORD" in fix
    assert not leaks(result)


@pytest.mark.parametrize("step", ["log-model", "register", "release"])
def test_a_runner_without_a_server_is_told_before_anything_is_lost(sample: SampleProject, step: str) -> None:
    """
    On a forge's runner the embedded store would vanish, so it is used only where that was said.
    """
    result = sample.run(step, variables={"GITHUB_ACTIONS": "true"})

    code, kind, sentence, fix = error(result)
    assert (NO_STORE, "StoreUnreachable") == (code, kind)
    assert "is lost" in sentence
    assert "--embedded" in fix
    assert (["FINISHED"], ["1"]) == (sample.store.runs, sample.store.versions)


def test_a_runner_may_accept_an_embedded_store(sample: SampleProject) -> None:
    """
    For demonstrations and pull-request checks, that is said with `embedded`.
    """
    result = sample.run("log-model", "--embedded", variables={"GITHUB_ACTIONS": "true"})

    assert (0, True) == (result.code, result.outputs["reused"])


def leaks(result: CommandResult) -> bool:
    """Whether the password was shown."""
    return PASSWORD in result.stdout + result.stderr
