"""Contract: the server started and asked as SageMaker, Azure ML and Cloud Run do it, and what Prometheus sees of it."""

import json
import re
import shutil
import signal
import subprocess
from pathlib import Path

import pytest

from tests.contracts.serving_process import (
    JSON,
    UNSET,
    Served,
    Starter,
    concurrently,
    scripted_model,
    statuses,
    wait_until,
)
from tests.ports import free_port

ROW = json.dumps({"dataframe_records": [{"x": 1}]}).encode()
SAMPLE = re.compile(r"(\w+)(?:\{(.*)\})? (\S+)")


@pytest.mark.extended
def test_sagemaker(start: Starter, tmp_path: Path) -> None:
    """
    `serve` as the argument, the port under its own name, its headers beside the request.

    That the model lies in /opt/ml/model is shown where there is an image.
    """
    port = str(free_port())
    told = {
        "X-Amzn-SageMaker-Custom-Attributes": "trace-id=1",
        "X-Amzn-SageMaker-Target-Model": "other.tar.gz",
        "X-Amzn-SageMaker-Inference-Id": "7",
        "Accept": "application/json",
    }

    with start(scripted_model(tmp_path / "model"), "serve", PORT=UNSET, SAGEMAKER_BIND_TO_PORT=port) as served:
        served.ready()
        answers = [served.ask("GET", "/ping"), served.ask("POST", "/invocations", ROW, {**JSON, **told})]
        code = served.stop()

    assert ([200, 200], served.process.pid, 0) == (statuses(answers), json.loads(answers[1][2])["predictions"][0], code)


@pytest.mark.engine
def test_an_engine_quota_is_found(start: Starter) -> None:
    """
    What an engine sets by `--cpus` is what the server reads, whichever cgroups the kernel has.
    """
    program = "import sys; sys.path.insert(0, '/serving'); from process import cpus; print(cpus.available())"
    words = ("docker", "run", "--rm", "--cpus", "0.5", "--volume", f"{start.serving}:/serving:ro", "python:3.11-slim")

    output = subprocess.run((*words, "python", "-I", "-c", program), capture_output=True, text=True, check=True).stdout

    assert "0.5\n" == output


def test_azure_ml(start: Starter, tmp_path: Path) -> None:
    """
    The model somewhere below AZUREML_MODEL_DIR, /ping for liveness and readiness, /invocations for scoring.
    """
    scripted_model(tmp_path / "azureml-models" / "wine" / "1" / "INPUT_model")
    variables = {
        "AZUREML_MODEL_DIR": str(tmp_path / "azureml-models" / "wine" / "1"),
        "AZUREML_ENTRY_SCRIPT": "score.py",
    }

    with start(None, **variables) as served:
        served.ready()
        answers = [served.ask("GET", "/ping"), served.ask("POST", "/invocations", ROW, JSON)]

    assert [200, 200] == statuses(answers)


def test_cloud_run(start: Starter, tmp_path: Path) -> None:
    """
    PORT is where it listens; SIGTERM is obeyed within the ten seconds that it gives, what is in flight answered.
    """
    entered = tmp_path / "entered"

    with start(scripted_model(tmp_path / "model"), K_SERVICE="wine", DRAIN_TIMEOUT="8") as served:
        served.ready()
        with concurrently(lambda: served.invoke({"entered": str(entered), "seconds": 1})) as answers:
            wait_until(entered.exists)
            code = served.stop(signal.SIGTERM)

    assert ([200], 0) == (statuses(answers), code)


def samples(served: Served) -> dict[tuple[str, str], float]:
    """What Prometheus would read, by name and labels."""
    status, media_type, text = served.ask("GET", "/metrics")
    assert (200, "text/plain") == (status, media_type)
    found = (SAMPLE.fullmatch(line) for line in text.decode().splitlines() if not line.startswith("#"))
    return {(one[1], one[2] or ""): float(one[3]) for one in found if one}


def test_metrics_count_what_was_asked(wine: Served) -> None:
    """
    By route, method and status; a path that nobody serves makes no series of its own.
    """
    before = samples(wine)

    wine.ask("GET", "/nowhere/1")
    wine.ask("GET", "/nowhere/2")
    wine.ask("BREW", "/ping")
    wine.ask("POST", "/invocations", b"{", JSON)

    grown = {key: value - before.get(key, 0) for key, value in samples(wine).items() if key[0].endswith("_total")}
    expected = {
        'method="GET",route="other",status="404"': 2,
        'method="other",route="/ping",status="405"': 1,
        'method="POST",route="/invocations",status="400"': 1,
        'method="GET",route="/metrics",status="200"': 1,
    }
    counted = {labels: value for (name, labels), value in grown.items() if name == "mlflow_uv_requests_total" and value}
    assert expected == counted


def test_metrics_say_which_model_and_how_long(wine: Served) -> None:
    """
    Name, version and flavor; the histogram of a route counts its requests.
    """
    wine.ask("POST", "/invocations", b"{", JSON)

    found = samples(wine)

    (about,) = [labels for name, labels in found if name == "mlflow_uv_model_info"]
    assert all(part in about for part in ('name="wine"', 'version="3"', 'flavor="mlflow.sklearn"')), about
    requests = sum(
        value
        for (name, labels), value in found.items()
        if name == "mlflow_uv_requests_total" and 'route="/invocations"' in labels
    )
    assert requests == found["mlflow_uv_request_seconds_count", 'route="/invocations"']


def test_metrics_of_several_workers_are_one(start: Starter, tmp_path: Path) -> None:
    """
    Whichever worker is asked answers for all, what is in flight included; nothing is left behind at the end.
    """
    model, temporary, leave = scripted_model(tmp_path / "model"), tmp_path / "tmp", tmp_path / "leave"
    temporary.mkdir()
    rows = [{"entered": str(tmp_path / f"entered-{one}"), "leave": str(leave)} for one in range(6)]

    with start(model, WORKERS="2", METRICS="1", TMPDIR=str(temporary)) as served:
        served.ready()
        with concurrently(*(lambda row=row: served.invoke(row) for row in rows)) as answers:
            wait_until(lambda: all(Path(str(row["entered"])).exists() for row in rows))
            during = samples(served)["mlflow_uv_requests_in_flight", ""]
            leave.touch()
        bodies = [body for _, _, body in answers]
        while len(set(bodies)) < 2:
            bodies.append(served.invoke({"x": 1})[2])
        after = samples(served)
        code = served.stop()

    counted = after["mlflow_uv_requests_total", 'method="POST",route="/invocations",status="200"']
    assert (7, 1, len(bodies), 0) == (during, after["mlflow_uv_requests_in_flight", ""], counted, code)
    assert [] == list(temporary.iterdir())


def test_metrics_without_their_library_are_refused(start: Starter, tmp_path: Path) -> None:
    """
    Where no image was built there is no such folder, and that is said instead of serving without metrics.
    """
    bare = Path(shutil.copytree(start.serving, tmp_path / "bare", ignore=shutil.ignore_patterns("lib", "__pycache__")))

    with Starter(start.mlflow, bare, tmp_path)(tmp_path, METRICS="1") as served:
        code = served.end()

    assert (2, True) == (code, served.last_line().startswith("METRICS=1 needs prometheus-client, which is neither in"))


def test_metrics_are_off_by_default(start: Starter, tmp_path: Path) -> None:
    """
    Nobody reads them who was not meant to; and standard output holds no line about a request.
    """
    with start(scripted_model(tmp_path / "model")) as served:
        served.ready()
        status, _, _ = served.ask("GET", "/metrics")

    assert (404, False) == (status, "/metrics" in served.output())


@pytest.mark.core_variants(1)
@pytest.mark.parametrize("path", ["/ping?token=secret", "/nowhere/%0a%22x?password=secret"])
def test_the_access_log_is_json_without_secrets(wine: Served, path: str) -> None:
    """
    One object a line with what an operator asks for, neither the query nor the body, whatever a path holds.
    """
    wine.ask("POST", path, b"a body that is nobody's business", JSON)

    lines = [json.loads(line) for line in wine.output().splitlines() if line.startswith("{")]
    last = lines[-1]
    assert {"time", "method", "path", "status", "bytes", "seconds", "client", "worker"} == set(last)
    assert ("POST", path.partition("?")[0].replace("%0a%22", '\n"'), wine.process.pid) == (
        last["method"],
        last["path"],
        last["worker"],
    )
    assert (False, False) == ("secret" in wine.output(), "nobody's business" in wine.output())


def test_a_home_that_cannot_be_written_to_is_no_obstacle(start: Starter, tmp_path: Path) -> None:
    """
    An arbitrary user in a read-only image has none; what is imported may look for one.
    """
    model = scripted_model(tmp_path / "model", predicting="os.environ['HOME']")

    with start(model, HOME="/nowhere/at/all") as served:
        answer = served.ready().invoke({"x": 1})

    assert (200, {"predictions": ["/tmp"]}) == (answer[0], json.loads(answer[2]))
