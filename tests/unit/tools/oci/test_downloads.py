"""Blobs are downloaded several at once, and end together."""

import threading
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import cast

import pytest

from mlflow_uv.core.image.composition import GZIP_TYPE, Blob, LayerList
from mlflow_uv.core.image.reference import image_reference
from mlflow_uv.tools.oci.downloads import BlobDownloads
from mlflow_uv.tools.oci.logins import Login
from mlflow_uv.tools.oci.repository import RegistryUnanswered, Repository
from mlflow_uv.tools.system.web import Web
from tests.unit.tools.oci.registryserver import Answer, Asked, FakeRegistry, digest_of, refusal, serving
from tests.unit.tools.oci.test_registries import Hasty
from tests.waiting import CEILING_S


class Slow:
    """A repository: one blob is refused, and each other one arrives when it is told to stop."""

    def __init__(self, refused: str) -> None:
        self.refused = refused
        self.started = threading.Barrier(2, timeout=CEILING_S)
        self.stopped: list[str] = []

    def download(self, blob: Blob, target: Path, *, stop: Callable[[], bool]) -> None:
        self.started.wait()
        if blob.digest == self.refused:
            raise RegistryUnanswered("refused")
        while not stop():
            threading.Event().wait(0.001)
        self.stopped.append(blob.digest)
        raise RegistryUnanswered("stopped")


def test_where_one_fails_the_others_end(tmp_path: Path) -> None:
    """
    They are of no use without it; the error is that of the one that failed.
    """
    repository = Slow("sha256:2")
    blobs = [Blob(media_type=GZIP_TYPE, digest=f"sha256:{number}", size=1) for number in (1, 2)]

    with pytest.raises(RegistryUnanswered, match="refused"):
        BlobDownloads(cast("Repository", repository), threading.Event()).fetch(
            {blob: tmp_path / blob.digest for blob in blobs}
        )

    assert ["sha256:1"] == repository.stopped


def test_downloads_that_are_cancelled_end(tmp_path: Path) -> None:
    """
    Whoever waits for them in another thread is not interrupted by a signal.
    """
    repository, cancelled = Slow("none"), threading.Event()
    blobs = [Blob(media_type=GZIP_TYPE, digest=f"sha256:{number}", size=1) for number in (1, 2)]
    cancelled.set()

    with pytest.raises(RegistryUnanswered, match="stopped"):
        BlobDownloads(cast("Repository", repository), cancelled).fetch({b: tmp_path / b.digest for b in blobs})

    assert ["sha256:1", "sha256:2"] == sorted(repository.stopped)


@pytest.mark.parametrize(
    ("answer", "returned"),
    [
        (Answer(206, b"list"), b"list"),
        (Answer(206, b"liar"), None),
        (Answer(200, b"list"), None),
        (Answer(200, b"blob with a list"), None),
        (Answer(416), None),
    ],
    ids=["the end", "other content", "the end as a whole", "all of it", "no ranges"],
)
def test_the_end_of_a_blob_is_what_its_digest_says(answer: Answer, returned: bytes | None) -> None:
    """
    Nothing else is returned, and no more is read.
    """
    blob, end = Blob(media_type=GZIP_TYPE, digest="sha256:1", size=16), LayerList(digest=digest_of(b"list"), size=4)
    with serving(FakeRegistry(rule=lambda _asked: answer)) as registry:
        reference = image_reference(f"{registry.host}/team/wine:1")
        downloads = BlobDownloads(Repository(Web({}), Hasty(), reference, None), threading.Event())

        if returned is None:
            with pytest.raises(RegistryUnanswered):
                downloads.ends({blob: end})
        else:
            assert {blob: returned} == downloads.ends({blob: end})


def _next(answers: list[Answer], _asked: Asked) -> Answer:
    return answers.pop()


@pytest.mark.parametrize(
    "first",
    [
        refusal(401, "UNAUTHORIZED", WWW_Authenticate='Basic realm="cellar"'),
        Answer(307, b"x" * 1000, {"Location": "/v2/team/wine/blobs/there"}),
        Answer(503, b"x" * 1000),
    ],
    ids=["a challenge", "a redirect", "a busy registry"],
)
def test_a_small_blob_or_end_is_returned_after_a_longer_answer(first: Answer, tmp_path: Path) -> None:
    """
    What a registry says before it gives the content is not limited by the size of that.
    """
    blob = Blob(media_type=GZIP_TYPE, digest=digest_of(b"list"), size=4)
    end = LayerList(digest=digest_of(b"st"), size=2)
    for wanted in ("end", "blob"):
        answers = [Answer(206, b"st") if wanted == "end" else Answer(200, b"list"), first]
        with serving(FakeRegistry(rule=partial(_next, answers))) as registry:
            reference = image_reference(f"{registry.host}/team/wine:1")
            repository = Repository(Web({}), Hasty(), reference, Login(user="alice", password="corked-bottle"))
            downloads = BlobDownloads(repository, threading.Event())

            if wanted == "end":
                assert {blob: b"st"} == downloads.ends({blob: end})
            else:
                downloads.fetch({blob: tmp_path / "blob"})
                assert b"list" == (tmp_path / "blob").read_bytes()
