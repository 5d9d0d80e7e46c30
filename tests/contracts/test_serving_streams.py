"""Contract: the server streams what MLflow's predict_stream yields, and every failure of a stream is seen."""

import http.client
import json
import signal
import textwrap
from pathlib import Path
from typing import Any

import pytest

from mlflow_uv.core.model.streams import ServedStream, read_stream
from tests.contracts.mlflow_interpreter import MlflowInterpreter
from tests.contracts.serving_process import JSON, Served, Starter
from tests.waiting import CEILING_S, happens

# A model whose text says what its stream does after two words.
TALKER = textwrap.dedent("""
    import os, pathlib, threading, mlflow

    class Talker(mlflow.pyfunc.PythonModel):
        def predict(self, context, model_input, params=None):
            return ["whole" for _ in range(len(model_input))]

        def predict_stream(self, context, model_input, params=None):
            text = model_input["text"]
            if text == "refuse":
                raise ValueError("not a word")
            try:
                yield "größer"
                yield {"n": 2, "params": params}
                if text == "break":
                    raise ValueError("no third word")
                while text == "endless" or text.startswith("/"):
                    yield "again"
            finally:
                if text.startswith("/"):
                    pathlib.Path(text).touch()

    mlflow.models.set_model(Talker())
""")
LOGGING = textwrap.dedent("""
    import sys, pandas as pd, mlflow
    from mlflow.models import infer_signature

    example = pd.DataFrame({"text": ["a"]})
    signature = infer_signature(example, ["whole"], params={"speed": 1})
    mlflow.pyfunc.save_model(sys.argv[2], python_model=sys.argv[1], signature=signature)
""")
CHAT = textwrap.dedent("""
    import mlflow
    from mlflow.types.llm import ChatCompletionChunk, ChatCompletionResponse

    class Chat(mlflow.pyfunc.ChatModel):
        def predict(self, context, messages, params):
            choice = {"index": 0, "message": {"role": "assistant", "content": "whole"}}
            return ChatCompletionResponse.from_dict({"model": "m", "choices": [choice]})

        STREAM

    mlflow.models.set_model(Chat())
""")
CHAT_STREAM = """
        def predict_stream(self, context, messages, params):
            for word in messages[-1].content.split():
                choice = {"index": 0, "delta": {"role": "assistant", "content": word}}
                yield ChatCompletionChunk.from_dict({"id": "x", "created": 1, "model": "m", "choices": [choice]})
"""
SAVING = "import sys, mlflow; mlflow.pyfunc.save_model(sys.argv[2], python_model=sys.argv[1])"
CHATTING = {"messages": [{"role": "user", "content": "one two"}]}


def saved(mlflow: MlflowInterpreter, folder: Path, code: str, saving: str) -> Path:
    """A model from code, as MLflow saves it."""
    program, model = folder / "talker.py", folder / "model"
    program.write_text(code)
    done = mlflow.run("-c", saving, program, model, cwd=folder)
    assert done.returncode == 0, done.stderr
    return model


@pytest.fixture(scope="module")
def talker(mlflow: MlflowInterpreter, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The model that streams words."""
    return saved(mlflow, tmp_path_factory.mktemp("talker"), TALKER, LOGGING)


def body_of(text: str, **more: Any) -> bytes:
    """A request for the stream of a text."""
    return json.dumps({"dataframe_records": [{"text": text}], "stream": True, **more}).encode()


def stream_of(served: Served, text: str, **more: Any) -> ServedStream:
    """The stream that the server responds with."""
    status, media_type, content = served.ask("POST", "/invocations", body_of(text, **more), JSON)
    assert (200, "text/event-stream") == (status, media_type), content
    stream = read_stream(content.decode())
    assert stream is not None
    return stream


def test_the_server_streams_what_training_records(mlflow: MlflowInterpreter, start: Starter, talker: Path) -> None:
    """
    Chunk by chunk, with the parameters and their defaults; whole predictions and other bodies are as before.
    """
    bodies = [body_of("a"), body_of("a", params={"speed": 7})]
    recorded = mlflow.ask("answer", model=str(talker), requests=[], streams=[body.decode() for body in bodies])
    with start(talker, ACCESS_LOG="json", METRICS="1") as served:
        streams = [stream_of(served.ready(), "a"), stream_of(served, "a", params={"speed": 7})]
        whole = served.ask("POST", "/invocations", body_of("a").replace(b"true", b"false"), JSON)
        malformed = served.ask("POST", "/invocations", b'{"stream": true', JSON)
        unknown = served.ask("POST", "/invocations", body_of("a").replace(b"text", b"word"), JSON)
        metrics = served.ask("GET", "/metrics")[2].decode()

    answers = [response["answer"] for response in recorded["bodies"]["streams"]]
    assert [["größer", {"n": 2, "params": {"speed": 1}}], ["größer", {"n": 2, "params": {"speed": 7}}]] == answers
    assert answers == [list(stream.chunks) for stream in streams]
    assert (200, {"predictions": ["whole"]}) == (whole[0], json.loads(whole[2]))
    assert (400, 400) == (malformed[0], unknown[0])
    assert "Failed to enforce schema" in json.loads(unknown[2])["message"]
    assert "/invocations" in metrics


def test_a_stream_that_fails_names_the_chunk(mlflow: MlflowInterpreter, start: Starter, talker: Path) -> None:
    """
    In training and by the server; before the first chunk it is a response with a status.
    """
    bodies = [body_of(text).decode() for text in ("break", "refuse")]
    recorded = mlflow.ask("answer", model=str(talker), requests=[], streams=bodies)
    with start(talker) as served:
        broken = stream_of(served.ready(), "break")
        refused = served.ask("POST", "/invocations", body_of("refuse"), JSON)
        still = stream_of(served, "a")

    reasons = [response["reason"] for response in recorded["bodies"]["streams"]]
    assert ["chunk 3: ValueError: no third word", "chunk 1: ValueError: not a word"] == reasons
    assert ({"error": "no third word"}, True, 3) == (broken.chunks[-1], broken.is_complete, len(broken.chunks))
    assert (400, "The stream failed: ValueError: not a word") == (refused[0], json.loads(refused[2])["message"])
    assert 2 == len(still.chunks)
    assert "ValueError: no third word" in served.output()


def test_a_stream_that_never_ends_is_bounded(mlflow: MlflowInterpreter, start: Starter, talker: Path) -> None:
    """
    By the number of chunks when it is recorded, and by REQUEST_TIMEOUT in the server, which serves others afterwards.
    """
    recorded = mlflow.ask("answer", model=str(talker), requests=[], streams=[body_of("endless").decode()])
    with start(talker, REQUEST_TIMEOUT="1", THREADS="1") as served:
        served.ready()
        with pytest.raises((http.client.HTTPException, OSError)):
            served.ask("POST", "/invocations", body_of("endless"), JSON)
        after = stream_of(served, "a")
        code = served.stop(signal.SIGTERM)

    (response,) = recorded["bodies"]["streams"]
    assert (500, "chunk 10001: it has more than 10000 chunks") == (response["status"], response["reason"])
    assert (2, 0) == (len(after.chunks), code)


@pytest.mark.extended
def test_a_client_that_leaves_ends_the_stream_of_the_model(start: Starter, talker: Path, tmp_path: Path) -> None:
    """
    The generator is closed, so that it can clean up.
    """
    closed = tmp_path / "closed"
    with start(talker) as served:
        connection = http.client.HTTPConnection("127.0.0.1", served.ready().port, timeout=CEILING_S)
        connection.request("POST", "/invocations", body_of(str(closed)), JSON)
        first = connection.getresponse().read(20)
        connection.close()
        ended = happens(closed.exists)

    assert (b"data: ", True) == (first[:6], ended)


@pytest.mark.extended
@pytest.mark.parametrize("has_stream", [True, False])
def test_a_chat_model_streams_if_it_has_its_own_predict_stream(
    mlflow: MlflowInterpreter, start: Starter, tmp_path: Path, has_stream: bool
) -> None:
    """
    MLflow marks every chat model as streamable, whose inherited predict_stream only raises an error.
    """
    model = saved(mlflow, tmp_path, CHAT.replace("STREAM", CHAT_STREAM.strip() if has_stream else ""), SAVING)
    body = json.dumps({**CHATTING, "stream": True})
    recorded = mlflow.ask("answer", model=str(model), requests=[], streams=[body])
    with start(model) as served:
        status, media_type, content = served.ready().ask("POST", "/invocations", body.encode(), JSON)

    (response,) = recorded["bodies"]["streams"]
    assert (200, "text/event-stream" if has_stream else "application/json") == (status, media_type)
    if has_stream:
        stream = read_stream(content.decode())
        assert stream is not None
        assert ["one", "two"] == [chunk["choices"][0]["delta"]["content"] for chunk in stream.chunks]
        assert response["answer"] == list(stream.chunks)
    else:
        assert response is None
        assert "whole" == json.loads(content)["choices"][0]["message"]["content"]
