"""Logs an agent of the responses API, whose answers have ids."""

import uuid
from collections.abc import Iterator

import mlflow
from mlflow.types.responses import ResponsesAgentRequest, ResponsesAgentResponse, ResponsesAgentStreamEvent


class Agent(mlflow.pyfunc.ResponsesAgent):
    """Answers with the last message, backwards."""

    def predict(self, request: ResponsesAgentRequest) -> ResponsesAgentResponse:
        """One item of text."""
        item = self.create_text_output_item(request.input[-1].content[::-1], id=f"msg_{uuid.uuid4().hex}")
        return ResponsesAgentResponse(id=f"resp_{uuid.uuid4().hex}", output=[item])

    def predict_stream(self, request: ResponsesAgentRequest) -> Iterator[ResponsesAgentStreamEvent]:
        """The same item as an event."""
        for item in self.predict(request).output:
            yield ResponsesAgentStreamEvent(type="response.output_item.done", item=item)


def main() -> None:
    """Log it."""
    with mlflow.start_run():
        mlflow.pyfunc.log_model(
            name="agent",
            python_model=Agent(),
            input_example={"input": [{"role": "user", "content": "hello"}]},
        )


if __name__ == "__main__":
    main()
