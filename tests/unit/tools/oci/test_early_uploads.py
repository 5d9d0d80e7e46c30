"""Layers are sent while others are made, and the push neither sends them again nor depends on them."""

import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from mlflow_uv.core.image.composition import GZIP_TYPE, Blob
from mlflow_uv.tools.oci.early_uploads import early_uploads
from mlflow_uv.tools.oci.logins import Logins
from mlflow_uv.tools.oci.registries import Registries
from mlflow_uv.tools.oci.uploads import BlobUploads
from mlflow_uv.tools.system.web import Web
from tests.unit.tools.conftest import FakeRunner
from tests.unit.tools.oci.registryserver import Answer, Asked, FakeRegistry, digest_of, refusal, serving
from tests.unit.tools.oci.test_registries import Hasty
from tests.unit.tools.oci.test_repository import accepting, composed_image
from tests.waiting import CEILING_S


@pytest.fixture
def registry() -> Iterator[FakeRegistry]:
    with serving(FakeRegistry()) as made:
        yield made


def registries() -> Registries:
    return Registries(Web({}), Logins(FakeRunner(), variables={}), Hasty())


def uploads(registry: FakeRegistry) -> BlobUploads:
    return registries().uploads(f"{registry.host}/team/wine:7")


def count(registry: FakeRegistry, method: str) -> int:
    """The requests of a method about blobs."""
    return sum(asked.call.startswith(f"{method} /v2/team/wine/blobs/") for asked in registry.asked)


def test_a_layer_that_was_sent_early_is_neither_asked_for_nor_sent_again(
    registry: FakeRegistry, tmp_path: Path
) -> None:
    """
    It counts as sent; another layer that was sent early, and is not in the image, does not.
    """
    image, archives = composed_image(tmp_path)
    _, lower, upper = image.blobs
    (tmp_path / "other").write_bytes(b"other")
    other = Blob(media_type=GZIP_TYPE, digest=digest_of(b"other"), size=5)
    accepting(registry)

    with early_uploads(uploads(registry)) as early:
        for blob, archive in ((lower, archives[lower.digest]), (other, tmp_path / "other")):
            early.add(blob, archive)
            early.add(blob, archive)
        assert {lower, other} == {*early.sent()}
        before = [count(registry, method) for method in ("HEAD", "PUT")]
        pushed = registries().push(f"{registry.host}/team/wine:7", image, archives, early=early)

    assert [2, 2] == before
    assert [4, 4] == [count(registry, method) for method in ("HEAD", "PUT")], "the configuration and one layer"
    assert sum(blob.size for blob in (image.blobs[0], lower, upper)) == pushed.sent
    assert image.manifest == registry.contents["manifests/7"]


def test_what_cannot_be_sent_early_is_left_to_the_push(registry: FakeRegistry, tmp_path: Path) -> None:
    """
    Whose errors and attempts are the same as without.
    """
    image, archives = composed_image(tmp_path)
    accepting(registry, refusal(403, "DENIED"))

    with early_uploads(uploads(registry)) as early:
        early.add(image.blobs[1], archives[image.blobs[1].digest])
        assert {} == early.sent()
        pushed = registries().push(f"{registry.host}/team/wine:7", image, archives, early=early)

    assert sum(blob.size for blob in image.blobs) == pushed.sent
    assert image.manifest == registry.contents["manifests/7"]


def test_nothing_is_sent_after_the_end(registry: FakeRegistry, tmp_path: Path) -> None:
    """
    Nobody waits for a registry that does not respond, and what it responds later begins nothing.
    """
    image, archives = composed_image(tmp_path)
    asked, goes_on = threading.Event(), threading.Event()
    accepting(registry)
    store = registry.rule

    def rule(request: Asked) -> Answer | None:
        if request.call.startswith("HEAD"):
            asked.set()
            goes_on.wait(2 * CEILING_S)
        return store(request)

    registry.rule = rule
    with early_uploads(uploads(registry)) as early:
        early.add(image.blobs[1], archives[image.blobs[1].digest])
        asked.wait(CEILING_S)
    waiting = threading.Thread(target=early.sent, daemon=True)
    waiting.start()
    waiting.join(CEILING_S)
    waits = waiting.is_alive()
    goes_on.set()

    assert not waits
    assert {} == early.sent()
    assert [0, 0] == [count(registry, method) for method in ("POST", "PUT")]


def test_a_layer_that_is_made_after_the_end_is_not_sent(registry: FakeRegistry, tmp_path: Path) -> None:
    """
    Of a cancelled step, one is still in work; that is no error in its thread.
    """
    image, archives = composed_image(tmp_path)
    accepting(registry)

    with early_uploads(uploads(registry)) as early:
        pass
    early.add(image.blobs[1], archives[image.blobs[1].digest])

    assert {} == early.sent()
    assert [] == registry.asked
