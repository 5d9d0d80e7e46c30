"""A container of a serving image with as few rights as there are, and as the platforms start and ask it."""

import http.client
import json
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from mlflow_uv.core.image.dockerfile import PORT
from tests.contracts.serving_process import JSON, scripted_model, statuses, wait_until
from tests.waiting import CEILING_S

from .containers import LACKING, SERVER, Container, ServedImage, served_image_in

pytestmark = pytest.mark.engine
BARE = ("--user=54321:0", "--read-only", "--tmpfs=/tmp", "--cap-drop=ALL", "--security-opt=no-new-privileges")
# What the first process is, and what it may do; see proc(5).
FIRST = """
import json
status = dict(line.split(":\\t", 1) for line in open("/proc/1/status").read().splitlines())
words = open("/proc/1/cmdline").read().split("\\0")
print(json.dumps([" ".join(words).strip(), *(status[name].split()[0] for name in ("Uid", "CapEff", "NoNewPrivs"))]))
"""
AZURE = "/var/azureml-app/azureml-models/wine/1"


@pytest.fixture(scope="module", params=["built", pytest.param("composed", marks=pytest.mark.extended)])
def served_image(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, root: Path
) -> Iterator[ServedImage]:
    """One image for all."""
    composes = request.param == "composed"
    with served_image_in(tmp_path_factory.mktemp("served-image"), root, composes=composes) as made:
        yield made


@pytest.fixture(scope="module")
def bare(served_image: ServedImage) -> Iterator[Container]:
    """A container that may do nothing."""
    with served_image.start(*BARE, WORKERS="2", BODY_LIMIT="1000", MODEL_NAME="scripted") as container:
        yield container.ready()


def test_it_serves_with_no_rights_at_all(bare: Container) -> None:
    """
    An unknown user, a root file system that is read-only, no capability, no new privilege: it answers.

    Its first process is the server, its workers are the only others.
    """
    status, _, body = bare.invoke({"x": 1})

    (pid,) = json.loads(body)["predictions"]
    assert (200, True) == (status, pid > 1)
    assert [SERVER] * 3 == bare.processes()
    assert [SERVER, "54321", "0" * 16, "1"] == json.loads(bare.inside(FIRST))


@pytest.mark.parametrize(
    ("arguments", "at", "result"),
    [
        (("serve",), "/opt/ml/model", {}),
        pytest.param(("serve",), "/opt/ml/model", {"SAGEMAKER_BIND_TO_PORT": "7070"}, marks=pytest.mark.extended),
        pytest.param((), "/opt/ml/model", {"PORT": "9090", "K_SERVICE": "wine"}, marks=pytest.mark.extended),
        pytest.param(
            (),
            f"{AZURE}/INPUT_model",
            {"AZUREML_MODEL_DIR": AZURE, "AZUREML_ENTRY_SCRIPT": "score.py"},
            marks=pytest.mark.extended,
        ),
    ],
    ids=["SageMaker", "SageMaker's port", "Cloud Run", "Azure ML"],
)
def test_a_platform_starts_and_asks_it_in_its_manner(
    served_image: ServedImage, tmp_path: Path, arguments: tuple[str, ...], at: str, result: dict[str, str]
) -> None:
    """
    Its argument, its port, its model where it mounts one: that one answers, and nothing is written into its folder.
    """
    model = scripted_model(tmp_path / "model", predicting="'mounted'")
    (model / "code").chmod(0o777)

    with served_image.start(model=model, at=at, arguments=arguments, **result) as container:
        container.ready()
        answers = [container.ask("GET", "/ping"), container.invoke({"x": 1})]

    assert ([200, 200], {"predictions": ["mounted"]}) == (statuses(answers), json.loads(answers[1][2]))
    assert ["scripted_loader.py"] == [path.name for path in (model / "code").iterdir()]


@pytest.mark.extended
def test_clients_of_kserve_and_seldon_are_answered(bare: Container) -> None:
    """
    The V2 protocol under the model's name: ready, described, asked.
    """
    tensors = [{"name": name, "datatype": "FP64", "shape": [1], "data": [1.5]} for name in "xy"]

    answers = [
        bare.ask("GET", "/v2/models/scripted/ready"),
        bare.ask("GET", "/v2/models/scripted"),
        bare.ask("POST", "/v2/models/scripted/infer", {"inputs": tensors}),
    ]

    (output,) = json.loads(answers[-1][2])["outputs"]
    assert ([200] * 3, "output-0", "INT64", [1]) == (
        statuses(answers), output["name"], output["datatype"], output["shape"],
    )  # fmt: skip


@pytest.mark.parametrize(
    ("rows", "headers", "expected"),
    [([{}], {}, 415), ([{"x": "y" * 1000}], JSON, 413), ({}, JSON, 400)],
    ids=["no Content-Type", "too long", "malformed"],
)
def test_what_a_client_does_wrong_it_is_told(
    bare: Container, rows: object, headers: dict[str, str], expected: int
) -> None:
    """
    A status of its own and a sentence, never a 500.
    """
    status, media_type, body = bare.ask("POST", "/invocations", {"dataframe_records": rows}, headers)

    assert (expected, "application/json", True) == (status, media_type, bool(json.loads(body)["message"]))


def test_what_a_model_prints_is_in_the_log_at_once(bare: Container) -> None:
    """
    It does not wait for more lines, or for the end.
    """
    bare.invoke({"say": "spoken by the model"})

    wait_until(lambda: "spoken by the model" in bare.log())
    assert 1 == bare.log().count("spoken by the model")


def test_only_of_another_model_it_is_said_what_is_missing(
    served_image: ServedImage, bare: Container, tmp_path: Path
) -> None:
    """
    What the image's own requires was compared when it was built; of one that was mounted nobody knows.
    """
    model = scripted_model(tmp_path / "model", predicting="'mounted'")
    (model / "requirements.txt").write_text(LACKING)

    with served_image.start(model=model) as container:
        mounted = "\n".join(container.ready().log())
    own = "\n".join(bare.ready().log())

    assert (True, False) == ("mismatches" in mounted, "mismatches" in own)


@pytest.mark.extended
def test_workers_share_the_connections_that_are_kept(bare: Container) -> None:
    """
    Of clients that connect at once and stay, no worker gets nearly all; each client stays with its own.
    """
    body = json.dumps({"dataframe_records": [{"x": 1}]})

    def ask(clients: list[http.client.HTTPConnection]) -> None:
        for one in clients:
            one.request("POST", "/invocations", body, JSON)

    def answers(clients: list[http.client.HTTPConnection]) -> list[int]:
        return [json.loads(one.getresponse().read())["predictions"][0] for one in clients]

    wait_until(lambda: len({bare.predictions({"x": 1})[0] for _ in range(8)}) == 2)  # both are there
    lesser, stayed = 0, []
    for _ in range(4):
        clients = [http.client.HTTPConnection(bare.address, PORT, timeout=CEILING_S) for _ in range(16)]
        with bare.paused():
            ask(clients)
        first = answers(clients)
        ask(clients)
        stayed.append(first == answers(clients))
        lesser += min(Counter(first).values()) if len(set(first)) == 2 else 0
        for one in clients:
            one.close()

    assert ([True] * 4, True) == (stayed, lesser >= 16), f"{lesser} of 64"


@pytest.mark.extended
def test_few_files_are_enough(served_image: ServedImage) -> None:
    """
    With more clients than it may have open files it answers those it has, and the next when they have gone.
    """
    with served_image.start("--ulimit=nofile=64:64", WORKERS="1") as container:
        container.ready()
        clients = [http.client.HTTPConnection("127.0.0.1", container.port, timeout=CEILING_S) for _ in range(100)]
        for one in clients:
            one.connect()
        clients[0].request("GET", "/ping")
        first = clients[0].getresponse().status
        for one in clients:
            one.close()
        after = container.ask("GET", "/ping")[0]

    assert (200, 200) == (first, after)


@pytest.mark.extended
@pytest.mark.parametrize(("cpus", "processes"), [("0.5", 1), ("1", 1), ("1.5", 3), ("2", 3)])
def test_the_quota_decides_how_many_workers_there_are(served_image: ServedImage, cpus: str, processes: int) -> None:
    """
    One serves by itself; two, for what is more than one processor, have a parent that watches them.
    """
    with served_image.start(f"--cpus={cpus}") as container:
        found = container.ready().processes()

    assert [SERVER] * processes == found
