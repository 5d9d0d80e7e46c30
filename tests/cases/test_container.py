"""How a container of a serving image starts and ends, as its engine sees it."""

import http.client
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from mlflow_uv.core.image.dockerfile import PORT, SERVING
from tests.contracts.serving_process import JSON, concurrently, scripted_model, statuses, wait_until
from tests.waiting import CEILING_S

from .containers import ServedImage, docker, served_image_in

pytestmark = pytest.mark.engine
CANNOT_LOAD, KILLED = 3, 137
IN_FLIGHT = 20
GIB = 1 << 30
# Who connects to the server in its container: 0, or the number of the error.
CONNECTING = "import socket; print(socket.socket().connect_ex(('127.0.0.1', 8080)))"
REFUSED = "111"
# An hour in one call of a library, during which Python handles no signal.
LOADING = "pathlib.Path({sign!r}).touch(); import hashlib; hashlib.pbkdf2_hmac('sha256', b'', b'', (1 << 31) - 1)"
# The first process to load it goes on, and starts again where it cannot be forked: then each worker has the hour.
APART = "import threading; threading.Thread(target=threading.Event().wait, daemon=True).start()\nif os.getpid() > 1: "
LIVELY = ("--health-interval=1s", "--health-timeout=2s", "--health-retries=1", "--health-start-period=0s")


@pytest.fixture(scope="module", params=["built", pytest.param("composed", marks=pytest.mark.extended)])
def served_image(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, root: Path
) -> Iterator[ServedImage]:
    """One image for all."""
    composes = request.param == "composed"
    with served_image_in(tmp_path_factory.mktemp("served-image"), root, composes=composes) as made:
        yield made


@pytest.mark.extended
@pytest.mark.parametrize("workers", ["1", "2"])
def test_requests_in_flight_are_answered_and_new_ones_refused(served_image: ServedImage, workers: str) -> None:
    """
    `docker stop` with twenty requests of two seconds: each is a 200, nobody else gets in, then it ends with 0.
    """
    place = served_image.place()
    rows: list[dict[str, Any]] = [
        {"entered": str(place / f"entered-{one}"), "leave": str(place / "leave"), "seconds": 2}
        for one in range(IN_FLIGHT)
    ]

    with served_image.start(WORKERS=workers, THREADS=str(IN_FLIGHT)) as container:
        container.ready()
        with concurrently(*(lambda row=row: container.invoke(row) for row in rows)) as answers:
            wait_until(lambda: all(Path(row["entered"]).exists() for row in rows))
            with concurrently(container.stop) as codes:
                wait_until(lambda: not container.answers())
                connected, unanswered = container.inside(CONNECTING), answers.count(None)
                (place / "leave").touch()

    assert (REFUSED, IN_FLIGHT) == (connected, unanswered)
    assert ([200] * IN_FLIGHT, [0]) == (statuses(answers), codes)


@pytest.mark.extended
@pytest.mark.parametrize("workers", ["1", "2"])
def test_requests_that_keep_every_processor_busy_are_answered_too(
    served_image: ServedImage, tmp_path: Path, workers: str
) -> None:
    """
    Twenty predictions that never let go of Python's lock for long: the server, hardly ever on, loses none of them.
    """
    burning = "def burn(seconds):\n    end = time.monotonic() + seconds\n    while time.monotonic() < end: pass\n"
    model = scripted_model(tmp_path / "model", loading=burning, predicting="burn(2)")

    with served_image.start(model=model, WORKERS=workers) as container:
        container.ready()
        clients = [http.client.HTTPConnection(container.address, PORT, timeout=CEILING_S) for _ in range(IN_FLIGHT)]
        for client in clients:
            client.request("POST", "/invocations", '{"dataframe_records": [{"x": 1}]}', JSON)
        code = container.stop()
        answers = [client.getresponse() for client in clients]

    assert ([200] * IN_FLIGHT, 0) == ([answer.status for answer in answers], code)


@pytest.mark.parametrize(
    ("workers", "before"),
    [
        ("1", ""),
        pytest.param("2", "", marks=pytest.mark.extended),
        pytest.param("2", APART, marks=pytest.mark.extended),
    ],
    ids=["one worker", "two workers", "each for itself"],
)
def test_docker_stop_ends_it_while_it_loads(
    served_image: ServedImage, tmp_path: Path, workers: str, before: str
) -> None:
    """
    A model that loads for an hour is not waited for, and the engine has nothing to kill.
    """
    sign = served_image.place() / "loading"
    model = scripted_model(tmp_path / "model", loading=before + LOADING.format(sign=str(sign)))

    with served_image.start(model=model, WORKERS=workers, DRAIN_TIMEOUT="3600") as container:
        wait_until(sign.exists)
        code = container.stop()

    assert 0 == code


def test_docker_stop_ends_it_before_anything_is_imported(served_image: ServedImage, tmp_path: Path) -> None:
    """
    The first process of a container is not ended by a signal that it does not handle: it does from its first lines on.
    """
    sign = served_image.place() / "importing"
    (tmp_path / "main.py").write_text(f"import pathlib, time\npathlib.Path({str(sign)!r}).touch()\ntime.sleep(3600)\n")

    with served_image.start(f"--volume={tmp_path}/main.py:{SERVING}/main.py:ro") as container:
        wait_until(sign.exists)
        code = container.stop()

    assert 0 == code


@pytest.mark.extended
def test_a_model_that_cannot_load_stops_looping_and_says_why(served_image: ServedImage, tmp_path: Path) -> None:
    """
    Each start ends with a status of its own and the reason as its last line, so that the engine gives up after three.
    """
    model = tmp_path / "model"
    model.mkdir()
    (model / "MLmodel").write_text("flavors:\n  python_function:\n    loader_module: nobody_has_this\n")

    with served_image.start("--restart=on-failure:3", model=model) as container:
        wait_until(lambda: container.inspected["RestartCount"] == 3 and not container.state["Running"])
        state, log, lasted = container.state, container.log(), container.lasted()

    reason = "The model in /opt/ml/model cannot be served: ModuleNotFoundError: No module named 'nobody_has_this'"
    assert (CANNOT_LOAD, "exited", reason, 4) == (state["ExitCode"], state["Status"], log[-1], log.count(reason))
    assert lasted < 30


def test_a_model_that_may_not_be_read_is_not_replaced_by_another(served_image: ServedImage, tmp_path: Path) -> None:
    """
    A folder that was mounted and belongs to somebody else ends it: the image's own model would give other answers.
    """
    model = scripted_model(tmp_path / "model")
    model.chmod(0o700)

    with served_image.start(model=model) as container:
        code, log = container.end(), container.log()

    sentence = "The model in /opt/ml/model cannot be served: user 10001 has no permission to read it."
    assert (CANNOT_LOAD, [sentence]) == (code, log)


@pytest.mark.parametrize("workers", [pytest.param("1", marks=pytest.mark.extended), "2"])
def test_a_container_without_memory_ends(served_image: ServedImage, tmp_path: Path, workers: str) -> None:
    """
    Whoever is killed for it, nothing stays up: the engine says 137 and that memory ran out.
    """
    model = scripted_model(tmp_path / "model", predicting="len(b'x' * int(row['bytes']))")

    with served_image.start("--memory=600m", "--memory-swap=600m", model=model, WORKERS=workers) as container:
        modest = container.ready().predictions({"bytes": 1000})
        with concurrently(lambda: container.invoke({"bytes": GIB})) as answers:
            code = container.end()
        state = container.state

    assert ([1000], KILLED, True) == (modest, code, state["OOMKilled"])
    assert isinstance(answers[0], ConnectionError)


@pytest.mark.extended
def test_a_container_is_healthy_as_long_as_it_answers(served_image: ServedImage) -> None:
    """
    By the image's own check: `healthy` when the model is there, `unhealthy` when the process hangs.
    """

    def health() -> str:
        return container.state["Health"]["Status"]

    with served_image.start(*LIVELY, WORKERS="1") as container:
        wait_until(lambda: health() == "healthy")
        answered = container.answers()
        docker("kill", "--signal", "STOP", container.name)
        wait_until(lambda: health() == "unhealthy")
        docker("kill", "--signal", "CONT", container.name)
        wait_until(lambda: health() == "healthy")

    assert answered
