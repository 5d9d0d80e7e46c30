"""Contract: a traced model is served without a tracking store that nobody named, and with the one that somebody did."""

import json
import sqlite3
import textwrap
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.contracts.mlflow_interpreter import MlflowInterpreter
from tests.contracts.serving_process import JSON, Served, Starter, wait_until
from tests.hostile.listener import Listener, listening

TRACED = """
    import mlflow

    class Traced(mlflow.pyfunc.PythonModel):
        @mlflow.trace
        def predict(self, context, model_input, params=None):
            with mlflow.start_span("inner") as span:
                span.set_inputs({"canary": "c4n4ry"})
            return [2.0 * x for x in model_input["x"]]

    mlflow.models.set_model(Traced())
"""
# As agents in the wild do: the address of the team's server is in the code, and tracing is turned on there.
HARD_CODED = TRACED.replace("class", "mlflow.set_tracking_uri('URI')\n    mlflow.tracing.enable()\n\n    class")
# What a fork cannot share, so that each worker loads the model by itself.
THREAD = """
    import threading
    threading.Thread(target=threading.Event().wait, daemon=True).start()
"""
AGENT = """
    import mlflow
    from mlflow.types.responses import ResponsesAgentResponse

    class Agent(mlflow.pyfunc.ResponsesAgent):
        def predict(self, request):
            item = self.create_text_output_item(text=request.input[-1].content, id="1")
            return ResponsesAgentResponse(output=[item])

    mlflow.models.set_model(Agent())
"""
SAVING = """
import sys, mlflow, pandas as pd
from mlflow.models import infer_signature
signature = {"signature": infer_signature(pd.DataFrame({"x": [1.0]}), [1.0])} if sys.argv[3] == "columns" else {}
mlflow.pyfunc.save_model(sys.argv[2], python_model=sys.argv[1], pip_requirements=[], **signature)
"""
TABLE = {"dataframe_split": {"columns": ["x"], "data": [[1.5]]}}
QUESTION = {"input": [{"role": "user", "content": "c4n4ry"}]}


def saved(mlflow: MlflowInterpreter, folder: Path, code: str, takes: str = "columns") -> Path:
    """A model from code, as training would save it."""
    file = folder / "agent.py"
    file.write_text(textwrap.dedent(code))
    done = mlflow.run("-c", SAVING, file, folder / "model", takes, cwd=folder, MLFLOW_TRACKING_URI="sqlite:///own.db")
    assert done.returncode == 0, done.stderr
    return folder / "model"


@pytest.fixture(scope="module")
def traced(mlflow: MlflowInterpreter, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model that traces what it is asked."""
    return saved(mlflow, tmp_path_factory.mktemp("traced"), TRACED)


@pytest.fixture(scope="module")
def agent(mlflow: MlflowInterpreter, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An agent, which MLflow traces whatever its code says."""
    return saved(mlflow, tmp_path_factory.mktemp("agent"), AGENT, "an-agent")


@pytest.fixture
def team() -> Iterator[Listener]:
    """Whatever answers at the address that a model's code holds."""
    with listening() as listener:
        yield listener


def answered(served: Served, payload: object) -> object:
    """What `/invocations` says to it."""
    status, _, body = served.ask("POST", "/invocations", json.dumps(payload).encode(), JSON)
    assert status == 200, body
    return json.loads(body)


def beside(served: Served) -> set[str]:
    """Names in the folder where a server runs."""
    return {path.name for path in served.out.with_suffix("").iterdir()}


@pytest.mark.parametrize("workers", ["1", pytest.param("2", marks=pytest.mark.extended)])
def test_a_traced_model_opens_no_store(start: Starter, traced: Path, workers: str) -> None:
    """
    It is loaded, loaded once for all workers, and answers, and nothing was written.
    """
    with start(traced, WORKERS=workers) as served:
        reply = answered(served.ready(), TABLE)

    assert ({"predictions": [3.0]}, set()) == (reply, beside(served))
    assert "Each worker loads" not in served.output()


def test_an_agent_opens_no_store(start: Starter, agent: Path) -> None:
    """
    MLflow traces every ResponsesAgent; here only where somebody asked for it.
    """
    with start(agent) as served:
        reply = answered(served.ready(), QUESTION)

    assert ("c4n4ry", set()) == (reply["output"][0]["content"][0]["text"], beside(served))  # type: ignore[index]


@pytest.mark.parametrize(
    ("workers", "more"),
    [
        pytest.param("1", "", marks=pytest.mark.extended, id="one"),
        pytest.param("2", THREAD, id="two-that-load-apart"),
    ],
)
def test_code_that_turns_tracing_on_reaches_nobody(
    start: Starter, mlflow: MlflowInterpreter, team: Listener, tmp_path: Path, workers: str, more: str
) -> None:
    """
    An address in the model's code is training's; what a server is asked does not go there.
    """
    model = saved(mlflow, tmp_path, HARD_CODED.replace("URI", team.uri) + more)
    team.received.clear()

    with start(model, WORKERS=workers) as served:
        reply = answered(served.ready(), TABLE)
        served.stop()

    assert ({"predictions": [3.0]}, []) == (reply, team.received)


def test_traces_go_to_the_store_that_is_named(start: Starter, traced: Path, tmp_path: Path) -> None:
    """
    Who names one when the server is started has a trace of each request there.
    """
    store = tmp_path / "named.db"

    with start(traced, MLFLOW_TRACKING_URI=f"sqlite:///{store}") as served:
        reply = answered(served.ready(), TABLE)
        wait_until(lambda: traces(store) == 1)

    assert ({"predictions": [3.0]}, set()) == (reply, beside(served) & {"mlflow.db"})


@pytest.mark.extended
def test_a_store_without_a_name_is_none(start: Starter, traced: Path) -> None:
    """
    A variable that is set to nothing, as in a base image whose own is taken away, names no store.
    """
    with start(traced, MLFLOW_TRACKING_URI="", OTEL_EXPORTER_OTLP_ENDPOINT="") as served:
        reply = answered(served.ready(), TABLE)

    assert ({"predictions": [3.0]}, set()) == (reply, beside(served))


def traces(store: Path) -> int:
    """How many a store holds by now; none while it is made."""
    try:
        with sqlite3.connect(f"{store.as_uri()}?mode=ro", uri=True) as database:
            return int(database.execute("SELECT count(*) FROM trace_info").fetchone()[0])
    except sqlite3.OperationalError:
        return 0


@pytest.mark.parametrize(
    "code",
    [pytest.param(TRACED, id="traced"), pytest.param(HARD_CODED, marks=pytest.mark.extended, id="hard-coded")],
)
def test_the_proof_of_a_traced_model_writes_no_trace(
    mlflow: MlflowInterpreter, team: Listener, tmp_path: Path, code: str
) -> None:
    """
    What training's environment answers is asked without a trace of it, in the store of the release or anywhere.
    """
    model = saved(mlflow, tmp_path, code.replace("URI", team.uri))
    team.received.clear()
    store = tmp_path / "team.db"

    reply = mlflow.on(MLFLOW_TRACKING_URI=f"sqlite:///{store}").ask("answer", model=str(model), requests=[TABLE, TABLE])

    assert [{"predictions": [3.0]}] * 2 == reply["answers"]
    assert (False, []) == (store.exists(), team.received)
