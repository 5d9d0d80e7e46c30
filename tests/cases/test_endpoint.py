"""A server that others run is asked by its URL: ours, MLflow's, and one that is wrong."""

import json
import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.contracts.mlflow_interpreter import QUIET
from tests.endpoints import EndpointReply, EndpointRequest, fake_endpoint
from tests.ports import free_port
from tests.waiting import answers, wait_until_up

from .sample_project import SampleProject, error

FINDINGS, BAD_INPUT, NOT_SERVING = 1, 2, 15
CANARY = "ca-na-ry-of-the-header"


@contextmanager
def serving(sample: SampleProject, *argv: str | Path, port: int, log: Path, **variables: str) -> Iterator[str]:
    """The URL of a server of the sample's model, run by the Python of its environment."""
    python = min((sample.consumer.home / "cache" / "environments").glob("wine-*/bin/python"))
    path = f"{python.parent}:{os.environ['PATH']}"
    with log.open("wb") as out:
        process = subprocess.Popen(
            (python, "-I", "-X", f"pycache_prefix={sample.consumer.home / 'cache' / 'bytecode'}", *argv),
            env={**os.environ, **QUIET, "PATH": path, **variables},
            cwd=log.parent,
            stdout=out,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    try:
        wait_until_up(lambda: answers(f"http://127.0.0.1:{port}/ping"), process, log)
        yield f"http://127.0.0.1:{port}"
    finally:
        os.killpg(process.pid, 15)
        process.wait()


def test_a_server_of_ours_is_asked_and_nothing_is_changed(sample: SampleProject, root: Path, tmp_path: Path) -> None:
    """
    The report has the URL and every request; the record, the tags and the alias stay as they are.
    """
    port = free_port()
    before = sample.consumer.record.read_bytes(), sample.store.tags("1"), sample.store.aliases
    variables = {"MLFLOW_UV_MODEL": str(sample.consumer.model), "PORT": str(port), "HOST": "127.0.0.1", "WORKERS": "1"}
    with serving(sample, root / "src/mlflow_uv/serving", port=port, log=tmp_path / "log", **variables) as url:
        result = sample.run("smoke-test", "--url", url)
        of_version = sample.run("smoke-test", "--url", url, "--url-version", "models:/wine@candidate")

    outputs = result.outputs
    assert (0, f"{url}/invocations", "tested") == (result.code, outputs["url"], outputs["state"]), result.stderr
    assert outputs["cases"] > 10
    assert (0, outputs["cases"]) == (of_version.code, of_version.outputs["cases"]), of_version.stderr
    assert before == (sample.consumer.record.read_bytes(), sample.store.tags("1"), sample.store.aliases)


def test_a_model_of_ours_is_asked_in_the_v2_protocol(sample: SampleProject, root: Path, tmp_path: Path) -> None:
    """
    By the URL of the model; another name is an error.
    """
    port = free_port()
    variables = {"MLFLOW_UV_MODEL": str(sample.consumer.model), "PORT": str(port), "HOST": "127.0.0.1", "WORKERS": "1"}
    variables["MODEL_NAME"] = "wine"
    with serving(sample, root / "src/mlflow_uv/serving", port=port, log=tmp_path / "log", **variables) as url:
        result = sample.run("smoke-test", "--url", f"{url}/v2/models/wine")
        other = sample.run("smoke-test", "--url", f"{url}/v2/models/beer")

    assert (0, f"{url}/v2/models/wine/infer", 1) == (result.code, result.outputs["url"], result.outputs["cases"])
    assert ["requests-unsent"] == result.rules
    code, kind, sentence, _ = error(other)
    assert (NOT_SERVING, "NotServing") == (code, kind)
    assert "There is no model 'beer'" in sentence


@pytest.mark.extended
def test_mlflows_own_server_is_asked(sample: SampleProject, tmp_path: Path) -> None:
    """
    What it answers is what training answered; where it fails for a request that training refuses, that is named.
    """
    port = free_port()
    words = ("-m", "mlflow", "models", "serve", "-m", sample.consumer.model, "--env-manager", "local", "-p", str(port))
    with serving(sample, *words, port=port, log=tmp_path / "log") as url:
        result = sample.run("smoke-test", "--url", url)

    assert (0, []) == (
        result.code,
        [finding for finding in result.answer["findings"] if finding["severity"] == "error"],
    )


def test_a_wrong_server_gets_the_header_and_no_output_has_it(sample: SampleProject) -> None:
    """
    It is wrong by a plausible number, and repeats the header in its answers.
    """

    def wrong(request: EndpointRequest) -> EndpointReply:
        echo = {"predictions": [2.1, 5.1], "debug": request.headers.get("Authorization")}
        return EndpointReply(body=json.dumps(echo).encode())

    words = ("--url-headers", "Authorization=SERVING_AUTH")
    with fake_endpoint(wrong) as endpoint:
        result = sample.run("smoke-test", "--url", endpoint.url, *words, variables={"SERVING_AUTH": f"Bearer {CANARY}"})
        unset = sample.run("smoke-test", "--url", endpoint.url, *words)

    assert (FINDINGS, True) == (result.code, "answers-differ" in result.rules), result.stderr
    assert {f"Bearer {CANARY}"} == {request.headers.get("Authorization") for request in endpoint.requests}
    assert CANARY not in result.stdout + result.stderr
    assert (BAD_INPUT, "tested") == (unset.code, sample.store.tags("1")["state"])


def test_a_server_that_redirects_is_an_error(sample: SampleProject) -> None:
    """
    The other server gets nothing.
    """
    with fake_endpoint(lambda _: EndpointReply()) as other:
        headers = {"Location": f"{other.url}/invocations"}
        with fake_endpoint(lambda _: EndpointReply(status=307, headers=headers)) as endpoint:
            result = sample.run("smoke-test", "--url", endpoint.url)

    code, kind, sentence, _ = error(result)
    assert (NOT_SERVING, "NotServing", []) == (code, kind, other.requests)
    assert "redirects: status 307" in sentence


def test_what_belongs_to_a_url_is_refused_without_one(sample: SampleProject) -> None:
    """
    The fix is the input that it needs.
    """
    result = sample.run("smoke-test", "--url-version", "models:/wine/1")

    code, _, sentence, fix = error(result)
    assert (BAD_INPUT, "--url URL") == (code, fix)
    assert "`url-version` is given without `url`" in sentence
