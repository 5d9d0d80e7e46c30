"""Logs a model that can also answer in parts."""

from collections.abc import Iterator
from typing import Any

import mlflow
import pandas as pd


class Words(mlflow.pyfunc.PythonModel):
    """Answers with the words of a text, backwards."""

    def predict(self, context: Any, model_input: pd.DataFrame, params: Any = None) -> list[str]:
        """All words at once."""
        return [" ".join(reversed(text.split())) for text in model_input["text"]]

    def predict_stream(self, context: Any, model_input: dict[str, str], params: Any = None) -> Iterator[str]:
        """One word after the other, of a single row."""
        yield from reversed(model_input["text"].split())


def main() -> None:
    """Log it."""
    with mlflow.start_run():
        mlflow.pyfunc.log_model(
            name="words",
            python_model=Words(),
            input_example=pd.DataFrame({"text": ["the red wine", "größer als früher"]}),
        )


if __name__ == "__main__":
    main()
