"""
How busy is the server, and with what? Prometheus metrics, by prometheus-client.

With several workers each writes its numbers into files of one folder, and any of them answers for all
(https://prometheus.github.io/client_python/multiprocess/). The folder must be known before the library is imported.
"""

import importlib.util
import os
import sys
import tempfile
from collections.abc import Mapping
from http import HTTPStatus
from pathlib import Path
from typing import Any

from .asgi import Asgi, Message, Receive, Send, complain, respond
from .observers import Exchange, ObservedApplication
from .routes import route_of
from .settings import Refused, Settings

LIBRARY = Path(__file__).resolve().parent / "lib"
FOLDER = "PROMETHEUS_MULTIPROC_DIR"
BUCKETS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60)


class Meter:
    """The metrics of this process, and of its siblings where there are any."""

    def __init__(self, library: Any, about: Mapping[str, str]) -> None:
        self._library = library
        self._requests = library.Counter(
            "mlflow_uv_requests", "Requests that were answered.", ("route", "method", "status")
        )
        self._seconds = library.Histogram(
            "mlflow_uv_request_seconds", "From the head of a request to the end of its answer.", ("route",),
            buckets=BUCKETS,
        )  # fmt: skip
        self._in_flight = library.Gauge(
            "mlflow_uv_requests_in_flight", "Requests that are being answered.", multiprocess_mode="livesum"
        )
        self._model = library.Gauge(
            "mlflow_uv_model_info", "The model that is served; always 1.", tuple(about), multiprocess_mode="max"
        )
        self._model.labels(**about).set(1)

    def observe(self, exchange: Exchange) -> None:
        """Count an exchange. Methods and paths that nobody serves are counted together."""
        route = route_of(exchange.path).pattern
        method = exchange.method if exchange.method in {"GET", "HEAD", "POST"} else "other"
        self._requests.labels(route=route, method=method, status=str(exchange.status)).inc()
        self._seconds.labels(route=route).observe(exchange.seconds)

    def watch(self, observed: ObservedApplication) -> None:
        """Keep the number of requests in flight."""
        observed.watching = self._in_flight.set

    def text(self) -> bytes:
        """What Prometheus reads."""
        registry = self._library.REGISTRY
        if FOLDER in os.environ:
            from prometheus_client import multiprocess  # noqa: PLC0415 - after the folder is known

            registry = self._library.CollectorRegistry()
            multiprocess.MultiProcessCollector(registry)
        return bytes(self._library.generate_latest(registry))


def door(meter: Meter) -> Asgi:
    """GET /metrics."""

    async def handle(scope: Message, _receive: Receive, send: Send) -> None:
        if scope["method"] != "GET":
            await complain(scope, send, HTTPStatus.METHOD_NOT_ALLOWED, "Metrics are read with GET.")
            return
        await respond(send, HTTPStatus.OK, meter.text(), media_type="text/plain; version=0.0.4; charset=utf-8")

    return handle


def prepare(settings: Settings) -> None:
    """Make the library importable, and the folder that several workers share. Raises Refused where it cannot be."""
    if importlib.util.find_spec("prometheus_client") is None:
        sys.path.append(str(LIBRARY))
    if importlib.util.find_spec("prometheus_client") is None:
        raise Refused(f"METRICS=1 needs prometheus-client, which is neither in {LIBRARY} nor a package of the model.")
    if settings.workers == 1:
        os.environ.pop(FOLDER, None)
        return
    if settings.apart and FOLDER in os.environ:
        return
    try:
        os.environ[FOLDER] = tempfile.mkdtemp(prefix="mlflow-uv-metrics-")
    except OSError as error:
        raise Refused(f"METRICS=1 with several workers needs a temporary folder: {error}.") from error


def meter(settings: Settings, flavor: str, mlflow_version: str) -> Meter:
    """The metrics; call `prepare` first, and this once."""
    import prometheus_client  # noqa: PLC0415 - only where it was asked for

    prometheus_client.disable_created_metrics()
    about = {
        "name": settings.name,
        "version": settings.version,
        "flavor": flavor,
        "mlflow_version": mlflow_version,
        "python_version": sys.version.split()[0],
    }
    return Meter(prometheus_client, about)
