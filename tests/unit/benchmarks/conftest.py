"""Numbers of a run that nobody measured."""

from typing import Any

import pytest

Numbers = dict[str, Any]


def side(factor: float) -> Numbers:
    """A side that is so many times as good as stock in everything that is compared."""
    served = {
        "first": 8.0 / factor,
        "p50": 10.0 / factor,
        "p95": 20.0 / factor,
        "rate": 100.0 * factor,
        "pss": 400e6 / factor,
        "rss": 500e6 / factor,
        "private": 300e6 / factor,
    }
    builds = {what: [60.0 / factor, 50.0 / factor] for what in ("cold", "model", "dependency")}
    return {
        **builds,
        "complaints": [],
        "size": 1000e6 / factor,
        "first": served["first"],
        "served": {workers: dict(served) for workers in ("1", "2", "4")},
    }


@pytest.fixture
def numbers() -> Numbers:
    """One model, on stock and on ours, where ours are five and ten times as good."""
    sides = {"stock": side(1), "locked": side(5), "slim": side(10)}
    return {"models": {"wine": {"title": "Wine & cheese", "sides": sides}}}
