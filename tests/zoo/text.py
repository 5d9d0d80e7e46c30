"""Logs a function of strings, whose signature comes from its type hints."""

import mlflow


class Upper(mlflow.pyfunc.PythonModel):
    """Answers each text in capital letters."""

    def predict(self, model_input: list[str]) -> list[str]:
        """One answer for each text."""
        return [text.upper() for text in model_input]


def main() -> None:
    """Log it."""
    with mlflow.start_run():
        mlflow.pyfunc.log_model(name="upper", python_model=Upper(), input_example=["größer", "red wine"])


if __name__ == "__main__":
    main()
