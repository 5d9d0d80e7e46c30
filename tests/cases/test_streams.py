"""A model that streams is released, and a wrong chunk of a server is refused."""

import textwrap

import pytest

from .sample_project import SampleProject

PROGRAM = textwrap.dedent("""
    import os
    import mlflow

    class Words(mlflow.pyfunc.PythonModel):
        def predict(self, context, model_input, params=None):
            return ["whole" for _ in range(len(model_input))]

        def predict_stream(self, context, model_input, params=None):
            yield {"text": model_input["text"], "id": os.urandom(8).hex()}
            if os.environ["CHUNK"] == "fails":
                raise ValueError("no second word")
            yield {"text": os.environ["CHUNK"], "id": os.urandom(8).hex()}

    with mlflow.start_run():
        import pandas as pd
        example = pd.DataFrame({"text": ["first", "of another row"]})
        mlflow.pyfunc.log_model(name="words", python_model=Words(), input_example=example)
""")
FLAGS = ("--serve-env", "CHUNK", "--ignore-answers", "$.id")


@pytest.fixture(scope="module")
def streaming(released_sample: SampleProject) -> SampleProject:
    """The sample project with a model that streams, released and tested."""
    released_sample.restore()
    released_sample.train_with(PROGRAM)
    result = released_sample.run("release", "--engine", "none", *FLAGS, variables={"CHUNK": "second"})
    assert (0, "tested") == (result.code, result.outputs["state"]), result.stderr
    assert "1 as a stream" in result.stderr
    return released_sample


@pytest.mark.parametrize(
    ("chunk", "rule", "why"),
    [
        ("other", "answers-differ", "chunk 2: $.text is 'other', expected is 'second'"),
        ("fails", "case-refused", "chunk 2: no second word"),
    ],
)
def test_a_wrong_chunk_of_the_server_is_refused(streaming: SampleProject, chunk: str, rule: str, why: str) -> None:
    """
    And named; ids are ignored in every chunk.
    """
    # A stream that fails has the traceback of the model in the log of its server.
    result = streaming.run("smoke-test", *FLAGS, variables={"CHUNK": chunk}, traceback=chunk == "fails")

    (finding,) = [finding for finding in result.answer["findings"] if finding["severity"] == "error"]
    assert (1, rule) == (result.code, finding["rule"])
    assert why in finding["why"].replace("***", chunk)


@pytest.mark.extended
@pytest.mark.parametrize(("chunk", "unequal"), [("second", []), ("other", ["locked-load", "process"])])
def test_a_wrong_chunk_is_found_in_every_way_that_streams(
    streaming: SampleProject, chunk: str, unequal: list[str]
) -> None:
    """
    MLflow's own server has no streams, and is equal.
    """
    ways = ("--ways", "locked-load locked-serve process", "--serve-env", "CHUNK", "--dry-run")
    result = streaming.run("verify", "models:/wine@candidate", *ways, variables={"CHUNK": chunk})

    assert (bool(unequal), unequal) == (bool(result.code), result.outputs["unequal"]), result.stderr
    assert "locked-serve" in result.outputs["equal"]


@pytest.mark.extended
def test_a_stream_that_fails_in_training_is_not_released(streaming: SampleProject) -> None:
    """
    The finding names the chunk.
    """
    streaming.train_with(PROGRAM.replace("no second word", "not even in training"))

    result = streaming.run("log-model", *FLAGS, variables={"CHUNK": "fails"})

    (finding,) = [finding for finding in result.answer["findings"] if finding["severity"] == "error"]
    assert (1, "stream-failed") == (result.code, finding["rule"])
    assert "chunk 2: ValueError: not even in training" == finding["why"]
