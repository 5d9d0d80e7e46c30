"""Keeps what tests measure, for those who write a page about it."""

import pytest


def keep(config: pytest.Config, name: str, figures: object) -> None:
    """Write figures into pytest's cache; a run without one (`-p no:cacheprovider`) keeps nothing."""
    cache = getattr(config, "cache", None)
    if cache is not None:
        cache.set(name, figures)
