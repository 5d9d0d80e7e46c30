"""Which releases of MLflow have a schema."""

import pytest

from mlflow_uv.core.model.database_schemas import releases_of


@pytest.mark.parametrize(
    ("revision", "releases"),
    [
        ("0584bdc529eb", "MLflow 2.18.0 to 2.22.5"),
        ("dc11669786a5", "MLflow 3.17.0 to 3.17.2"),
        ("ffffffffffff", ""),
        ("", ""),
    ],
)
def test_a_known_revision_names_its_releases(revision: str, releases: str) -> None:
    """
    A schema of a release that is newer than the table is not attributed to any.
    """
    assert releases == releases_of(revision)
