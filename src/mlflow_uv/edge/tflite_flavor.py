"""Loads a model in TFLite for MLflow, which has no flavor for it: the code of the model that `export-model` logs."""

from pathlib import Path
from typing import Any

from .score import Scorer, array


class TfliteFunction:
    """What MLflow calls, with a tensor, or with tensors by name."""

    def __init__(self, scorer: Scorer) -> None:
        self.scorer = scorer

    def predict(self, data: Any, params: "dict[str, Any] | None" = None) -> Any:  # noqa: ARG002  # as MLflow calls it
        """The output, as the flavor of the original model returns it."""
        ports = self.scorer.signature["inputs"]
        named = data if isinstance(data, dict) else {ports[0]["name"]: data}
        feeds = {port["name"]: array(port["name"], port["type"], named[port["name"]]) for port in ports}
        (output,) = self.scorer.model.run(feeds)
        return output


def _load_pyfunc(folder: str) -> TfliteFunction:
    return TfliteFunction(Scorer(Path(folder)))
