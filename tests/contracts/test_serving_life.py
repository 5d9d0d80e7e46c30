"""Contract: how the server starts, what one slow request costs the others, and how it ends."""

import http.client
import json
import os
import signal
from pathlib import Path
from typing import Any

import pytest

from tests.contracts.serving_process import Served, Starter, concurrently, scripted_model, statuses, wait_until
from tests.processes import is_running
from tests.waiting import CEILING_S, happens

CUT_OFF, REFUSED, CANNOT_LOAD, KILLED = 1, 2, 3, 137
IN_FLIGHT = 20
# Runs a loop of OpenMP, as LightGBM and XGBoost do while they load.
PARALLEL = """
import numpy as np
from sklearn.ensemble import HistGradientBoostingClassifier
X = np.random.default_rng(0).normal(size=(5000, 8))
CLASSIFIER = HistGradientBoostingClassifier(max_iter=20).fit(X, X[:, 0] > 0)
"""


@pytest.mark.core_variants(4)
@pytest.mark.parametrize(
    ("variables", "sentence"),
    [
        ({"PORT": "http"}, "PORT='http' is not a whole number from 1 to 65535."),
        ({"PORT": "70000"}, "PORT='70000' is not a whole number from 1 to 65535."),
        ({"SAGEMAKER_BIND_TO_PORT": "-1", "PORT": ""}, "SAGEMAKER_BIND_TO_PORT='-1' is not a whole number"),
        ({"HOST": "no.such.host.invalid"}, "HOST='no.such.host.invalid', PORT="),
        ({"HOST": "192.0.2.1"}, "HOST='192.0.2.1', PORT="),
        ({"WORKERS": "0"}, "WORKERS='0' is not a whole number from 1 to 1024."),
        ({"WORKERS": "2.5"}, "WORKERS='2.5' is not a whole number from 1 to 1024."),
        ({"THREADS": "many"}, "THREADS='many' is not a whole number from 1 to 1024."),
        ({"REQUEST_TIMEOUT": "0"}, "REQUEST_TIMEOUT='0' is not a number of seconds above zero"),
        ({"REQUEST_TIMEOUT": "nan"}, "REQUEST_TIMEOUT='nan' is not a number of seconds above zero"),
        ({"DRAIN_TIMEOUT": "-3"}, "DRAIN_TIMEOUT='-3' is not a number of seconds"),
        ({"BODY_LIMIT": "10MB"}, "BODY_LIMIT='10MB' is not a whole number from 1"),
        ({"ACCESS_LOG": "yes"}, "ACCESS_LOG='yes' is not one of: off, json."),
        ({"METRICS": "true"}, "METRICS='true' is not one of: 0, 1."),
    ],
    ids=str,
)
def test_a_wrong_value_ends_the_server_at_once(
    start: Starter, tmp_path: Path, variables: dict[str, str], sentence: str
) -> None:
    """
    One line that names the variable, and status 2; nothing heavy was imported for it.
    """
    with start(tmp_path, **variables) as served:
        code = served.end()

    lines = served.output().splitlines()
    assert (REFUSED, 1, sentence) == (code, len(lines), lines[0][: len(sentence)])


def test_an_argument_that_nobody_knows_ends_the_server(start: Starter, tmp_path: Path) -> None:
    """
    SageMaker passes `train` to an image that can train; this one rejects it.
    """
    with start(tmp_path, "train") as served:
        code = served.end()

    assert (REFUSED, True) == (code, "Unknown argument 'train'" in served.last_line())


@pytest.mark.parametrize("workers", [pytest.param("1", marks=pytest.mark.extended), "2"])
def test_a_model_that_cannot_be_loaded_ends_the_server_at_once(start: Starter, tmp_path: Path, workers: str) -> None:
    """
    No server stays up without a model: it ends with a status of its own and the reason in its last line.
    """
    (tmp_path / "MLmodel").write_text("flavors:\n  python_function:\n    loader_module: nobody_has_this\n")

    with start(tmp_path, WORKERS=workers) as served:
        code = served.end()

    assert CANNOT_LOAD == code
    reason = f"The model in {tmp_path} cannot be served: ModuleNotFoundError: No module named 'nobody_has_this'"
    assert reason == served.last_line()


def test_a_module_of_the_model_does_not_take_the_place_of_the_servers(start: Starter, tmp_path: Path) -> None:
    """
    A model's code comes first where Python looks, under whatever name.
    """
    model = scripted_model(tmp_path / "model")
    for name in ("uvicorn", "h11", "metrics"):
        (model / "code" / f"{name}.py").write_text("raise SystemExit(9)\n")

    with start(model) as served:
        served.ready()
        code = served.stop()

    assert 0 == code


@pytest.mark.parametrize("workers", [pytest.param("1", marks=pytest.mark.extended), "2"])
def test_being_told_to_stop_while_it_loads_ends_it(start: Starter, tmp_path: Path, workers: str) -> None:
    """
    A model that loads for an hour does not keep the process; nothing was in flight, so the status is 0.
    """
    loading = tmp_path / "loading"
    model = scripted_model(tmp_path / "model", loading=f"pathlib.Path({str(loading)!r}).touch(); time.sleep(3600)")

    with start(model, WORKERS=workers, DRAIN_TIMEOUT="3600") as served:
        wait_until(loading.exists)
        code = served.stop()

    assert 0 == code


@pytest.mark.parametrize(
    ("workers", "number"),
    [
        pytest.param("1", signal.SIGTERM, marks=pytest.mark.extended),
        pytest.param("2", signal.SIGTERM),
        pytest.param("1", signal.SIGINT, marks=pytest.mark.extended),
    ],
    ids=str,
)
def test_requests_in_flight_are_answered_and_new_ones_refused(
    start: Starter, tmp_path: Path, workers: str, number: signal.Signals
) -> None:
    """
    Twenty requests of two seconds: all answer 200 after the signal, an idle connection is closed, the status is 0.
    """
    model = scripted_model(tmp_path / "model")
    rows = [{"entered": str(tmp_path / f"entered-{one}"), "seconds": 2} for one in range(IN_FLIGHT)]

    with start(model, WORKERS=workers, THREADS=str(IN_FLIGHT)) as served:
        served.ready()
        idle = http.client.HTTPConnection("127.0.0.1", served.port, timeout=CEILING_S)
        idle.request("GET", "/ping")
        idle.getresponse().read()
        with concurrently(*(lambda row=row: served.invoke(row) for row in rows)) as answers:
            wait_until(lambda: all(Path(str(row["entered"])).exists() for row in rows))
            served.process.send_signal(number)
            wait_until(served.refuses)
            running = served.process.poll() is None and answers.count(None) == IN_FLIGHT
            closed = idle.sock.recv(1)
            idle.close()
        code = served.end()

    assert [200] * IN_FLIGHT == statuses(answers)
    assert (True, b"", 0) == (running, closed, code)


@pytest.mark.parametrize("workers", [pytest.param("1", marks=pytest.mark.extended), "2"])
def test_what_takes_longer_than_the_drain_is_cut_off(start: Starter, tmp_path: Path, workers: str) -> None:
    """
    A prediction that never ends does not keep the process: after DRAIN_TIMEOUT it ends, says so, and its status is 1.
    """
    entered = tmp_path / "entered"
    model = scripted_model(tmp_path / "model")

    with start(model, WORKERS=workers, DRAIN_TIMEOUT="0.5") as served:
        served.ready()
        with concurrently(
            lambda: served.invoke({"entered": str(entered), "leave": str(tmp_path / "never")})
        ) as answers:
            wait_until(entered.exists)
            code = served.stop()

    assert (CUT_OFF, True) == (code, statuses(answers) != [200])
    assert "longer than DRAIN_TIMEOUT" in served.output()


def test_a_slow_request_is_given_up_and_holds_up_nobody(start: Starter, tmp_path: Path) -> None:
    """
    While it predicts, /ping answers; after REQUEST_TIMEOUT it is a 504 with a sentence, and the next request is served.

    With every thread taken a request waits for its turn, and is given up in time too.
    """
    model = scripted_model(tmp_path / "model")
    leave, entered = tmp_path / "leave", tmp_path / "entered"
    slow = {"entered": str(entered), "leave": str(leave)}

    with start(model, REQUEST_TIMEOUT="1.5", THREADS="2") as served:
        served.ready()
        with concurrently(*[lambda: served.invoke(slow)] * 3) as answers:
            wait_until(entered.exists)
            ping = served.ask("GET", "/ping")[0]
        still_predicting = served.ask("GET", "/ping")[0]
        leave.touch()
        after = served.invoke({"x": 1})
        code = served.stop()

    assert [504, 504, 504] == statuses(answers)
    assert b"did not answer within REQUEST_TIMEOUT (1.5 s)." in answers[0][2]
    assert (200, 200, 200, 0) == (ping, still_predicting, after[0], code)


@pytest.mark.parametrize("how", ["killed", "ended"])
def test_several_workers_stand_and_fall_together(start: Starter, tmp_path: Path, how: str) -> None:
    """
    When one worker dies, the whole server ends by itself and not with 0, so that somebody starts it anew.
    """
    model = scripted_model(tmp_path / "model")
    with start(model, WORKERS="3") as served:
        served.ready()
        if how == "killed":
            os.kill(served.workers()[1], signal.SIGKILL)
        else:
            with concurrently(lambda: served.invoke({"die": 7})):
                pass
        code = served.end()

    assert {"killed": KILLED, "ended": 7}[how] == code
    assert ("killed by signal 9" in served.output()) == (how == "killed")


@pytest.mark.parametrize(
    ("drain", "status"),
    [pytest.param("60", 200, id="answered"), pytest.param("0.5", None, marks=pytest.mark.extended, id="aborted")],
)
def test_workers_do_not_outlive_a_killed_parent(start: Starter, tmp_path: Path, drain: str, status: int | None) -> None:
    """
    SIGKILL leaves the parent no time to stop them: they drain for DRAIN_TIMEOUT and end by themselves.
    """
    entered, leave = tmp_path / "entered", tmp_path / "leave"
    model = scripted_model(tmp_path / "model")

    with start(model, WORKERS="2", DRAIN_TIMEOUT=drain) as served:
        workers = served.ready().workers()
        with concurrently(lambda: served.invoke({"entered": str(entered), "leave": str(leave)})) as answers:
            wait_until(entered.exists)
            served.process.kill()
            wait_until(served.refuses)
            if status is not None:
                leave.touch()
        ended = happens(lambda: not any(map(is_running, workers)))

    assert (2, True) == (len(workers), ended)
    assert [status] == [answer if answer == 200 else None for answer in statuses(answers)]


def answers_of_both(served: Served) -> dict[int, list[Any]]:
    """What each of two workers answered first, by its process."""
    first: dict[int, list[Any]] = {}

    def asked() -> bool:
        *answer, pid = json.loads(served.invoke({"x": 1})[2])["predictions"]
        first.setdefault(pid, answer)
        return len(first) == 2

    wait_until(asked)
    return first


def test_a_model_is_loaded_once_and_forked(start: Starter, tmp_path: Path) -> None:
    """
    Both workers predict with OpenMP though a parallel loop ran before the fork, which hangs where that is careless.

    numpy's generator is not copied with its state: they do not draw the same numbers.
    """
    loaded = tmp_path / "loaded"
    model = scripted_model(
        tmp_path / "model",
        loading=f"{PARALLEL}\nopen({str(loaded)!r}, 'a').write('x')",
        predicting="int(CLASSIFIER.predict(X).sum()), np.random.random(), os.getpid()",
    )

    with start(model, WORKERS="2") as served:
        answers = answers_of_both(served.ready())
        code = served.stop()

    (first, drawn_first), (second, drawn_second) = answers.values()
    assert (0, "x", first, True) == (code, loaded.read_text(), second, drawn_first != drawn_second)


def test_a_model_that_no_fork_would_get_right_is_loaded_by_each_worker(start: Starter, tmp_path: Path) -> None:
    """
    One that started a thread or holds a file open while it was loaded; both workers have it, and the log says why.
    """
    started = "import threading; threading.Thread(target=threading.Event().wait, daemon=True).start()"
    kept = tmp_path / "kept"
    model = scripted_model(
        tmp_path / "model",
        loading=f"{started}\nKEPT = open({str(kept)!r}, 'a'); KEPT.write('x'); KEPT.flush()",
        predicting="threading.active_count() > 1, KEPT.closed, os.getpid()",
    )

    with start(model, WORKERS="2") as served:
        answers = answers_of_both(served.ready())
        code = served.stop()

    assert (0, "xxx", [[True, False]] * 2) == (code, kept.read_text(), [answer[:2] for answer in answers.values()])
    (line,) = [
        line for line in served.output().splitlines() if line.startswith("Each worker loads the model by itself")
    ]
    assert (True, True) == ("thread" in line, str(kept) in line)
