"""The features of the wine model, computed in training and in serving."""

from features.ratios import Ratios

__all__ = ["Ratios"]
