"""What is compiled once is there the next time, and lies nowhere that is somebody else's."""

import shutil

import pytest

from .sample_project import SampleProject


@pytest.mark.extended
def test_bytecode_is_kept_apart_from_environment_and_checkout(sample: SampleProject) -> None:
    """
    MLflow takes twice as long to import without; of the environments and the project nothing was changed.
    """
    cache = sample.consumer.home / "cache"
    environments = cache / "environments"
    for folder in tuple(environments.rglob("__pycache__")):
        shutil.rmtree(folder)  # of another test, that ran such a Python by itself

    place = cache / "bytecode" / cache.relative_to("/")
    place.unlink()  # shared with the other processes of this run

    result = sample.run("log-model", "--retrain")

    kept = {path.name.partition(".")[0] for path in (cache / "bytecode").glob("**/site-packages/mlflow/*.pyc")}
    elsewhere = [path for folder in (environments, sample.folder) for path in folder.rglob("*.pyc")]

    assert (0, True, []) == (result.code, "__init__" in kept, elsewhere)
