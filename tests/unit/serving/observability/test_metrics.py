"""Each metric has few labels, whatever clients send."""

from collections.abc import Callable
from typing import Any

from mlflow_uv.serving.observability.metrics import Meter
from mlflow_uv.serving.observability.observers import Exchange


class RecordingMetric:
    """A metric that records what was added to it, by its labels."""

    def __init__(self, events: "list[Any]", name: str, labels: "dict[str, str] | None" = None) -> None:
        self._events, self._name, self._labels = events, name, labels or {}

    def labels(self, **labels: str) -> "RecordingMetric":
        """The series with these labels."""
        return RecordingMetric(self._events, self._name, labels)

    def inc(self) -> None:
        """Count one."""
        self._events.append((self._name, self._labels))

    def observe(self, _seconds: float) -> None:
        """Count a duration."""
        self.inc()

    def set(self, _value: float) -> None:
        """Set a value."""
        self.inc()


class RecordingLibrary:
    """The part of prometheus-client that creates metrics."""

    def __init__(self) -> None:
        self.events: list[Any] = []
        self.Counter = self.Histogram = self.Gauge = self.create

    def create(self, name: str, _help: str, *_labels: Any, **_options: Any) -> RecordingMetric:
        """A metric."""
        return RecordingMetric(self.events, name)


def events_of(act: Callable[[Meter], None]) -> "list[Any]":
    """What a meter records, without its creation."""
    library = RecordingLibrary()
    meter = Meter(library, {"name": "wine"})
    created = len(library.events)
    act(meter)
    return library.events[created:]


def exchange(method: str, path: str) -> Exchange:
    """A completed request."""
    return Exchange(method=method, path=path, status=200, sent=1, seconds=0.1, client="")


def test_a_request_is_counted_by_route_method_and_status() -> None:
    """
    With one time in the histogram of its route.
    """
    recorded = events_of(lambda meter: meter.observe(exchange("POST", "/v2/models/wine/infer")))

    route = "/v2/models/{name}/infer"
    assert [
        ("mlflow_uv_requests", {"route": route, "method": "POST", "status": "200"}),
        ("mlflow_uv_request_seconds", {"route": route}),
    ] == recorded


def test_clients_cannot_create_series() -> None:
    """
    Unknown methods and paths share one label value each.
    """

    def observe(meter: Meter) -> None:
        for number in range(3):
            meter.observe(exchange(f"M{number}", f"/{number}"))

    recorded = events_of(observe)

    labels = {tuple(sorted(labels.items())) for name, labels in recorded if name == "mlflow_uv_requests"}
    assert {(("method", "other"), ("route", "other"), ("status", "200"))} == labels


def test_json_requests_are_counted_by_the_path_that_read_them() -> None:
    """
    See the fast path.
    """
    recorded = events_of(lambda meter: meter.count_reading("fast"))

    assert [("mlflow_uv_json_requests", {"path": "fast"})] == recorded
