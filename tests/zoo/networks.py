"""Makes, converts and measures networks of many kinds, and prints what was seen of each; see tests/parity.py."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import keras
import mlflow
import numpy as np
import tensorflow as tf
from conversion_run import ConversionRun, write_seen
from keras import layers
from mlflow.models import ModelSignature, infer_signature
from mlflow.types import Schema, TensorSpec

ROWS = 60
RANDOM = np.random.default_rng(5)
NUMBERS = RANDOM.normal(size=(ROWS, 6)).astype(np.float32)
PICTURES = RANDOM.integers(0, 256, size=(ROWS, 12, 12, 1)).astype(np.uint8)
SERIES = RANDOM.normal(size=(ROWS, 8, 3)).astype(np.float32)
WORDS = RANDOM.integers(0, 40, size=(ROWS, 10)).astype(np.int64)
PAIR = {"left": NUMBERS, "right": RANDOM.normal(size=(ROWS, 4)).astype(np.float32)}
LARGE = (1e5 + 1e-2 * RANDOM.normal(size=(ROWS, 6))).astype(np.float64)


def chain(shape: "tuple[int | None, ...]", *steps: Any, dtype: str = "float32") -> Any:
    """Layers one after the other."""
    return keras.Sequential([keras.Input(shape, dtype=dtype), *steps])


def functional(shape: "tuple[int | None, ...]", build: "Callable[[Any], Any]", dtype: str = "float32") -> Any:
    """What a function makes of one input."""
    given = keras.Input(shape, dtype=dtype)
    return keras.Model(given, build(given))


def pair() -> Any:
    """Two inputs by name, in another order than the alphabet's."""
    right, left = keras.Input((4,), name="right"), keras.Input((6,), name="left")
    joined = layers.Concatenate()([layers.Dense(3, activation="relu")(right), left])
    return keras.Model({"right": right, "left": left}, layers.Dense(2, activation="softmax")(joined))


def attention(given: Any) -> Any:
    """A layer of a transformer."""
    seen = layers.MultiHeadAttention(2, 4)(given, given)
    return layers.Dense(3, activation="softmax")(
        layers.GlobalAveragePooling1D()(layers.LayerNormalization()(layers.Add()([given, seen])))
    )


def normalized() -> Any:
    """A step whose result 32 bits change: the mean of its inputs is much greater than their spread."""
    step = layers.Normalization(mean=[1e5] * 6, variance=[1e-4] * 6, dtype="float64")
    return chain((6,), step, layers.Dense(3, activation="softmax", dtype="float64"), dtype="float64")


@keras.saving.register_keras_serializable("zoo")
class Gamma(layers.Layer):
    """An operator that TensorFlow Lite does not have."""

    def call(self, given: Any) -> Any:
        """See Gamma."""
        return tf.math.igamma(tf.abs(given) + 1.0, tf.abs(given))


@keras.saving.register_keras_serializable("zoo")
class Letters(layers.Layer):
    """Counts the bytes of texts."""

    def call(self, given: Any) -> Any:
        """See Letters."""
        return tf.cast(tf.strings.length(given), tf.float32)


class Scale(tf.Module):
    """A model without Keras."""

    def __init__(self) -> None:
        super().__init__()
        self.weights = tf.Variable(RANDOM.normal(size=(6, 2)).astype(np.float32))

    @tf.function(input_signature=[tf.TensorSpec([None, 6], tf.float32)])
    def __call__(self, given: Any) -> Any:
        """A product of matrices."""
        return tf.matmul(given, self.weights)


def softmax(classes: int = 3) -> Any:
    """The layer of a classifier."""
    return layers.Dense(classes, activation="softmax")


def dense() -> Any:
    """A small classifier of six numbers."""
    return chain((6,), layers.Dense(8, activation="relu"), layers.BatchNormalization(), layers.Dropout(0.5), softmax())


KERAS, TENSORFLOW = mlflow.keras, mlflow.tensorflow
NETWORKS: "dict[str, tuple[Callable[[], Any], Any, Any]]" = {
    "dense network": (dense, NUMBERS, KERAS),
    "dense network of 64-bit inputs": (dense, NUMBERS.astype(np.float64), KERAS),
    "two classes by a sigmoid": (
        lambda: chain((6,), layers.Dense(4, activation="tanh"), layers.Dense(1, activation="sigmoid")), NUMBERS, KERAS,
    ),
    "regression": (lambda: chain((6,), layers.Dense(8, activation="gelu"), layers.Dense(1)), NUMBERS, KERAS),
    "convolution of pictures": (
        lambda: chain(
            (12, 12, 1), layers.Rescaling(1 / 255), layers.Conv2D(4, 3, activation="relu"),
            layers.BatchNormalization(), layers.MaxPooling2D(), layers.Flatten(), softmax(), dtype="uint8",
        ),
        PICTURES, KERAS,
    ),
    "pictures to pictures": (
        lambda: chain((12, 12, 1), layers.Rescaling(1 / 255), layers.Conv2D(2, 3, padding="same"), dtype="uint8"),
        PICTURES, KERAS,
    ),
    "LSTM": (lambda: chain((8, 3), layers.LSTM(5), softmax()), SERIES, KERAS),
    "GRU": (lambda: chain((8, 3), layers.GRU(5), softmax()), SERIES, KERAS),
    "attention": (lambda: functional((8, 3), attention), SERIES, KERAS),
    "embedding of words": (
        lambda: chain((10,), layers.Embedding(40, 4), layers.GlobalAveragePooling1D(), softmax(), dtype="int64"),
        WORDS, KERAS,
    ),
    "two inputs by name": (pair, PAIR, KERAS),
    "flavor tensorflow": (dense, NUMBERS, TENSORFLOW),
    "module of TensorFlow": (Scale, NUMBERS, TENSORFLOW),
    "normalization in 64 bits": (normalized, LARGE, KERAS),
    "operator of TensorFlow alone": (lambda: chain((6,), Gamma(), softmax()), NUMBERS, KERAS),
    "input of any length": (
        lambda: chain((None, 3), layers.Conv1D(4, 3), layers.GlobalMaxPooling1D(), softmax()), SERIES, KERAS,
    ),
    "several outputs": (
        lambda: functional((6,), lambda given: [layers.Dense(2)(given), layers.Dense(3)(given)]), NUMBERS, KERAS,
    ),
    "texts": (
        lambda: chain((1,), Letters(), layers.Dense(2), dtype="string"), np.array([["red"], ["white wine"]] * 5), KERAS,
    ),
    "network without a signature": (dense, NUMBERS, KERAS),
}  # fmt: skip


def body(rows: Any) -> str:
    """Rows as a request."""
    if isinstance(rows, dict):
        return json.dumps({"inputs": {name: part.tolist() for name, part in rows.items()}})
    return json.dumps({"inputs": rows.tolist()})


def first(rows: Any) -> Any:
    """The first five rows."""
    return {name: part[:5] for name, part in rows.items()} if isinstance(rows, dict) else rows[:5]


def signature_of(name: str, inputs: Any) -> Any:
    """The signature with which a network is saved."""
    if name == "network without a signature":
        return None
    if name == "input of any length":
        return ModelSignature(inputs=Schema([TensorSpec(np.dtype(np.float32), (-1, -1, 3))]))
    return ModelSignature(inputs=infer_signature(inputs).inputs)


def seen(name: str, folder: Path, programs: Any, edge: Path) -> "dict[str, Any]":
    """What is seen of a network."""
    keras.utils.set_random_seed(3)
    make, inputs, flavor = NETWORKS[name]
    options = {"signature": signature_of(name, inputs), "pip_requirements": ["keras"]}
    flavor.save_model(make(), str(folder / "original"), **options)
    return ConversionRun(
        folder=folder,
        example=body(first(inputs)),
        recorded=body(inputs),
        request=lambda **parts: programs["messages"].ConvertToTflite(**parts, edge=str(edge)),
        programs=programs,
        edge=edge,
        logged="data/tflite/model.tflite",
        runtime="ai-edge-litert",
    ).seen()


def main(programs: Any, edge: Path, names: "list[str]", out: Path) -> None:
    """Write what is seen of each network."""
    write_seen(names, lambda name, folder: seen(name, folder, programs, edge), out)
