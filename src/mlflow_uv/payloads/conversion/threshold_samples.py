"""Generates requests near the thresholds of a model, where rounding to 32 bits leads to another leaf or bin."""

import json
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import pandas as pd

from .native_models import NativeModel
from .request_frames import body_of

SEED = 7
_BASES = 4  # rows around which thresholds are tried
_SHARE = 0.5  # of the rows that are near thresholds
_VARIANTS = 3  # rows for a threshold
_SPREADS = 3.0
_NESTED = ("estimators_", "estimator_", "calibrated_classifiers_", "estimator", "best_estimator_", "base_estimator_")


def thresholds_of(model: Any) -> "list[tuple[int, float]]":
    """The thresholds of all trees in a model, or in the last step of a pipeline, by the number of a feature."""
    _, final = _parts(model)
    found: set[tuple[int, float]] = set()
    pending, seen = [final], set()
    while pending:
        item = pending.pop()
        if isinstance(item, np.ndarray):
            item = item.ravel().tolist() if item.dtype == object else []
        if isinstance(item, (list, tuple)):
            pending.extend(item)
            continue
        if item is None or id(item) in seen or hasattr(item, "steps"):
            continue  # the trees of a nested pipeline see other features
        seen.add(id(item))
        found.update(_of_trees(item))
        pending.extend(getattr(item, "__dict__", {}).get(name) for name in _NESTED)
    return sorted((feature, value) for feature, value in found if np.isfinite(value))


def _parts(model: Any) -> "tuple[Any, Any]":
    """What transforms the inputs (None without it), and the model behind it."""
    if not hasattr(model, "steps"):
        return None, model
    before, final = model[:-1], model.steps[-1][1]
    return (before if len(before.steps) else None), final


def _of_trees(item: Any) -> "Iterator[tuple[int, float]]":
    tree = getattr(item, "tree_", None)
    if tree is not None and hasattr(tree, "threshold"):
        yield from ((int(f), float(t)) for f, t in zip(tree.feature, tree.threshold, strict=True) if f >= 0)
    name = type(item).__name__
    if name.startswith("XGB") and hasattr(item, "get_booster"):
        item, name = item.get_booster(), "Booster"
    elif name.startswith("LGBM") and hasattr(item, "booster_"):
        item, name = item.booster_, "Booster"
    if name == "Booster" and hasattr(item, "get_dump"):
        names = {feature: number for number, feature in enumerate(item.feature_names or ())}
        for text in item.get_dump(dump_format="json"):
            yield from _of_xgboost(json.loads(text), names)
    elif name == "Booster" and hasattr(item, "dump_model"):
        for grown in item.dump_model()["tree_info"]:
            yield from _of_lightgbm(grown["tree_structure"])


def _of_xgboost(node: "dict[str, Any]", names: "dict[str, int]") -> "Iterator[tuple[int, float]]":
    pending = [node]
    while pending:
        item = pending.pop()
        if isinstance(item.get("split_condition"), (int, float)):
            split = str(item["split"])
            yield names[split] if split in names else int(split.lstrip("f")), float(item["split_condition"])
        pending.extend(item.get("children", ()))


def _of_lightgbm(node: "dict[str, Any]") -> "Iterator[tuple[int, float]]":
    pending = [node]
    while pending:
        item = pending.pop()
        if isinstance(item.get("threshold"), (int, float)):
            yield int(item["split_feature"]), float(item["threshold"])
        pending.extend(item[child] for child in ("left_child", "right_child") if child in item)


def sample_requests(
    native: NativeModel, frames: "Sequence[Any]", thresholds: "Sequence[tuple[int, float]]", *, rows: int
) -> "list[dict[str, Any]]":
    """About `rows` rows in two requests: at the thresholds, and spread over the range of the inputs."""
    table = _Table(frames, native)
    near = table.near(thresholds, round(rows * _SHARE))
    spread = table.spread(rows - len(near), near)
    named = (("at the model's thresholds", "thresholds", near), ("spread over its inputs", "spread", spread))
    return [{"name": name, "origin": origin, "body": body_of(data)} for name, origin, data in named if len(data)]


class _Table:
    """The rows of the recorded requests, and their numeric columns."""

    def __init__(self, frames: "Sequence[Any]", native: NativeModel) -> None:
        self._native = native
        self._tensor = not isinstance(frames[0], pd.DataFrame)
        if self._tensor:
            whole = pd.DataFrame(np.concatenate([np.asarray(frame) for frame in frames]))
        else:
            whole = pd.concat(list(frames), ignore_index=True)
        self._rows = whole.drop_duplicates(ignore_index=True) if self._hashable(whole) else whole
        self._random = np.random.default_rng(SEED)
        self._numeric = [c for c in self._rows.columns if self._rows[c].dtype.kind in "fiu"]

    @staticmethod
    def _hashable(whole: "pd.DataFrame") -> bool:
        return all(whole[column].dtype.kind in "fiubOUS" for column in whole.columns)

    def _given(self, rows: "pd.DataFrame") -> Any:
        return rows.to_numpy() if self._tensor else rows

    def _transform(self, rows: "pd.DataFrame") -> Any:
        """What the trees see of rows."""
        before, _ = _parts(self._native.model)
        data = self._given(rows)
        if before is None:
            return np.asarray(data[self._numeric] if not self._tensor else data, dtype=np.float64)
        found = before.transform(data)
        return np.asarray(found.todense() if hasattr(found, "todense") else found, dtype=np.float64)

    def near(self, thresholds: "Sequence[tuple[int, float]]", rows: int) -> Any:
        """Rows whose features are at thresholds, and the next 32-bit numbers below and above."""
        chosen = [*self._own_thresholds()]
        most = max(1, rows // _VARIANTS) - len(chosen)
        spread = list(thresholds)
        if len(spread) > most > 0:
            spread = [spread[round(n * (len(spread) - 1) / max(1, most - 1))] for n in range(most)]
        found: list[pd.DataFrame] = []
        for number in range(min(_BASES, len(self._rows))):
            base = self._rows.iloc[[number]]
            slopes, origin = self._slopes(base)
            if slopes is None:
                continue
            for feature, value in (
                spread[number::_BASES] if len(self._rows) >= _BASES else spread[number :: len(self._rows)]
            ):
                if feature >= slopes.shape[1] or not np.abs(slopes[:, feature]).any():
                    continue
                position = int(np.argmax(np.abs(slopes[:, feature])))
                column = self._numeric[position]
                at = float(base[column].iloc[0]) + (value - origin[feature]) / slopes[position, feature]
                found.extend(self._variants(base, column, at))
        for number, (column, at) in enumerate(chosen):
            found.extend(self._variants(self._rows.iloc[[number % len(self._rows)]], column, at))
        return self._given(pd.concat(found, ignore_index=True)) if found else self._rows.iloc[:0]

    def _slopes(self, base: "pd.DataFrame") -> "tuple[Any, Any]":
        """How much each feature changes with each numeric column, around a row; and the features of the row."""
        changed = [base]
        deltas = []
        for column in self._numeric:
            delta = max(1.0, round(float(self._rows[column].max() - self._rows[column].min())))
            other = base.copy()
            other[column] = (other[column] + delta).astype(base[column].dtype)
            changed.append(other)
            deltas.append(delta)
        try:
            features = self._transform(pd.concat(changed, ignore_index=True))
        except Exception:  # noqa: BLE001  # a step of the user may raise anything
            return None, None
        if not deltas:
            return None, None
        return (features[1:] - features[0]) / np.array(deltas)[:, None], features[0]

    def _variants(self, base: "pd.DataFrame", column: Any, at: float) -> "Iterator[pd.DataFrame]":
        kind = base[column].dtype
        if kind.kind in "iu":
            values = [np.floor(at), np.ceil(at), np.ceil(at) + 1]
            values = [value for value in values if np.iinfo(kind).min <= value <= np.iinfo(kind).max]
        else:
            single = np.float32(at)
            with np.errstate(over="ignore"):
                values = [single, np.nextafter(single, np.float32(-np.inf)), np.nextafter(single, np.float32(np.inf))]
            values = [value for value in values if np.isfinite(value)]
        for value in values:
            row = base.copy()
            row[column] = np.array([value]).astype(kind)
            yield row

    def _own_thresholds(self) -> "Iterator[tuple[Any, float]]":
        """Quantiles and edges of bins of the steps that get the columns themselves."""
        before, _ = _parts(self._native.model)
        first = before.steps[0][1] if before is not None else self._native.model
        names = list(self._rows.columns)
        parts = [(first, names)]
        if hasattr(first, "transformers_"):
            parts = [
                (
                    step.steps[0][1] if hasattr(step, "steps") else step,
                    [names[c] if isinstance(c, int) else c for c in chosen],
                )
                for _, step, chosen in first.transformers_
                if not isinstance(chosen, (str, slice))
            ]
        for step, columns in parts:
            for position, column in enumerate(columns):
                if column in self._numeric:
                    yield from ((column, float(value)) for value in _edges(step, position))

    def spread(self, rows: int, near: Any) -> Any:
        """Rows with each value drawn at random: numbers from a range, everything else from the recorded requests."""
        if rows <= 0:
            return self._rows.iloc[:0]
        known = pd.DataFrame(near, columns=self._rows.columns) if len(near) else self._rows
        drawn = {}
        for position, column in enumerate(self._rows.columns):
            values = self._rows[column]
            if column not in self._numeric:
                drawn[column] = values.iloc[self._random.integers(0, len(values), rows)].to_numpy()
                continue
            low, high = self._range(column, position, known)
            if values.dtype.kind in "iu":
                drawn[column] = self._random.integers(int(low), int(high) + 1, rows).astype(values.dtype)
            else:
                drawn[column] = self._random.uniform(low, high, rows).astype(values.dtype)
        return self._given(pd.DataFrame(drawn)[list(self._rows.columns)])

    def _range(self, column: Any, position: int, known: "pd.DataFrame") -> "tuple[float, float]":
        values = pd.concat([self._rows[column], known[column]]).astype(np.float64)
        values = values[np.isfinite(values)]
        low, high = (float(values.min()), float(values.max())) if len(values) else (0.0, 1.0)
        before, _ = _parts(self._native.model)
        first = before.steps[0][1] if before is not None else None
        center, scale = getattr(first, "mean_", None), getattr(first, "scale_", None)
        if center is not None and scale is not None and len(center) == len(self._rows.columns):
            low = min(low, float(center[position] - _SPREADS * scale[position]))
            high = max(high, float(center[position] + _SPREADS * scale[position]))
        return low, high if high > low else low + 1.0


def _edges(step: Any, position: int) -> "Iterator[float]":
    quantiles, edges = getattr(step, "quantiles_", None), getattr(step, "bin_edges_", None)
    if quantiles is not None and position < quantiles.shape[1]:
        yield from quantiles[:: max(1, len(quantiles) // 8), position].tolist()
    if edges is not None and position < len(edges):
        yield from list(edges[position])[:16]
