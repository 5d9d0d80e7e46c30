"""What answers which path? MLflow's scoring app, the V2 protocol and the metrics, behind limits and observers."""

import asyncio
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from . import metrics, observers, openapi
from .asgi import Asgi, Message, Receive, Send
from .http_framing import unambiguous
from .limits import limited
from .observers import ObservedApplication, Observer
from .scoring import polite, scoring
from .settings import Settings
from .v2 import Protocol


def application(model: Any, app: Any, settings: Settings, meter: "metrics.Meter | None") -> ObservedApplication:
    """Everything that one worker answers with."""
    active: Sequence[Observer] = (
        *((observers.log_as_json,) if settings.access_log else ()),
        *((meter.observe,) if meter else ()),
    )
    openapi.strip(app)
    doors = choosing(
        scoring(app),
        Protocol(model, name=settings.name, version=settings.version),
        {
            **({"/metrics": metrics.door(meter)} if meter else {}),
            **({openapi.PATH: openapi.door(model.metadata, settings)} if settings.openapi else {}),
        },
    )
    inner = unambiguous(limited(polite(doors), body_limit=settings.body_limit, timeout=settings.request_timeout))
    whole = ObservedApplication(with_threads(inner, settings.threads), active)
    if meter:
        meter.watch(whole)
    return whole


def choosing(mlflow: Asgi, v2: Asgi, asked_for: Mapping[str, Asgi]) -> Asgi:
    """By the beginning of the path."""

    async def handle(scope: Message, receive: Receive, send: Send) -> None:
        path = scope.get("path", "")
        if path in asked_for:
            await asked_for[path](scope, receive, send)
        elif path == "/v2" or path.startswith("/v2/"):
            await v2(scope, receive, send)
        else:
            await mlflow(scope, receive, send)

    return handle


def with_threads(app: Asgi, threads: int) -> Asgi:
    """Predict in at most so many threads, MLflow's and ours; what is more waits for its turn."""

    async def handle(scope: Message, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            asyncio.get_running_loop().set_default_executor(ThreadPoolExecutor(threads, thread_name_prefix="predict"))
        await app(scope, receive, send)

    return handle
