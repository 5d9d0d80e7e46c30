"""A model that is adopted is released once: no release writes into the model of another one."""

from types import SimpleNamespace
from typing import Any, cast

import pytest

from mlflow_uv.command.errors import BadInput
from mlflow_uv.ops.model.adoption import Adopted, require_free
from mlflow_uv.payloads.messages.models import LoggedModelDescription
from mlflow_uv.payloads.messages.tags import RELEASE_KEY

MODEL = cast("LoggedModelDescription", SimpleNamespace(model_id="m-1"))


def adopted(*versions: tuple[str, dict[str, str]]) -> Adopted:
    """What was found, with versions of these models and tags."""
    found = SimpleNamespace(
        versions=[
            SimpleNamespace(model_id=model_id, tags=tags, version=str(number), name="wine")
            for number, (model_id, tags) in enumerate(versions, start=1)
        ]
    )
    return cast("Adopted", cast("Any", SimpleNamespace(found=found)))


@pytest.mark.parametrize(
    "versions",
    [(), (("m-1", {RELEASE_KEY: "k" * 64}),), (("m-1", {}),), (("m-2", {RELEASE_KEY: "other"}),)],
    ids=["none", "of this release", "of nobody's release", "of another model"],
)
def test_a_model_that_no_other_release_has_is_free(versions: tuple[tuple[str, dict[str, str]], ...]) -> None:
    """
    A version that training registered itself has no key.
    """
    require_free(MODEL, adopted(*versions), "k" * 64)


def test_the_version_of_another_release_is_named_with_both_keys() -> None:
    """
    And with the command that finds the model again.
    """
    with pytest.raises(BadInput) as caught:
        require_free(MODEL, adopted(("m-1", {}), ("m-1", {RELEASE_KEY: "other-release-key"})), "k" * 64)

    assert "model m-1 belongs to another release" == caught.value.what
    assert "version 2 of wine was made from it with the release key other-releas" in caught.value.why
    assert str(caught.value.fix).startswith("mlflow-uv release with the lock and the inputs that it was verified with")
