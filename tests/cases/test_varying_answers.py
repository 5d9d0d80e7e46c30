"""Models whose answers are of the moment, or depend on how they are asked: from the lock to the champion."""

import json

import pytest

from .sample_project import SampleProject, error, training

FINDINGS = 1
HEAD = """\
import uuid

import mlflow
from mlflow.types.llm import ChatCompletionResponse
from mlflow.types.responses import ResponsesAgentResponse

"""
ORDERED = f"""{HEAD}
class Ordered(mlflow.pyfunc.PythonModel):
    def predict(self, context, model_input, params=None):
        first, second = model_input.values()
        return [10 * sum(first) + sum(second)]


with mlflow.start_run():
    example = {{"width": [1, 2], "age": [5, 7]}}
    mlflow.pyfunc.log_model(name="ordered", python_model=Ordered(), input_example=example, signature=False)
"""
CHAT = f"""{HEAD}
class Backwards(mlflow.pyfunc.ChatModel):
    def predict(self, context, messages, params):
        text = messages[-1].content[::-1]
        choice = {{"index": 0, "message": {{"role": "assistant", "content": text}}, "finish_reason": "stop"}}
        usage = {{"prompt_tokens": 1, "completion_tokens": 1, "total_tokens": 2}}
        completion = {{"id": f"chatcmpl-{{uuid.uuid4()}}", "model": "backwards", "choices": [choice], "usage": usage}}
        return ChatCompletionResponse.from_dict(completion)


with mlflow.start_run():
    example = {{"messages": [{{"role": "user", "content": "hello"}}]}}
    mlflow.pyfunc.log_model(name="chat", python_model=Backwards(), input_example=example)
"""
AGENT = f"""{HEAD}
class Agent(mlflow.pyfunc.ResponsesAgent):
    def predict(self, request):
        item = self.create_text_output_item(request.input[-1].content[::-1], id=f"msg_{{uuid.uuid4().hex}}")
        return ResponsesAgentResponse(id=f"resp_{{uuid.uuid4().hex}}", output=[item])


with mlflow.start_run():
    example = {{"input": [{{"role": "user", "content": "hello"}}]}}
    mlflow.pyfunc.log_model(name="agent", python_model=Agent(), input_example=example)
"""


@pytest.mark.extended
def test_a_model_that_counts_its_columns_is_asked_in_their_order(sample: SampleProject) -> None:
    """
    Without a signature nothing puts them in order: the server is asked what training was asked.
    """
    sample.train_with(ORDERED)

    result = sample.run("release", "--engine", "none")

    assert result.code == 0, result.stderr
    assert [{"predictions": [42]}] == json.loads((sample.consumer.model / "mlflow-uv" / "answers.json").read_text())


@pytest.mark.extended
@pytest.mark.engine
@pytest.mark.parametrize(
    ("program", "paths"),
    [(CHAT, "$.created,$.id"), (AGENT, "$.id,$.output[*].id")],
    ids=["ChatModel", "ResponsesAgent"],
)
def test_what_is_of_the_moment_is_ignored_from_the_lock_to_the_champion(
    sample: SampleProject, image: str, program: str, paths: str
) -> None:
    """
    The proof finds it before anything is built and names its paths; with them as a setting the model is promoted.
    """
    sample.train_with(program)
    fickle = sample.run("log-model")
    manifest = sample.folder / "pyproject.toml"
    setting = f"[tool.mlflow-uv]\nignore-answers = {json.dumps(paths.split(','))}\n"
    sample.consumer.edit(manifest, "[tool.mlflow-uv]\n", setting)
    sample.commit()

    result = sample.run("release", "--image", image, "--engine", "docker")
    promoted = sample.run("promote")

    found = next(finding for finding in fickle.answer["findings"] if finding["rule"] == "answers-fickle")
    assert (FINDINGS, f"--ignore-answers '{paths}'") == (fickle.code, found["fix"].partition(", which")[0])
    assert (0, 0) == (result.code, promoted.code), result.stderr + promoted.stderr
    assert paths.split(",") == json.loads(sample.consumer.record.read_text())["answers"]["ignored"]
    assert {"answers-fickle", "answers-differ", "ignored-nothing"}.isdisjoint(result.rules)
    assert paths.replace(",", ", ") in result.stderr


@pytest.mark.extended
def test_an_answer_that_json_lacks_is_converted_as_the_message_says(sample: SampleProject) -> None:
    """
    The example is right, and the message is not about it.
    """
    sample.train_with(training(predict='return set(model_input["x"])'))
    refused = sample.run("log-model", traceback=True)
    sample.train_with(training(predict='return list(set(model_input["x"]))'))
    mended = sample.run("log-model")

    assert (14, 0) == (refused.code, mended.code), mended.stderr
    assert "convert the set in the model's predict, as by list(...)" in error(refused)[3]
