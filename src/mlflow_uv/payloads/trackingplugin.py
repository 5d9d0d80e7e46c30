"""
Notes which tracking store a training uses, from inside it: MLflow loads it as a provider of run contexts.

It lies beside its entry point in a folder of its own, which PYTHONPATH names and which only the step can read. Nothing
of the training is changed, but for one variable of ours: where a new store keeps its artifacts is said for the one that
the training was handed. For any other it is the folder that MLflow would take, as a URI: it writes a path with a quote
into its first statement of SQL as it is.
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
_HANDED = _HERE / "handed"
_URI = "MLFLOW_TRACKING_URI"
_ARTIFACT_ROOT = "_MLFLOW_SERVER_ARTIFACT_ROOT"
_noted: "set[tuple[str, str]]" = set()


def _note(event: str, uri: str) -> None:
    """One line for each new thing: `set` where a URI was chosen, `run` where a run, or a model without one, begins."""
    with suppress(Exception):  # whatever goes wrong here is no reason for a training to fail
        if (event, uri) in _noted:
            return
        _noted.add((event, uri))
        if uri != _HANDED.read_text(encoding="utf-8"):
            os.environ[_ARTIFACT_ROOT] = Path("mlruns").absolute().as_uri()
        line = json.dumps({"event": event, "uri": uri, "folder": str(Path.cwd())})
        with _NOTES.open("a", encoding="utf-8") as notes:
            notes.write(f"{line}\n")


def _hear(event: str, arguments: "tuple[Any, ...]") -> None:
    """`mlflow.set_tracking_uri` sets the variable for child processes, and so is heard by whoever calls it."""
    if event == "os.putenv" and os.fsdecode(arguments[0]) == _URI:
        _note("set", os.fsdecode(arguments[1]))


class TrackingNote(RunContextProvider):  # type: ignore[misc]  # what it is made from is not typed
    """Asked by MLflow for tags whenever a run begins; it has none."""

    def in_context(self) -> bool:
        """See RunContextProvider."""
        return True

    def tags(self) -> "dict[str, str]":
        """See RunContextProvider."""
        import mlflow  # noqa: PLC0415  # it is being imported when this file is

        _note("run", mlflow.get_tracking_uri())
        return {}


_note("set", os.environ.get(_URI, ""))
sys.addaudithook(_hear)
