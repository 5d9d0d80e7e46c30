"""
Restores FastAPI's decorator `route`, with which MLflow 2.21 to 3.10 builds its scoring app.

Starlette 1.0 removed it, and those versions of MLflow allow any FastAPI below 1: with a new lock none of them could be
served (`'FastAPI' object has no attribute 'route'`), neither here nor by `mlflow models serve`.
"""

from collections.abc import Callable, Sequence
from typing import Any


def restore_route() -> None:
    """Add `FastAPI.route` if FastAPI is installed without it."""
    try:
        from fastapi import FastAPI  # noqa: PLC0415 - only an MLflow that serves with it brings it along
    except ImportError:
        return
    if hasattr(FastAPI, "route"):
        return

    def route(self: Any, path: str, methods: "Sequence[str] | None" = None) -> "Callable[[Any], Any]":
        def register(function: Any) -> Any:
            self.add_route(path, function, methods=methods)
            return function

        return register

    FastAPI.route = route
