"""The names of tags are an interface: stores keep them for years."""

import re

from mlflow_uv.payloads.messages import tags

NAMES = {name: value for name, value in vars(tags).items() if name.isupper() and isinstance(value, str)}
PREFIXES = (tags.AUDIT_PREFIX, tags.LEASE_PREFIX)


def test_every_tag_is_ours_and_is_one_alone() -> None:
    """
    No name is taken twice, and none is MLflow's own, which begin with `mlflow.`.
    """
    values = list(NAMES.values())

    assert (len(values), []) == (
        len(set(values)),
        [value for value in values if not re.fullmatch(r"mlflow-uv\.[a-z0-9-]+\.?", value)],
    )


def test_no_tag_looks_like_an_audit_entry_or_a_lease() -> None:
    """
    Those are found by their prefix.
    """
    others = [value for value in NAMES.values() if value not in PREFIXES]

    assert [] == [value for value in others if value.startswith(PREFIXES)]


def test_what_stores_have_is_still_read() -> None:
    """
    A renamed tag would lose every version that has the old one.
    """
    assert ("mlflow-uv.state", "mlflow-uv.model-sha256", "mlflow-uv.record-sha256", "mlflow-uv.turn.") == (
        tags.STATE, tags.MODEL_DIGEST, tags.RECORD_DIGEST, tags.LEASE_PREFIX,
    )  # fmt: skip
