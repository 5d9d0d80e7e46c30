"""The tag names of audit entries, which sort in the order of the moves."""

from datetime import UTC, datetime

import pytest

from mlflow_uv.payloads.messages.registry import AliasEntry
from mlflow_uv.payloads.messages.tags import AUDIT_PREFIX
from mlflow_uv.payloads.registry.audit_entries import entries_of, key_after, text_of

NOW = datetime(2026, 1, 2, 3, 4, 5, 6, tzinfo=UTC)
ENTRY = AliasEntry(
    action="promote", alias="champion", before=None, after="1", previous=None, who="ann", when="2026-01-02T03:04:05Z"
)


def test_a_new_entry_sorts_after_the_known_ones_of_a_clock_that_is_ahead() -> None:
    """
    A microsecond after the latest, whatever the clock here says.
    """
    known = [f"{AUDIT_PREFIX}20300101T000000.000000Z-aa", f"{AUDIT_PREFIX}20250101T000000.000000Z-bb"]

    assert f"{AUDIT_PREFIX}20300101T000000.000001Z-cc" == key_after(known, NOW, "cc")
    assert f"{AUDIT_PREFIX}20260102T030405.000006Z-cc" == key_after([], NOW, "cc")


@pytest.mark.parametrize("stamp", ["99999999T999999.000000Z", "99991231T235959.999999Z", "20261301T000000.000000Z"])
def test_a_tag_without_a_date_is_no_entry_and_stops_no_other(stamp: str) -> None:
    """
    Anybody who may write tags can write such a name; the next entry must still find a name after the others.
    """
    invalid, valid = f"{AUDIT_PREFIX}{stamp}-aa", f"{AUDIT_PREFIX}20250101T000000.000000Z-bb"

    assert [valid] == list(entries_of({invalid: text_of(ENTRY), valid: text_of(ENTRY)}))
    assert f"{AUDIT_PREFIX}20260102T030405.000006Z-cc" == key_after([invalid, valid], NOW, "cc")
