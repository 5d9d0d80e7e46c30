"""
Disables MLflow's tracing unless a destination for traces is configured.

A traced model (`@mlflow.trace`, every ResponsesAgent) would open MLflow's default tracking store at its first request:
a new SQLite database in the current directory, which takes seconds, grows by the content of every request, and cannot
be created on a read-only file system. `MLFLOW_TRACE_SAMPLING_RATIO=0` opens it all the same. MLflow 3.0 to 3.14 opens
it whenever a model is loaded, unless tracing was disabled before.
"""

from collections.abc import Iterator, MutableMapping
from contextlib import contextmanager

# The variables that set a destination for the traces of MLflow or OpenTelemetry.
DESTINATIONS = (
    "MLFLOW_TRACKING_URI",
    "MLFLOW_TRACING_DESTINATION",
    "OTEL_EXPORTER_OTLP_ENDPOINT",
    "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT",
)


def has_destination(variables: "MutableMapping[str, str]") -> bool:
    """Whether traces have a destination; removes empty variables, which some versions of MLflow do not ignore."""
    for name in DESTINATIONS:
        if not variables.get(name):
            variables.pop(name, None)
    return any(name in variables for name in DESTINATIONS)


@contextmanager
def disabled_without_destination(variables: "MutableMapping[str, str]") -> "Iterator[None]":
    """
    Disable tracing before and after the block, which loads a model, unless a destination is configured.

    The model's code may enable tracing (up to MLflow 3.14 setting an experiment does) and may set the variables of
    DESTINATIONS: they are read before it runs.
    """
    if has_destination(variables):
        yield
        return
    import mlflow.tracing  # noqa: PLC0415 - imported after MLflow, whose import failure is reported elsewhere

    mlflow.tracing.disable()
    yield
    mlflow.tracing.disable()
