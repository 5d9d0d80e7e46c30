"""
Records which tracking store a training uses: a run context provider that MLflow loads inside the training.

It is in a folder of its own with its entry point; PYTHONPATH names the folder, and only the step can read it. Nothing
in the training changes, except one variable: the artifact root of a new store is set for the store that the training
was given. For any other store it is set to MLflow's default folder, as a URI, because MLflow does not escape a quote
in a path in its first SQL statement.
"""

import json
import os
import sys
from contextlib import suppress
from pathlib import Path
from typing import Any

from mlflow.tracking.context.abstract_context import RunContextProvider

_HERE = Path(__file__).parent
_NOTES = _HERE / "notes"
_STORE_URI = _HERE / "store-uri"
_URI = "MLFLOW_TRACKING_URI"
_ARTIFACT_ROOT = "_MLFLOW_SERVER_ARTIFACT_ROOT"
_noted: "set[tuple[str, str]]" = set()


def _note(event: str, uri: str) -> None:
    """Write one line per new event: `set` for a chosen URI, `run` when a run, or a model without one, starts."""
    with suppress(Exception):  # an error here must not fail the training
        if (event, uri) in _noted:
            return
        _noted.add((event, uri))
        if uri != _STORE_URI.read_text(encoding="utf-8"):
            os.environ[_ARTIFACT_ROOT] = Path("mlruns").absolute().as_uri()
        line = json.dumps({"event": event, "uri": uri, "folder": str(Path.cwd())})
        with _NOTES.open("a", encoding="utf-8") as notes:
            notes.write(f"{line}\n")


def _on_audit_event(event: str, arguments: "tuple[Any, ...]") -> None:
    """Audit hook: `mlflow.set_tracking_uri` sets the variable for child processes, which raises `os.putenv`."""
    if event == "os.putenv" and os.fsdecode(arguments[0]) == _URI:
        _note("set", os.fsdecode(arguments[1]))


class TrackingNote(RunContextProvider):  # type: ignore[misc]  # MLflow is not typed
    """MLflow asks it for tags when a run starts; it returns none."""

    def in_context(self) -> bool:
        """See RunContextProvider."""
        return True

    def tags(self) -> "dict[str, str]":
        """See RunContextProvider."""
        import mlflow  # noqa: PLC0415  # being imported while this file is imported

        _note("run", mlflow.get_tracking_uri())
        return {}


_note("set", os.environ.get(_URI, ""))
sys.addaudithook(_on_audit_event)
