"""Logs a chat model, whose answers have a time and an id."""

import uuid
from typing import Any

import mlflow
from mlflow.types.llm import ChatCompletionResponse


class Backwards(mlflow.pyfunc.ChatModel):
    """Answers with the last message, backwards."""

    def predict(self, context: Any, messages: list[Any], params: Any) -> ChatCompletionResponse:
        """One choice, with the number of words as its usage."""
        text = messages[-1].content[::-1]
        choice = {"index": 0, "message": {"role": "assistant", "content": text}, "finish_reason": "stop"}
        usage = {"prompt_tokens": 1, "completion_tokens": 1, "total_tokens": 2}
        response = {"id": f"chatcmpl-{uuid.uuid4()}", "model": "backwards", "choices": [choice], "usage": usage}
        return ChatCompletionResponse.from_dict(response)


def main() -> None:
    """Log it with two messages."""
    messages = [{"role": "system", "content": "be brief"}, {"role": "user", "content": "größer"}]
    with mlflow.start_run():
        mlflow.pyfunc.log_model(
            name="chat",
            python_model=Backwards(),
            input_example={"messages": messages, "temperature": 0.5, "max_tokens": 10},
        )


if __name__ == "__main__":
    main()
