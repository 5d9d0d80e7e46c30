"""What every kind of target has."""

from mlflow_uv.core.deploy.settings import KINDS
from mlflow_uv.core.deploy.target_settings import TargetSettings


def test_every_kind_has_the_settings_of_all_and_a_deadline_that_is_not_negative() -> None:
    """
    The deadline of a run is never shortened by the kind.
    """
    assert all(issubclass(kind, TargetSettings) and kind.usual_deadline_s >= 0 for kind in KINDS.values())
