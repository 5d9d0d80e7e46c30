"""What the containers of a version get from every target is what their server expects."""

from pathlib import Path

from mlflow_uv.core.deploy.served_containers import DRAIN_S
from mlflow_uv.serving import settings


def test_a_container_that_ends_gets_the_time_that_its_server_drains(tmp_path: Path) -> None:
    """
    The server stands alone, and has the number for itself.
    """
    (tmp_path / "MLmodel").touch()

    assert DRAIN_S == settings.read({"MLFLOW_UV_MODEL": str(tmp_path)}).drain_timeout
