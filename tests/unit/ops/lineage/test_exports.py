"""Tests that an exported model is computed again from the store."""

from dataclasses import dataclass, replace
from pathlib import Path
from types import SimpleNamespace
from typing import cast

import pytest

from mlflow_uv.command.errors import StepError, StoreUnreachable, ToolFailed, ToolMissing
from mlflow_uv.core.release.chain import LinkState, merge_checks
from mlflow_uv.core.release.digests import tree_digest
from mlflow_uv.core.release.record import ExportedModel, ExportsLink
from mlflow_uv.ops.lineage.exports import from_exports
from mlflow_uv.ops.lineage.registry_client import RegistryClient
from mlflow_uv.payloads.messages.registry import RegisteredVersion
from mlflow_uv.tools.mlflow.errors import NotInStore
from mlflow_uv.tools.system.content import digests_in
from tests.messages import VERSION
from tests.unit.core.release.test_record import WHOLE

TAG = {"mlflow-uv.export.onnx": "models:/wine-onnx/2"}


@dataclass
class Store:
    """A store with one exported model, registered as version 2 of wine-onnx."""

    content: str = "the model"
    source: str = "m-onnx"
    fails: StepError | None = None

    def download_model(self, model_id: str, destination: Path) -> None:
        """See StoreClient."""
        if self.fails is not None:
            raise self.fails
        destination.mkdir(parents=True)
        (destination / "model.onnx").write_text(self.content)

    def describe_version(self, name: str, version: str) -> RegisteredVersion:
        """See StoreClient."""
        return replace(VERSION, name=name, version=version, model_id=self.source)


def state(store: Store, folder: Path, *, original: str = WHOLE.model.sha256, tags: dict[str, str] = TAG) -> LinkState:
    """The state of the link `exports`, of a record that was written when the store had its first content."""
    Store().download_model("m-onnx", folder / "first")
    exported = ExportedModel(
        format="onnx",
        model_id="m-onnx",
        sha256=tree_digest(digests_in(folder / "first")),
        file_sha256="0" * 64,
        original=original,
        name="wine-onnx",
        version="2",
    )
    record = replace(WHOLE, exports=ExportsLink(models=(exported,)))
    registry = cast("RegistryClient", SimpleNamespace(client=store))
    (link,) = merge_checks(from_exports(record, tags, registry, folder))
    return link.state


def test_an_export_that_is_as_it_was_holds(tmp_path: Path) -> None:
    """
    Its files, its version, the tag of the original, and the model that it was made from.
    """
    assert LinkState.HOLDS is state(Store(), tmp_path)


@pytest.mark.parametrize(
    ("store", "original", "tags"),
    [
        (Store(content="another model"), WHOLE.model.sha256, TAG),
        (Store(source="m-other"), WHOLE.model.sha256, TAG),
        (Store(fails=NotInStore(what="the tracking server has no such object")), WHOLE.model.sha256, TAG),
        (Store(), "f" * 64, TAG),
        (Store(), WHOLE.model.sha256, {"mlflow-uv.export.onnx": "models:/wine-onnx/3"}),
        (Store(), WHOLE.model.sha256, {}),
    ],
    ids=("files", "version", "deleted", "original", "tag", "no tag"),
)
def test_a_plausible_other_export_breaks_the_chain(
    tmp_path: Path, store: Store, original: str, tags: dict[str, str]
) -> None:
    """
    Each part of it is compared.
    """
    assert LinkState.BROKEN is state(store, tmp_path, original=original, tags=tags)


@pytest.mark.parametrize("error", [StoreUnreachable, ToolMissing, ToolFailed])
def test_an_export_that_cannot_be_read_is_unverified(tmp_path: Path, error: type[StepError]) -> None:
    """
    The store does not answer, its client is not installed, or MLflow ended: the model may be there.
    """
    assert LinkState.UNVERIFIED is state(Store(fails=error(what="no response")), tmp_path)


def test_a_version_without_exports_has_no_such_link(tmp_path: Path) -> None:
    """
    Most versions have none.
    """
    bare = replace(WHOLE, exports=None)

    assert [] == list(from_exports(bare, {}, cast("RegistryClient", SimpleNamespace(client=Store())), tmp_path))
