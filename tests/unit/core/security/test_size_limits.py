"""The limits on the files of a checkout."""

from mlflow_uv.core.security.size_limits import LOCK_LIMIT, MANIFEST_LIMIT


def test_a_lock_may_be_much_larger_than_a_manifest() -> None:
    """
    It lists every file of every package.
    """
    assert LOCK_LIMIT >= 100 * MANIFEST_LIMIT
