"""What a model that means harm can reach while it is tested: nothing, unless somebody gave it a network."""

import json
import os
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest

from mlflow_uv.command.errors import NotServing
from mlflow_uv.core.model.recorded_requests import from_examples
from mlflow_uv.ops.image.serving_check import Expected, observe
from mlflow_uv.tools.engines.client import Client
from mlflow_uv.tools.engines.docker import Docker
from mlflow_uv.tools.engines.engine import ServingContainer
from mlflow_uv.tools.engines.podman import Podman
from mlflow_uv.tools.mlflow.model_requests import ModelRequest
from mlflow_uv.tools.system.process import SystemRunner
from tests.cases.containers import served_image_in
from tests.cases.images import image_builder_in
from tests.cases.podman_storage import podman_storage_in
from tests.contracts.serving_process import wait_until

pytestmark = pytest.mark.engine
CANARY = "canary-8c1f4be2"
METADATA = "169.254.169.254"
CASE = {"dataframe_records": [{"x": 1}]}
# Once while it loads, and at every request: where it gets, what it may do, and what it was told.
PROBE = """
import json, socket, struct

def gateway():
    for line in open("/proc/net/route").read().splitlines()[1:]:
        words = line.split()
        if words[1] == "00000000":
            return socket.inet_ntoa(struct.pack("<L", int(words[2], 16)))
    return "172.17.0.1"

def reached(host, port):
    try:
        socket.create_connection((host, port), timeout=3).close()
    except OSError as error:
        return type(error).__name__ + " " + str(error.errno)
    return "reached"

def resolved():
    try:
        return bool(socket.getaddrinfo("canary.example.test", 80))
    except OSError:
        return False

def written(path):
    try:
        open(path, "w").close()
    except OSError:
        return False
    return True

def probe():
    status = dict(line.split(":\\t", 1) for line in open("/proc/self/status").read().splitlines())
    return {
        "machine": reached(gateway(), PORT), "metadata": reached("METADATA", 80), "resolved": resolved(),
        "interfaces": sorted(name for _, name in socket.if_nameindex()),
        "rights": [status["CapEff"], status["CapBnd"], status["NoNewPrivs"]], "user": os.getuid(),
        "written": [path for path in ("/x", "/opt/model/x", "/opt/venv/x", "/tmp/x") if written(path)],
        "told": [name for name, value in os.environ.items() if "CANARY" in value],
        "init": "CANARY" in open("/proc/1/environ").read(),
    }
"""
LOADED = "\nAT_LOAD = probe()\n"
# A model that cannot do without the other machine, as a client of a vector store or a hub cannot.
NEEDING = "\nimport urllib.request\nurllib.request.urlopen(f'http://{gateway()}:PORT/', timeout=60).read()\n"


@contextmanager
def listener() -> Iterator[tuple[int, list[str]]]:
    """A server of this machine that answers anybody's HTTP, and who has come."""
    guests: list[str] = []
    with socket.create_server(("0.0.0.0", 0)) as server:  # noqa: S104  # containers come by another interface

        def answer() -> None:
            while True:
                try:
                    connection, (host, *_) = server.accept()
                except OSError:
                    return
                with connection, suppress(OSError):  # of a guest that is gone
                    guests.append(host)
                    connection.sendall(b"HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nok")

        threading.Thread(target=answer, daemon=True).start()
        yield server.getsockname()[1], guests
        server.shutdown(socket.SHUT_RDWR)


@pytest.fixture(scope="module")
def outside() -> Iterator[tuple[int, list[str]]]:
    """The listener that every model here looks for."""
    with listener() as found:
        yield found


@pytest.fixture(scope="module", params=["docker", pytest.param("podman", marks=pytest.mark.extended)])
def engine(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Client]:
    """Each engine that we know, started by somebody who has a secret."""
    before = dict(os.environ)
    try:
        if request.param == "docker":
            yield Docker(SystemRunner(), variables={**before, "MLFLOW_TRACKING_TOKEN": CANARY}, on_line=print)
            return
        program = request.getfixturevalue("podman_program")
        with podman_storage_in(tmp_path_factory.mktemp("podman"), program) as settings:
            os.environ.update(settings)
            variables = {**os.environ, "MLFLOW_TRACKING_TOKEN": CANARY}
            yield Podman(SystemRunner(), variables=variables, on_line=print)
    finally:
        os.environ.clear()
        os.environ.update(before)


def image_of(engine: Client, scratch: Path, root: Path, port: int, more: str) -> Any:
    """An image whose model does all that, and answers with what it found."""
    probing = (PROBE + more).replace("PORT", str(port)).replace("METADATA", METADATA).replace("CANARY", CANARY)
    predicting = "json.dumps([globals().get('AT_LOAD'), probe()])"
    return served_image_in(scratch, root, engine=engine.name, loading=probing, predicting=predicting)


@pytest.fixture(scope="module")
def hostile(
    engine: Client, outside: tuple[int, list[str]], tmp_path_factory: pytest.TempPathFactory, root: Path
) -> Iterator[str]:
    """The image of a model that probes when it is loaded and when it is asked."""
    port, _ = outside
    with image_of(engine, tmp_path_factory.mktemp("hostile"), root, port, LOADED) as made:
        yield made.image


@pytest.fixture(scope="module")
def needing(
    engine: Client, outside: tuple[int, list[str]], tmp_path_factory: pytest.TempPathFactory, root: Path
) -> Iterator[str]:
    """The image of a model that needs a network to load."""
    port, _ = outside
    with image_of(engine, tmp_path_factory.mktemp("needing"), root, port, NEEDING) as made:
        yield made.image


def probed(served: ServingContainer) -> list[dict[str, Any]]:
    """What the model found when it was loaded, and when it was asked."""
    try:
        wait_until(lambda: served.send(ModelRequest(method="GET", path="/ping", timeout_s=5)) is not None)
        body = json.dumps(CASE).encode()
        reply = served.send(ModelRequest(method="POST", path="/invocations", body=body, timeout_s=60))
        assert reply is not None, served.log()
        assert 200 == reply.status, reply.body
        return json.loads(json.loads(reply.body)["predictions"][0])
    finally:
        served.stop()


def test_a_model_reaches_nothing_while_it_is_tested(
    engine: Client, hostile: str, outside: tuple[int, list[str]]
) -> None:
    """
    Neither this machine nor its cloud's metadata nor a name, neither when it loads nor when it answers.
    """
    _, guests = outside
    before = len(guests)

    findings = probed(engine.serve(hostile, network=False))

    unreachable = "OSError 101"
    expected = {"machine": unreachable, "metadata": unreachable, "resolved": False, "interfaces": ["lo"]}
    assert [expected, expected] == [{name: found[name] for name in expected} for found in findings]
    assert before == len(guests)


def test_a_model_has_no_rights_and_is_told_no_secret(engine: Client, hostile: str) -> None:
    """
    A user of its own without capabilities, nothing to write to but `/tmp`, and none of our variables.
    """
    findings = probed(engine.serve(hostile, network=False))

    none = "0" * 16
    scratch = ["/tmp/x"]  # the container's own
    expected = {"rights": [none, none, "1"], "user": 10001, "written": scratch, "told": [], "init": False}
    assert [expected, expected] == [{name: found[name] for name in expected} for found in findings]


def test_with_a_network_it_reaches_this_machine(engine: Client, hostile: str, outside: tuple[int, list[str]]) -> None:
    """
    The same model, given a network, gets out: what it did not reach before was there.
    """
    _, guests = outside
    before = len(guests)

    findings = probed(engine.serve(hostile, network=True))

    assert ["reached", "reached"] == [found["machine"] for found in findings]
    assert before + 2 <= len(guests)


def test_a_model_that_needs_a_network_is_helped_by_the_fix(engine: Client, needing: str) -> None:
    """
    It does not come up, the message says which flag gives it one, and with that it does.
    """
    with image_builder_in(Path("/")) as builder:
        reports = []
        for network in (False, True):
            served = engine.serve(needing, network=network)
            expected = Expected(requests=from_examples([CASE], [None]), tolerance=0, deadline_s=90, network=network)
            try:
                reports.append(observe(served, expected, builder.tools).complaints[0].rule)
            except NotServing as error:
                reports.append(error.fix)
            finally:
                served.stop()

    assert ["--serve-network if the model needs a network", "answers-differ"] == reports
