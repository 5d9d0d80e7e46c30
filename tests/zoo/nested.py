"""Logs a model of objects within objects, whose signature comes from pydantic models."""

import mlflow
import pydantic


class Item(pydantic.BaseModel):
    """A part of an order."""

    name: str
    prices: list[float]
    note: str | None = None


class Order(pydantic.BaseModel):
    """An order of several items."""

    id: int
    items: list[Item]


class Totals(mlflow.pyfunc.PythonModel):
    """Answers with the total of each item."""

    def predict(self, model_input: list[Order]) -> list[dict[str, dict[str, float] | int]]:
        """One object for each order."""
        return [
            {"order": order.id, "totals": {item.name: sum(item.prices) for item in order.items}}
            for order in model_input
        ]


def main() -> None:
    """Log it."""
    orders = [
        {"id": 1, "items": [{"name": "red", "prices": [1.5, 2.0], "note": "dry"}]},
        {"id": 2, "items": [{"name": "größer", "prices": []}, {"name": "white", "prices": [3.25]}]},
    ]
    with mlflow.start_run():
        mlflow.pyfunc.log_model(name="totals", python_model=Totals(), input_example=orders)


if __name__ == "__main__":
    main()
