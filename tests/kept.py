"""What tests found out, for those who write a page of it."""

import pytest


def keep(config: pytest.Config, name: str, found: object) -> None:
    """Leave it in pytest's cache; a run without one (`-p no:cacheprovider`) keeps nothing."""
    cache = getattr(config, "cache", None)
    if cache is not None:
        cache.set(name, found)
