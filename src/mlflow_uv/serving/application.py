"""Builds the ASGI application: MLflow's scoring app, the V2 protocol and metrics, behind limits and observers."""

import asyncio
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from .observability import metrics, observers
from .observability.observers import ObservedApplication, Observer
from .protocols import fast_path, openapi
from .protocols.scoring import normalized, scoring, streaming
from .protocols.v2 import Protocol
from .settings import Settings
from .transport.asgi import Asgi, Message, Receive, Send
from .transport.http_framing import reject_ambiguous
from .transport.limits import limited


def application(model: Any, app: Any, settings: Settings, meter: "metrics.Meter | None") -> ObservedApplication:
    """The complete ASGI application of one worker."""
    active: Sequence[Observer] = (
        *((observers.log_as_json,) if settings.access_log else ()),
        *((meter.observe,) if meter else ()),
    )
    openapi.strip(app)
    if settings.fast:
        fast_path.install(model.metadata, meter.count_reading if meter else lambda _path: None)
    routes = dispatching(
        streaming(scoring(app), model),
        Protocol(model, name=settings.name, version=settings.version),
        {
            **({"/metrics": metrics.endpoint(meter)} if meter else {}),
            **({openapi.PATH: openapi.endpoint(model.metadata, settings)} if settings.openapi else {}),
        },
    )
    guarded = reject_ambiguous(
        limited(normalized(routes), body_limit=settings.body_limit, timeout=settings.request_timeout)
    )
    observed = ObservedApplication(with_threads(guarded, settings.threads), active)
    if meter:
        meter.watch(observed)
    return observed


def dispatching(mlflow: Asgi, v2: Asgi, extra: Mapping[str, Asgi]) -> Asgi:
    """Route by path: the exact paths of `extra`, the V2 protocol below `/v2`, else MLflow's scoring app."""

    async def handle(scope: Message, receive: Receive, send: Send) -> None:
        path = scope.get("path", "")
        if path in extra:
            await extra[path](scope, receive, send)
        elif path == "/v2" or path.startswith("/v2/"):
            await v2(scope, receive, send)
        else:
            await mlflow(scope, receive, send)

    return handle


def with_threads(app: Asgi, threads: int) -> Asgi:
    """Limit concurrent predictions to `threads`, for MLflow's endpoint and V2 together; others are queued."""

    async def handle(scope: Message, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            asyncio.get_running_loop().set_default_executor(ThreadPoolExecutor(threads, thread_name_prefix="predict"))
        await app(scope, receive, send)

    return handle
