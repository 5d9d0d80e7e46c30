"""Loads a model of Keras or TensorFlow, and computes its output."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from ..messages.conversion import NETWORK_LOADERS, NO_NETWORK
from .native_models import Inconvertible, NativeModel, loaded
from .request_frames import rows_in

OUTPUT = "prediction"
_ACTIVATIONS = ("softmax", "sigmoid")


@dataclass(frozen=True, kw_only=True)
class Network(NativeModel):
    """A model with a tensor for each row. `call` computes tensors of TensorFlow, `activation` is that of the output."""

    call: "Callable[[Any], Any]"
    activation: str

    def outputs(self, data: Any) -> "dict[str, Any]":
        """The output, with a tensor for each row. Raises what the model raises, and Inconvertible for several."""
        output = self.methods[OUTPUT](data)
        if not isinstance(output, np.ndarray):
            kind = f"{len(output)} tensors" if isinstance(output, (list, tuple, dict)) else type(output).__name__
            raise Inconvertible(self.operator, f"it has several outputs ({kind}), and a model with one is converted")
        if output.ndim < 1 or len(output) != rows_in(data) or output.dtype.kind not in "fiub":
            shown = f"the shape {output.shape} and the type {output.dtype} for {rows_in(data)} rows"
            raise Inconvertible(self.operator, f"its output has {shown}, and a tensor of numbers for each row is read")
        return {OUTPUT: output.reshape(len(output), -1) if output.ndim == 1 else output}


def load_network(folder: str) -> Network:
    """Load the network in a folder. Raises Inconvertible for another kind of model, and Problem if it does not load."""
    library, model = loaded(folder, NETWORK_LOADERS, NO_NETWORK)
    call = _call(model)
    predict = _predict(model) if hasattr(model, "predict") else lambda data: plain_array(call(_given(data)))
    return Network(
        library=library,
        kind="network",
        model=model,
        methods={OUTPUT: predict},
        served=OUTPUT,
        call=call,
        activation=activation_of(model),
    )


def _call(model: Any) -> "Callable[[Any], Any]":
    """What computes tensors: the model as a layer, or the function that MLflow calls of an exported one."""
    if hasattr(model, "predict"):
        return lambda tensors: model(tensors, training=False)
    serve = getattr(model, "serve", None) or (model if callable(model) else None)
    if serve is None:
        raise Inconvertible(type(model).__name__, "it is a SavedModel without a function that MLflow calls")
    return serve  # type: ignore[no-any-return]


def _predict(model: Any) -> "Callable[[Any], Any]":
    return lambda data: model.predict(_given(data), verbose=0)


def _given(data: Any) -> Any:
    """What MLflow gives to a model for a table: its values; everything else as it is."""
    return data.values if isinstance(data, pd.DataFrame) else data  # noqa: PD011  # as MLflow does


def plain_array(output: Any) -> Any:
    """A tensor as an array; several of them as they are."""
    return np.asarray(output) if hasattr(output, "shape") else output


def activation_of(model: Any) -> str:
    """The activation of a model's output, if it decides on labels; of the last layer of the last model in it."""
    layer = model
    while getattr(layer, "layers", None):
        layer = layer.layers[-1]
    named = getattr(getattr(layer, "activation", None), "__name__", type(layer).__name__).lower()
    return named if named in _ACTIVATIONS else ""
