"""Generates rows for a network: spread over its inputs, and on both sides of where its label changes."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

from .networks import OUTPUT, Network
from .request_frames import body_of

SEED = 7
_SHARE = 0.5  # of the rows where the label changes
_MOST_VALUES = 1_000_000  # of all rows together
_FEWEST_ROWS = 8
_HALVINGS = 30
_HALF = 0.5


def network_requests(network: Network, frames: "Sequence[Any]", *, rows: int) -> "list[dict[str, Any]]":
    """About `rows` rows in two requests, fewer of large tensors: where the label changes, and spread over inputs."""
    table = _Tensors(frames)
    rows = max(_FEWEST_ROWS, min(rows, _MOST_VALUES // table.width))
    near = table.near(network, round(rows * _SHARE)) if network.activation else []
    spread = table.spread(rows - (len(near[0]) if near else 0))
    named = (("where its label changes", "thresholds", near), ("spread over its inputs", "spread", spread))
    made = ((name, origin, table.batch(data)) for name, origin, data in named if data)
    return [{"name": name, "origin": origin, "body": body_of(batch)} for name, origin, batch in made]


class _Tensors:
    """The rows of the recorded requests as arrays, one for each column or named tensor."""

    def __init__(self, frames: "Sequence[Any]") -> None:
        first = frames[0]
        self._table = isinstance(first, pd.DataFrame)
        self._names: list[Any] | None = list(first) if self._table or isinstance(first, dict) else None
        self._recorded = [
            np.concatenate([np.asarray(frame if self._names is None else frame[name]) for frame in frames])
            for name in (self._names or [None])
        ]
        self._random = np.random.default_rng(SEED)

    @property
    def width(self) -> int:
        """The numbers of a row."""
        return sum(max(1, part[0].size) for part in self._recorded)

    def batch(self, parts: "Sequence[Any]") -> Any:
        """Arrays as the model gets them."""
        if self._names is None:
            return parts[0]
        named = dict(zip(self._names, parts, strict=True))
        return pd.DataFrame(named) if self._table else named

    def spread(self, rows: int) -> "list[Any]":
        """Rows with each number drawn from the range that it has in the recorded requests, a tenth beyond it."""
        return [self._drawn(part, rows) for part in self._recorded]

    def _drawn(self, part: Any, rows: int) -> Any:
        shape, kind = (rows, *part.shape[1:]), part.dtype
        if kind.kind not in "fiu":
            return part[self._random.integers(0, len(part), rows)]
        low, high = part.min(axis=0), part.max(axis=0)
        if kind.kind in "iu":  # an index into a table may not be beyond the recorded ones
            return self._random.integers(low.min(), int(high.max()) + 1, shape).astype(kind)
        low, high = np.nan_to_num(low), np.nan_to_num(high)
        margin = np.maximum((high - low) * 0.1, np.where(high == low, 1.0, 0.0))
        return self._random.uniform(low - margin, high + margin, shape).astype(kind)

    def near(self, network: Network, rows: int) -> "list[Any]":
        """
        Pairs of rows with different labels that are as near to each other as halving their distance brings them.

        Whole numbers are rounded, so a pair of pictures differs by one in each number at most.
        """
        first, second = self.spread(rows), self.spread(rows)
        fixed = [part.dtype.kind not in "fiu" for part in self._recorded]
        second = [one if keep else other for one, other, keep in zip(first, second, fixed, strict=True)]
        own, other = self._labels(network, first), self._labels(network, second)
        differing = np.flatnonzero((own != other).any(axis=1))[: rows // 2]
        if not len(differing):
            return []
        low, high, own = [part[differing] for part in first], [part[differing] for part in second], own[differing]
        for _ in range(_HALVINGS):
            middle = [one if keep else _middle(one, two) for one, two, keep in zip(low, high, fixed, strict=True)]
            same = (self._labels(network, middle) == own).all(axis=1)
            low = [_chosen(same, half, one) for half, one in zip(middle, low, strict=True)]
            high = [_chosen(same, two, half) for half, two in zip(middle, high, strict=True)]
        return [np.concatenate(pair) for pair in zip(low, high, strict=True)]

    def _labels(self, network: Network, parts: "Sequence[Any]") -> Any:
        output = network.outputs(self.batch(parts))[OUTPUT]
        labels = output > _HALF if network.activation == "sigmoid" else output.argmax(axis=-1)
        return labels.reshape(len(output), -1)


def _middle(low: Any, high: Any) -> Any:
    """The number halfway between two of one type, rounded if they are whole; large ones stay between the two."""
    middle = (low.astype(np.float64) + high) / 2
    return np.clip(middle.astype(low.dtype), np.minimum(low, high), np.maximum(low, high))


def _chosen(condition: Any, left: Any, right: Any) -> Any:
    return np.where(condition.reshape(-1, *[1] * (left.ndim - 1)), left, right)
