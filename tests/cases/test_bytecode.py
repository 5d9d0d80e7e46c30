"""What is compiled once is there the next time, and lies nowhere that is somebody else's."""

from .lab import Lab


def test_bytecode_is_kept_apart_from_environment_and_checkout(lab: Lab) -> None:
    """
    MLflow takes twice as long to import without; of the environments and the project nothing was changed.
    """
    cache = lab.consumer.home / "cache"

    kept = {path.name.partition(".")[0] for path in (cache / "bytecode").glob("**/site-packages/mlflow/*.pyc")}
    elsewhere = [path for folder in (cache / "environments", lab.folder) for path in folder.rglob("*.pyc")]

    assert (True, []) == ("__init__" in kept, elsewhere)
