"""Who cancels gets everything back: no process, no container, no open run, no half-moved alias."""

import secrets
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.waiting import happens

from .images import remove_image
from .sample_project import SampleProject, training

SIGNALS = pytest.mark.parametrize(
    ("number", "code"),
    [
        pytest.param(signal.SIGTERM, 143, id="SIGTERM"),
        pytest.param(signal.SIGINT, 130, marks=pytest.mark.extended, id="SIGINT"),
    ],
)
ENDLESS = "with mlflow.start_run():\n    mlflow.log_param('a', 1)\n    time.sleep(3600)"
STUBBORN = f"import signal, subprocess\nsignal.signal(signal.SIGTERM, signal.SIG_IGN)\n{ENDLESS}"
HANGS_IN_SERVING = training(load="time.sleep(3600 if in_serving() else 0)")
# A number of seconds that no other test on this machine sleeps.
TOO_LONG = str(10**6 + secrets.randbelow(10**9))


@pytest.fixture
def slow_base(tmp_path: Path) -> Iterator[str]:
    """A base image whose Python tells its version, and on which a build never ends."""
    (tmp_path / "python3").write_text(
        f'#!/bin/sh\ncase "$*" in *install.py*) exec sleep {TOO_LONG};; esac\nexec /usr/bin/python3 "$@"\n'
    )
    (tmp_path / "python3").chmod(0o755)
    (tmp_path / "Dockerfile").write_text(
        "FROM python:3.11-slim\nRUN rm /usr/local/bin/python3\nCOPY python3 /usr/local/bin/\n"
    )
    name = f"mlflow-uv-test-{secrets.token_hex(4)}:slow"
    subprocess.run(("docker", "build", "--quiet", "--tag", name, tmp_path), check=True, capture_output=True)
    yield name
    remove_image(name)


def is_running(words: str) -> bool:
    """Whether a command line anywhere on this machine holds these words."""
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            if words in path.read_bytes().replace(b"\0", b" ").decode(errors="replace"):
                return True
        except OSError:
            continue
    return False


@SIGNALS
def test_training_that_is_cancelled_leaves_a_killed_run(
    sample: SampleProject, number: signal.Signals, code: int
) -> None:
    """
    The run says that it was killed, the training is gone, and nothing was registered.
    """
    sample.train_with(training(ENDLESS))

    result = sample.cancel("release", when=lambda: "RUNNING" in sample.store.runs, by=number)

    assert (code, ["FINISHED", "KILLED"], ["1"]) == (result.code, sample.store.runs, sample.store.versions)


@pytest.mark.extended
def test_who_cancels_twice_still_leaves_a_killed_run(sample: SampleProject) -> None:
    """
    A runner sends SIGINT, and SIGTERM while we tidy up: that is not interrupted.
    """
    sample.train_with(training(ENDLESS))

    result = sample.cancel(
        "log-model",
        when=lambda: "RUNNING" in sample.store.runs,
        by=signal.SIGINT,
        again_when=lambda: not any("train.py" in line for line in sample.processes()),
    )

    assert (130, ["FINISHED", "KILLED"]) == (result.code, sample.store.runs)


@pytest.mark.extended
def test_training_that_will_not_listen_is_ended_too(sample: SampleProject) -> None:
    """
    What ignores SIGTERM is killed after a while.
    """
    sample.train_with(training(STUBBORN))

    result = sample.cancel("log-model", when=lambda: "RUNNING" in sample.store.runs)

    assert (143, ["FINISHED", "KILLED"]) == (result.code, sample.store.runs)


@pytest.mark.extended
def test_logging_that_is_cancelled_leaves_a_killed_run(sample: SampleProject) -> None:
    """
    A question to MLflow that nobody waits for any more does not keep its run from being closed.
    """
    sample.consumer.edit(sample.folder / "pyproject.toml", 'train = "python train.py"\n', "")
    (sample.folder / "saved").mkdir()
    (sample.folder / "saved" / "MLmodel").write_text("flavors: {}\n")
    for number in range(20_000):
        (sample.folder / "saved" / str(number)).touch()

    result = sample.cancel("log-model", "--model", "saved", when=lambda: "RUNNING" in sample.store.runs)

    assert (143, ["FINISHED", "KILLED"]) == (result.code, sample.store.runs)


def test_a_smoke_test_in_a_process_that_is_cancelled_ends_the_server(sample: SampleProject) -> None:
    """
    The server is ended; the version is neither tested nor failed, and no alias moved.
    """
    version = build(sample, "--engine", "none")

    result = sample.cancel(
        "smoke-test",
        when=lambda: any(line.rstrip().endswith("/serving") for line in sample.processes()),
        by=signal.SIGINT,
    )

    assert (130, "registered", {"candidate": "1"}) == (
        result.code,
        sample.store.tags(version)["state"],
        sample.store.aliases,
    )


@pytest.mark.extended
@pytest.mark.engine
def test_a_smoke_test_in_a_container_that_is_cancelled_removes_it(sample: SampleProject, image: str) -> None:
    """
    The container is removed; the version is neither tested nor failed, and no alias moved.
    """
    version = build(sample, "--engine", "any", "--image", image)

    result = sample.cancel("smoke-test", when=sample.containers)

    assert (143, "registered", {"candidate": "1"}) == (
        result.code,
        sample.store.tags(version)["state"],
        sample.store.aliases,
    )


@pytest.mark.engine
def test_a_build_that_is_cancelled_is_given_up(sample: SampleProject, slow_base: str, image: str) -> None:
    """
    The engine stops building, and no image of that name is there.
    """
    flags = ("--engine", "any", "--builder", "engine", "--base-image", slow_base, "--image", image)

    result = sample.cancel("build-image", *flags, when=lambda: is_running(f"sleep {TOO_LONG}"))

    found = subprocess.run(("docker", "image", "inspect", image), capture_output=True, check=False)
    assert (143, False) == (result.code, found.returncode == 0)
    assert happens(lambda: not is_running(f"sleep {TOO_LONG}"))


@pytest.mark.extended
@pytest.mark.engine
def test_a_base_image_that_never_answers_is_not_waited_for(
    sample: SampleProject, slow_base: str, tmp_path: Path
) -> None:
    """
    The question which Python it has is asked in a container, which is removed.
    """
    (tmp_path / "python3").write_text(f"#!/bin/sh\nexec sleep {TOO_LONG}\n")
    subprocess.run(("docker", "build", "--quiet", "--tag", slow_base, tmp_path), check=True, capture_output=True)

    def asked() -> bool:
        return is_running(f"sleep {TOO_LONG}")

    flags = ("--engine", "docker", "--builder", "engine", "--base-image", slow_base)

    result = sample.cancel("build-image", *flags, when=asked)

    assert (143, True) == (result.code, happens(lambda: not asked()))


def build(sample: SampleProject, *flags: str) -> str:
    """Build what serves a model that hangs where it is served; its version."""
    sample.train_with(HANGS_IN_SERVING)
    result = sample.run("release", "--steps", "log-model register build-image", *flags)
    assert result.code == 0, result.stderr
    return str(result.outputs["version"])
