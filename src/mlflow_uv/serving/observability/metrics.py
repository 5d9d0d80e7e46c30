"""
Exports Prometheus metrics of the server, with prometheus-client.

Several workers write their values into files of one folder, and any of them reports the sum
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

from ..settings import InvalidSetting, Settings
from ..transport.asgi import Asgi, Message, Receive, Send, respond, respond_error
from ..transport.routes import route_of
from .observers import Exchange, ObservedApplication

LIBRARY = Path(__file__).resolve().parents[1] / "lib"
FOLDER = "PROMETHEUS_MULTIPROC_DIR"
BUCKETS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60)


class Meter:
    """The metrics of this process, or of all workers where there are several."""

    def __init__(self, library: Any, model_labels: Mapping[str, str]) -> None:
        self._library = library
        self._requests = library.Counter("mlflow_uv_requests", "Completed requests.", ("route", "method", "status"))
        self._seconds = library.Histogram(
            "mlflow_uv_request_seconds", "Seconds from the request head to the end of the response.", ("route",),
            buckets=BUCKETS,
        )  # fmt: skip
        self._json = library.Counter("mlflow_uv_json_requests", "JSON read, by the fast path or by MLflow.", ("path",))
        self._in_flight = library.Gauge(
            "mlflow_uv_requests_in_flight", "Requests in flight.", multiprocess_mode="livesum"
        )
        self._model = library.Gauge(
            "mlflow_uv_model_info", "The served model; always 1.", tuple(model_labels), multiprocess_mode="max"
        )
        self._model.labels(**model_labels).set(1)

    def observe(self, exchange: Exchange) -> None:
        """Count a request. Unknown methods and unknown paths share one label value each, which bounds the series."""
        route = route_of(exchange.path).pattern
        method = exchange.method if exchange.method in {"GET", "HEAD", "POST"} else "other"
        self._requests.labels(route=route, method=method, status=str(exchange.status)).inc()
        self._seconds.labels(route=route).observe(exchange.seconds)

    def count_reading(self, path: str) -> None:
        """Count a JSON request to `/invocations` by the path that read it, see `fast_path`."""
        self._json.labels(path=path).inc()

    def watch(self, observed: ObservedApplication) -> None:
        """Report the number of requests in flight."""
        observed.on_in_flight = self._in_flight.set

    def text(self) -> bytes:
        """The metrics in Prometheus' text format."""
        registry = self._library.REGISTRY
        if FOLDER in os.environ:
            from prometheus_client import multiprocess  # noqa: PLC0415 - reads FOLDER at import

            registry = self._library.CollectorRegistry()
            multiprocess.MultiProcessCollector(registry)
        return bytes(self._library.generate_latest(registry))


def endpoint(meter: Meter) -> Asgi:
    """GET /metrics."""

    async def handle(scope: Message, _receive: Receive, send: Send) -> None:
        if scope["method"] != "GET":
            await respond_error(scope, send, HTTPStatus.METHOD_NOT_ALLOWED, "/metrics supports GET only.")
            return
        await respond(send, HTTPStatus.OK, meter.text(), media_type="text/plain; version=0.0.4; charset=utf-8")

    return handle


def prepare(settings: Settings) -> None:
    """Make prometheus-client importable and create the folder that several workers share. Raises InvalidSetting."""
    if importlib.util.find_spec("prometheus_client") is None:
        sys.path.append(str(LIBRARY))
    if importlib.util.find_spec("prometheus_client") is None:
        raise InvalidSetting(f"METRICS=1 needs prometheus-client, which is neither in {LIBRARY} nor installed.")
    if settings.workers == 1:
        os.environ.pop(FOLDER, None)
        return
    if settings.separate and FOLDER in os.environ:
        return
    try:
        os.environ[FOLDER] = tempfile.mkdtemp(prefix="mlflow-uv-metrics-")
    except OSError as error:
        raise InvalidSetting(f"METRICS=1 with several workers needs a temporary folder: {error}.") from error


def meter(settings: Settings, flavor: str, mlflow_version: str) -> Meter:
    """Create the metrics; call `prepare` before, and this once."""
    import prometheus_client  # noqa: PLC0415 - only if METRICS=1

    prometheus_client.disable_created_metrics()
    model_labels = {
        "name": settings.name,
        "version": settings.version,
        "flavor": flavor,
        "mlflow_version": mlflow_version,
        "python_version": sys.version.split()[0],
    }
    return Meter(prometheus_client, model_labels)
