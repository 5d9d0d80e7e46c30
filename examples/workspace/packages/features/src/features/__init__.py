"""What does the model look at? Used when it is trained and again wherever it answers."""

from features.ratios import Ratios

__all__ = ["Ratios"]
