"""Tests that killed attempts are closed by the next one, and that running ones are left alone."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from mlflow_uv.command.errors import StoreUnreachable
from mlflow_uv.command.host import Host
from mlflow_uv.ops.lineage.open_attempts import close_abandoned, give_up_attempt
from mlflow_uv.tools.mlflow.attempts import Attempts
from mlflow_uv.tools.mlflow.store_client import StoreClient
from mlflow_uv.tools.toolbox import Tools

STORE = SimpleNamespace(uri="http://127.0.0.1:9")


class Closing:
    """A client that stores what it closes, or that reaches no server."""

    store = STORE

    def __init__(self, *, reaches: bool = True) -> None:
        self.reaches = reaches
        self.closed: list[tuple[str, str]] = []

    def close_attempt(self, tag: str, value: str, *, status: str) -> None:
        """See StoreClient."""
        if not self.reaches:
            raise StoreUnreachable(what="no server answers", why="", fix="")
        self.closed.append((value, status))


@pytest.fixture
def attempts(tmp_path: Path) -> Attempts:
    """The attempts of a machine."""
    return Attempts(cast("Host", SimpleNamespace(state=tmp_path)))


def tools_with(attempts: Attempts, lines: list[str]) -> Tools:
    """Tools that have these attempts, and print to `lines`."""
    console: Any = SimpleNamespace(say=lines.append)
    return cast("Tools", SimpleNamespace(attempts=attempts, console=console))


def test_a_killed_attempt_is_closed_once_and_a_running_one_never(attempts: Attempts) -> None:
    """
    Its file is deleted when the store has closed it.
    """
    client, tools = Closing(), tools_with(attempts, [])
    with attempts.start(STORE.uri) as killed:
        pass  # neither closed nor given up, as after SIGKILL
    with attempts.start(STORE.uri) as running:
        close_abandoned(cast("StoreClient", client), tools)
        close_abandoned(cast("StoreClient", client), tools)

        assert [(killed.id, "KILLED")] == client.closed
        assert running.file.is_file()


def test_an_attempt_that_cannot_be_closed_is_left_to_the_next(attempts: Attempts) -> None:
    """
    The error is printed, and its file stays.
    """
    lines: list[str] = []
    tools = tools_with(attempts, lines)
    with attempts.start(STORE.uri) as attempt:
        give_up_attempt(attempt, cast("StoreClient", Closing(reaches=False)), "FAILED", tools)
    client = Closing()

    close_abandoned(cast("StoreClient", client), tools)

    assert [(attempt.id, "KILLED")] == client.closed
    assert "could not be closed: no server answers" in lines[0]
