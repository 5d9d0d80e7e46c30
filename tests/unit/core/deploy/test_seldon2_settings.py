"""Settings of Seldon Core 2."""

from types import SimpleNamespace
from typing import cast

import pytest

from mlflow_uv.command.errors import BadInput
from mlflow_uv.core.deploy.seldon2_settings import Seldon2Settings, stored_at
from mlflow_uv.core.release.record import ModelLink

LINK = cast("ModelLink", SimpleNamespace(model_id="m-1", run_id="r-2"))


def test_the_address_of_the_files_has_what_differs_between_versions() -> None:
    """
    Another brace stays as it is.
    """
    settings = Seldon2Settings(target="seldon2", storage_uri="s3://b/{model-id}/{run-id}/{name}/{version}/{x}")

    assert "s3://b/m-1/r-2/wine/3/{x}" == stored_at(settings, LINK, "wine", "3")


def test_without_an_address_nothing_can_be_served() -> None:
    """
    The message has the line to add.
    """
    with pytest.raises(BadInput, match="no `storage-uri`") as refused:
        stored_at(Seldon2Settings(target="seldon2"), LINK, "wine", "3")

    assert "storage-uri = " in str(refused.value.fix)
