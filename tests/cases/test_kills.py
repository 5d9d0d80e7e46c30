"""Who is killed without a word leaves nothing that the next attempt does not mend."""

import os
import re
import shutil
import signal
from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path

import pytest

from tests.proxy import Fault, Held, Proxy, proxy_of
from tests.stores import Stores
from tests.waiting import happens

from .sample_project import ONCE, SampleProject, error, is_below, training

LATER = pytest.mark.extended
MOMENTS = [
    pytest.param("POST .*/runs/create", Held.AFTER, marks=LATER, id="training has opened its run"),
    pytest.param("PUT .*/MLmodel", Held.BEFORE, marks=LATER, id="training uploads its model"),
    pytest.param("PATCH .*/logged-models/m-[^/]*$", Held.AFTER, marks=LATER, id="training has finished its model"),
    pytest.param("PUT .*/mlflow-uv/", Held.AFTER, marks=LATER, id="the lock is written into the model"),
    pytest.param("PATCH .*/logged-models/m-[^/]*/tags", Held.AFTER, marks=LATER, id="the model is tagged"),
    pytest.param("POST .*/registered-models/create", Held.AFTER, marks=LATER, id="the name is made"),
    pytest.param("POST .*/model-versions/create", Held.BEFORE, marks=LATER, id="the version is about to be made"),
    pytest.param("POST .*/model-versions/create", Held.AFTER, marks=LATER, id="the version is made"),
    pytest.param("POST .*/model-versions/set-tag", Held.AFTER, marks=LATER, id="the version is tagged"),
    pytest.param("POST .*/registered-models/alias", Held.BEFORE, marks=LATER, id="the alias is about to move"),
    pytest.param("POST .*/registered-models/alias", Held.AFTER, marks=LATER, id="the alias has moved"),
]


@pytest.fixture(scope="module")
def proxy(servers: Stores) -> Iterator[Proxy]:
    """A proxy in front of the real server."""
    with proxy_of(servers.uri) as made:
        yield made


@pytest.mark.parametrize(("call", "where"), MOMENTS)
def test_a_release_that_was_killed_is_completed_by_the_next(
    sample: SampleProject, servers: Stores, proxy: Proxy, request: pytest.FixtureRequest, call: str, where: Held
) -> None:
    """
    One version, one finished model of it, the alias on it, no run that looks as if it went on, and no process.
    """
    name = re.sub("[^a-z]+", "-", request.node.callspec.id)
    sample.train_with(training(f"print({name!r})\nwith mlflow.start_run():\n    log()"))
    whole = "alias" in call
    flags = ("--engine", "none", "--model-name", name, *(() if whole else ("--steps", "log-model register")))
    variables = {"MLFLOW_TRACKING_URI": proxy.uri, **servers.as_admin}
    others = servers.database.open_runs()
    proxy.hold(where, call=call)

    killed = sample.start("release", *flags, variables=variables)
    reached = happens(lambda: proxy.held.is_set() or killed.poll() is not None)
    kill_everything(sample, killed.pid)
    code = sample.ended(killed).code
    proxy.forget()
    for path in sample.temporary.glob("mlflow-uv*"):  # nobody was left to remove them
        shutil.rmtree(path, ignore_errors=True)
    again = sample.run("release", *flags, variables=variables)

    assert (True, -signal.SIGKILL, 0, "1") == (reached, code, again.code, again.outputs.get("version")), again.stderr
    stored = servers.database
    alias = "SELECT alias, version FROM registered_model_aliases WHERE name = :'name'"
    assert (["1"], ["candidate|1"] if whole else []) == (stored.versions(name), stored.ask(alias, name=name))
    assert [again.outputs["model-id"]] == stored.finished_models(again.outputs["release-key"])
    assert set() == stored.open_runs() - others


TAGGED = "POST .*/model-versions/set-tag"


@pytest.mark.extended
def test_a_step_that_was_killed_after_it_tagged_its_record_goes_on(
    sample: SampleProject, servers: Stores, proxy: Proxy
) -> None:
    """
    Killed between the tag and the file, build-image has a staged record, and the next step goes on with it.
    """
    variables = {"MLFLOW_TRACKING_URI": proxy.uri, **servers.as_admin}

    def begun(name: str) -> None:
        sample.train_with(training(f"print({name!r})\nwith mlflow.start_run():\n    log()"))
        flags = ("--engine", "none", "--model-name", name, "--steps", "log-model register")
        assert 0 == sample.run("release", *flags, variables=variables).code

    begun("tagged-once")
    proxy.forget()
    sample.run("build-image", "--engine", "none", variables=variables)
    tags = sum(re.fullmatch(TAGGED, call) is not None for call in proxy.calls)
    begun("tagged-and-killed")
    proxy.hold(Held.AFTER, call=TAGGED, before=tags - 1)  # the digest of the record is the last of them

    killed = sample.start("build-image", "--engine", "none", variables=variables)
    reached = happens(lambda: proxy.held.is_set() or killed.poll() is not None)
    kill_everything(sample, killed.pid)
    code = sample.ended(killed).code
    proxy.forget()
    for path in sample.temporary.glob("mlflow-uv*"):
        shutil.rmtree(path, ignore_errors=True)
    tested = sample.run("smoke-test", variables=variables)

    assert (True, -signal.SIGKILL, 0) == (reached, code, tested.code), tested.stderr
    assert tags > 1


def kill_everything(sample: SampleProject, command: int) -> None:
    """
    Kill all that was started from the sample project, the command itself and its children, at once.

    What hides its own environment is told by its parent.
    """

    def marked() -> list[int]:
        found = []
        for folder in Path("/proc").glob("[0-9]*"):
            with suppress(OSError):
                if is_below((folder / "environ").read_bytes(), sample.temporary):
                    found.append(int(folder.name))
        return found

    processes = [command, *below(command)]
    while processes:
        for process in processes:
            with suppress(ProcessLookupError):
                os.kill(process, signal.SIGKILL)
        processes = marked()


def below(process: int) -> list[int]:
    """The children of a process, and theirs."""
    parents: dict[int, list[int]] = {}
    for file in Path("/proc").glob("[0-9]*/stat"):
        with suppress(OSError):
            parents.setdefault(int(file.read_text().rpartition(")")[2].split()[1]), []).append(int(file.parent.name))
    found, queue = [], [process]
    while queue:
        children = parents.get(queue.pop(), [])
        found += children
        queue += children
    return found


ASKED = """open({note!r}, "a").close()
        while os.path.exists({flag!r}):
            time.sleep(0.05)
        return [2.0 * x for x in model_input["x"]]"""


@pytest.mark.parametrize(
    ("number", "code"),
    [
        pytest.param(signal.SIGKILL, -signal.SIGKILL, id="killed"),
        pytest.param(signal.SIGTERM, 143, marks=LATER, id="cancelled"),
    ],
)
def test_a_release_that_was_interrupted_after_training_does_not_train_again(
    sample: SampleProject, tmp_path: Path, number: signal.Signals, code: int
) -> None:
    """
    The next one verifies the model that is there; of a killed one this machine alone knows that it ended.
    """
    note, flag = tmp_path / "asked", tmp_path / "wait"
    flag.touch()
    sample.train_with(training(predict=ASKED.format(note=str(note), flag=str(flag))))
    # MLflow asks it for the input example too, which is not given here.
    example = sample.folder / "example.json"
    example.write_text('{"dataframe_split": {"columns": ["x"], "data": [[1.0]]}}')
    sample.train_with((sample.folder / "train.py").read_text().replace("EXAMPLE, **", "None, **"))
    runs, flags = len(sample.store.runs), ("--steps", "log-model register", "--input-example", "example.json")

    interrupted = sample.start("release", "--engine", "none", *flags)
    reached = happens(lambda: note.exists() or interrupted.poll() is not None)
    before = sample.store.models
    interrupted.send_signal(number)
    ended = sample.ended(interrupted).code
    alone = happens(lambda: not sample.processes())
    flag.unlink()
    for path in sample.temporary.glob("mlflow-uv*"):  # nobody was left to remove them
        shutil.rmtree(path, ignore_errors=True)
    again = sample.run("release", "--engine", "none", *flags)
    third = sample.run("release", "--engine", "none", *flags)

    assert (True, code, True, 0, 0) == (reached, ended, alone, again.code, third.code), again.stderr
    assert (["FINISHED"], before) == (sample.store.runs[runs:], sample.store.models)
    assert "not trained again: model " in again.stderr
    assert "by a release that was interrupted while it verified the model" in again.stderr
    assert again.outputs["model-id"] == third.outputs["model-id"]
    assert "not trained again: no input changed since" in third.stderr


def interrupt(sample: SampleProject, folder: Path, number: signal.Signals) -> str:
    """Interrupt a release of a model while it answers the input example; the id of the model."""
    before = sample.store.models
    interrupt_release(sample, folder, number, *AFTER_TRAINING, variables={})
    (model,) = sample.store.models - before
    return model


def interrupt_release(
    sample: SampleProject, folder: Path, number: signal.Signals, *arguments: str, variables: Mapping[str, str]
) -> None:
    """Interrupt a release of a model while it answers the input example."""
    note, flag = folder / "asked", folder / "wait"
    flag.touch()
    sample.train_with(training(predict=ASKED.format(note=str(note), flag=str(flag))).replace("EXAMPLE, **", "None, **"))
    (sample.folder / "example.json").write_text('{"dataframe_split": {"columns": ["x"], "data": [[1.0]]}}')
    sample.commit()
    process = sample.start("release", *arguments, variables=variables)
    assert happens(lambda: note.exists() or process.poll() is not None)
    process.send_signal(number)
    sample.ended(process)
    assert happens(lambda: not sample.processes())
    flag.unlink()
    sweep(sample)


def sweep(sample: SampleProject) -> None:
    """Remove the temporary folders of what was killed: nobody was left to do it."""
    for path in sample.temporary.glob("mlflow-uv*"):
        shutil.rmtree(path, ignore_errors=True)


AFTER_TRAINING = ("--engine", "none", "--steps", "log-model register", "--input-example", "example.json")


@pytest.mark.extended
def test_a_release_that_was_killed_twice_after_training_does_not_train_again(
    sample: SampleProject, tmp_path: Path
) -> None:
    """
    The second one was killed before it took the model. Of what somebody left beside it nothing is released.
    """
    model = interrupt(sample, tmp_path, signal.SIGKILL)
    (stored,) = (path for path in sample.consumer.home.rglob(model) if path.is_dir())
    (stored / "artifacts" / "mlflow-uv").mkdir()
    for name in ("requests.json", "responses.json"):
        (stored / "artifacts" / "mlflow-uv" / name).write_text("[]")

    second = sample.start("release", *AFTER_TRAINING)
    assert second.stderr is not None
    resumed = any("not trained again: model " in line for line in second.stderr)
    kill_everything(sample, second.pid)
    sample.ended(second)
    sweep(sample)
    third = sample.run("release", *AFTER_TRAINING, "--skip-derived")

    assert (True, 0, model) == (resumed, third.code, third.outputs["model-id"]), third.stderr
    assert [] == list(stored.rglob("re*s*s.json"))


@pytest.mark.extended
@pytest.mark.parametrize(
    "call", ["PUT .*/mlflow-uv/", "PATCH .*/logged-models/m-[^/]*/tags", "POST .*/model-versions/"]
)
def test_a_release_that_is_continued_goes_on_after_its_store_went_away(
    sample: SampleProject, servers: Stores, proxy: Proxy, tmp_path: Path, request: pytest.FixtureRequest, call: str
) -> None:
    """
    It ends with what to do, and the next run, once the store is there, takes the model that was trained first.
    """
    name = re.sub("[^a-z]+", "-", request.node.callspec.id.lower())
    variables = {"MLFLOW_TRACKING_URI": proxy.uri, "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "1", **servers.as_admin}
    flags = (*AFTER_TRAINING, "--model-name", f"continued-{name}")
    proxy.forget()
    interrupt_release(sample, tmp_path, signal.SIGKILL, *flags, variables=variables)

    proxy.inject(Fault.DROPPED_BEFORE, at=call, lasting=True)
    gone = sample.run("release", *flags, variables=variables)
    proxy.forget()
    again = sample.run("release", *flags, variables=variables)

    code, _, sentence, fix = error(gone)
    assert (8, True) == (code, "the tracking server does not answer" in sentence), gone.stderr
    assert fix.startswith("start it, or name another with")
    assert (0, "1") == (again.code, again.outputs.get("version")), again.stderr
    assert "not trained again: " in again.stderr


@pytest.mark.extended
def test_a_model_of_an_interrupted_release_that_another_one_adopted_stays_its_own(
    sample: SampleProject, tmp_path: Path
) -> None:
    """
    Its version has the answers of that release, which writing into the model would change.
    """
    model = interrupt(sample, tmp_path, signal.SIGTERM)
    other = tmp_path / "other.json"
    other.write_text('{"dataframe_split": {"columns": ["x"], "data": [[7.0]]}}')

    flags = ("--engine", "none", "--steps", "log-model register", "--input-example", str(other))
    adopted = sample.run("release", *flags, "--from-model", model)
    again = sample.run("release", *AFTER_TRAINING)
    audited = sample.run("audit", "--engine", "none", f"models:/wine/{adopted.outputs['version']}")

    assert (0, model) == (adopted.code, adopted.outputs["model-id"]), adopted.stderr
    assert 0 == again.code, again.stderr
    assert model != again.outputs["model-id"], again.stderr
    assert "broken" not in audited.stdout, audited.stdout


UNTIL_THE_END = """
    with open({note!r} + ".new", "w") as file:
        file.write(str(os.getpid()))
    os.rename({note!r} + ".new", {note!r})
    time.sleep(3600)
"""


@pytest.mark.extended
def test_the_training_of_a_release_that_was_killed_ends_with_it(sample: SampleProject, tmp_path: Path) -> None:
    """
    The kernel ends one process; the next release trains alone, and closes the run of the first.
    """
    note = tmp_path / "training"
    sample.train_with(training("with mlflow.start_run():" + UNTIL_THE_END.format(note=str(note))))
    flags = ("--engine", "none", "--steps", "log-model")

    killed = sample.start("release", *flags)
    reached = happens(lambda: note.exists() or killed.poll() is not None)
    killed.kill()
    code = sample.ended(killed).code
    alone = happens(lambda: not sample.processes())
    sample.train_with(training("print('again')\n" + ONCE))
    for path in sample.temporary.glob("mlflow-uv*"):  # nobody was left to remove them
        shutil.rmtree(path, ignore_errors=True)
    again = sample.run("release", *flags)

    assert (True, -signal.SIGKILL, True, 0) == (reached, code, alone, again.code), again.stderr
    assert ["KILLED", "FINISHED"] == sample.store.runs[-2:]


@pytest.mark.extended
@pytest.mark.engine
def test_the_container_of_a_smoke_test_that_was_killed_is_removed(sample: SampleProject) -> None:
    """
    The engine runs it, which is not killed.
    """
    waiting = "if in_serving():\n            time.sleep(3600)\n        return [2.0 * x for x in model_input['x']]"
    sample.train_with(training(predict=waiting))
    built = sample.run("release", "--engine", "docker", "--steps", "log-model register build-image")

    killed = sample.start("smoke-test")
    reached = happens(lambda: sample.containers() or killed.poll() is not None)
    before = sample.containers()
    killed.kill()
    code = sample.ended(killed).code

    assert (0, True, 1, -signal.SIGKILL) == (built.code, reached, len(before), code), built.stderr
    assert happens(lambda: not sample.containers())
