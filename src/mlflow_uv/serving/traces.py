"""
Turns MLflow's tracing off where nobody named a place for traces.

A traced model (`@mlflow.trace`, every ResponsesAgent) would open MLflow's default tracking store at its first request:
a new SQLite database in the current directory, which takes seconds, grows by the content of every request, and cannot
be made on a read-only file system. `MLFLOW_TRACE_SAMPLING_RATIO=0` opens it all the same. MLflow 3.0
to 3.14 opens it whenever a model is loaded; not where tracing is off before.
"""

from collections.abc import Iterator, MutableMapping
from contextlib import contextmanager

# By which of its variables MLflow, or OpenTelemetry for it, is told where traces go.
DESTINATIONS = (
    "MLFLOW_TRACKING_URI",
    "MLFLOW_TRACING_DESTINATION",
    "OTEL_EXPORTER_OTLP_ENDPOINT",
    "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT",
)


def named(variables: "MutableMapping[str, str]") -> bool:
    """Whether traces have a place; a variable without a value is taken away, since not every MLflow ignores it."""
    for name in DESTINATIONS:
        if not variables.get(name):
            variables.pop(name, None)
    return any(name in variables for name in DESTINATIONS)


@contextmanager
def off_unless_named(variables: "MutableMapping[str, str]") -> "Iterator[None]":
    """
    Load a model in this, so that nothing is traced from then on, unless a place is named.

    Its code may turn tracing on again (setting an experiment does, up to MLflow 3.14), and may set the variables that
    name a place: they are read before, and tracing is turned off before and after.
    """
    if named(variables):
        yield
        return
    import mlflow.tracing  # noqa: PLC0415 - MLflow is imported once, where a failure is reported

    mlflow.tracing.disable()
    yield
    mlflow.tracing.disable()
