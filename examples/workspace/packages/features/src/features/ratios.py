"""Ratios of pairs of columns, as a scikit-learn transformer."""

from typing import Self

import pandas as pd
from sklearn.base import BaseEstimator, TransformerMixin


class Ratios(TransformerMixin, BaseEstimator):
    """Adds one column per pair of columns: the first divided by the second."""

    def __init__(self, pairs: tuple[tuple[str, str], ...] = ()) -> None:
        self.pairs = pairs

    def fit(self, wines: pd.DataFrame, _cultivars: object = None) -> Self:
        """Store the columns; a ratio has no other parameters to fit."""
        self.columns_ = list(wines.columns)
        return self

    def transform(self, wines: pd.DataFrame) -> pd.DataFrame:
        """Return the measurements followed by their ratios, in the order of the pairs."""
        ratios = {f"{above}/{below}": wines[above] / wines[below] for above, below in self.pairs}
        return wines.assign(**ratios)
