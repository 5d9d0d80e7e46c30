"""Closes the runs and models that a failed or killed attempt left open in the store."""

from ...command.errors import StepError
from ...payloads.messages.tags import ATTEMPT
from ...tools.mlflow.attempts import Attempt
from ...tools.mlflow.store_client import StoreClient
from ...tools.toolbox import Tools


def close_attempt(attempt: Attempt, client: StoreClient, status: str) -> None:
    """End the runs of an attempt that are open, and finalize its models. Raises StoreUnreachable, ToolFailed."""
    client.close_attempt(ATTEMPT, attempt.id, status=status)
    attempt.mark_closed()


def give_up_attempt(attempt: Attempt, client: StoreClient, status: str, tools: Tools) -> None:
    """Close an attempt, or leave it to the next one; errors are only printed, to keep the first error."""
    try:
        close_attempt(attempt, client, status)
    except StepError as error:
        tools.console.say(f"what this attempt left open in the store could not be closed: {error}")


def close_abandoned(client: StoreClient, tools: Tools) -> None:
    """Close earlier attempts on this machine that were killed or lost their server; running ones are left alone."""
    for attempt in tools.attempts.abandoned(client.store.uri):
        tools.console.say("an earlier run did not finish: what it left open in the store is closed")
        give_up_attempt(attempt, client, "KILLED", tools)
