"""How a blob gets to a registry: in pieces, from where it broke off, or from another repository."""

from collections.abc import Callable, Iterator
from pathlib import Path
from urllib.parse import parse_qs

import pytest

from mlflow_uv.core.image.composition import GZIP_TYPE, Blob
from mlflow_uv.core.image.reference import image_reference
from mlflow_uv.tools.oci.repository import RegistryUnanswered, Repository
from mlflow_uv.tools.oci.uploads import BlobUploads, SentBlobs
from mlflow_uv.tools.system.web import Web
from tests.unit.tools.oci.registryserver import Answer, Asked, FakeRegistry, digest_of, refusal, serving
from tests.unit.tools.oci.test_registries import Hasty

DATA = bytes(range(100))
BLOB = Blob(media_type=GZIP_TYPE, digest=digest_of(DATA), size=len(DATA))
PLACE = "/v2/team/wine/blobs/uploads/7?state=x"


class Uploads:
    """The uploads of a registry: what arrived, and what was asked."""

    def __init__(self) -> None:
        self.arrived = b""
        self.calls: list[str] = []
        self.before: Callable[[Asked], Answer | None] = lambda _: None

    def answer(self, asked: Asked) -> Answer | None:
        method, _, path = asked.call.partition(" ")
        if not path.startswith("/v2/team/wine/blobs/uploads/"):
            return None
        self.calls.append(f"{method} {len(asked.raw)}")
        if (early := self.before(asked)) is not None:
            return early
        match method:
            case "POST":
                self.arrived = b""
                return Answer(202, headers={"Location": PLACE})
            case "PATCH":
                self.arrived += asked.raw
                return self.state(202)
            case "GET":
                return self.state(204)
        body = self.arrived + asked.raw
        if parse_qs(asked.query)["digest"] != [digest_of(body)]:
            return refusal(400, "DIGEST_INVALID")
        return Answer(201)

    def state(self, status: int) -> Answer:
        return Answer(status, headers={"Location": PLACE, "Range": f"0-{max(len(self.arrived) - 1, 0)}"})


@pytest.fixture
def registry() -> Iterator[FakeRegistry]:
    with serving(FakeRegistry()) as made:
        yield made


@pytest.fixture
def uploads(registry: FakeRegistry) -> Uploads:
    made = Uploads()
    registry.rule = made.answer
    return made


def send(registry: FakeRegistry, folder: Path, *, piece: int = 40, source: str = "") -> SentBlobs:
    (folder / "blob").write_bytes(DATA)
    reference = image_reference(f"{registry.host}/team/wine:1")
    repository = Repository(Web({}), Hasty(), reference, None, rights="pull,push")
    sources = {BLOB.digest: source} if source else {}
    return BlobUploads(repository, sources, piece=piece).send({BLOB: folder / "blob"})


def once(answer: Answer, *, method: str, call: int = 1) -> Callable[[Asked], Answer | None]:
    """Answer one request of a method so."""
    left = [call]

    def before(asked: Asked) -> Answer | None:
        if asked.call.startswith(method):
            left[0] -= 1
            return answer if left[0] == 0 else None
        return None

    return before


def test_a_large_blob_is_sent_in_pieces_and_a_small_one_at_once(
    registry: FakeRegistry, uploads: Uploads, tmp_path: Path
) -> None:
    """
    The last request has the digest, which the registry compares.
    """
    assert SentBlobs(sent=100, mounted=0) == send(registry, tmp_path)
    assert ["POST 0", "PATCH 40", "PATCH 40", "PATCH 20", "PUT 0"] == uploads.calls
    uploads.calls.clear()
    send(registry, tmp_path, piece=100)
    assert ["POST 0", "PUT 100"] == uploads.calls


def test_an_upload_goes_on_where_the_registry_says(registry: FakeRegistry, uploads: Uploads, tmp_path: Path) -> None:
    """
    What arrived of a piece that broke off counts; what had arrived is not sent again.
    """

    def lost(asked: Asked) -> Answer | None:
        if asked.call.startswith("PATCH") and len(uploads.arrived) == 40:
            uploads.arrived += asked.raw[:10]
            return Answer(503)
        return None

    uploads.before = lost

    send(registry, tmp_path)

    assert ["POST 0", "PATCH 40", "PATCH 40", "GET 0", "PATCH 40", "PATCH 10", "PUT 0"] == uploads.calls


@pytest.mark.parametrize(
    "state",
    [
        refusal(404, "BLOB_UPLOAD_INVALID"),
        Answer(204),
        Answer(204, headers={"Range": "0-400"}),
        Answer(204, headers={"Range": "7-9"}),
        Answer(204, headers={"Range": "0-0"}),
        Answer(500),
    ],
    ids=["lost", "no range", "more than was sent", "not from the start", "nothing", "busy"],
)
def test_an_upload_that_cannot_go_on_begins_again(
    registry: FakeRegistry, uploads: Uploads, tmp_path: Path, state: Answer
) -> None:
    """
    A registry that does not say how much it has, or says more than was sent, gets everything again.
    """
    broken = once(Answer(503), method="PATCH", call=2)
    uploads.before = lambda asked: state if asked.call.startswith("GET") else broken(asked)

    send(registry, tmp_path)

    assert ["POST 0", "PATCH 40", "PATCH 40", "PUT 0"] == [call for call in uploads.calls[4:] if call != "PATCH 20"]


@pytest.mark.parametrize("status", [400, 404, 405, 413, 416])
@pytest.mark.parametrize("piece", [1, 2])
def test_a_registry_that_takes_no_pieces_gets_the_whole_blob(
    registry: FakeRegistry, uploads: Uploads, tmp_path: Path, status: int, piece: int
) -> None:
    """
    Whatever it answers to the first one, or to the second: some take a single one.
    """
    uploads.before = once(Answer(status), method="PATCH", call=piece)

    send(registry, tmp_path)

    assert ["POST 0", *["PATCH 40"] * piece, "POST 0", "PUT 100"] == uploads.calls


def test_a_blob_that_is_refused_when_all_of_it_arrived_is_not_sent_again(
    registry: FakeRegistry, uploads: Uploads, tmp_path: Path
) -> None:
    """
    It has another digest than its name says.
    """
    uploads.before = once(refusal(400, "DIGEST_INVALID"), method="PUT")

    with pytest.raises(RegistryUnanswered, match="DIGEST_INVALID"):
        send(registry, tmp_path)

    assert ["POST 0", "PATCH 40", "PATCH 40", "PATCH 20", "PUT 0"] == uploads.calls


def test_a_registry_says_how_small_a_piece_may_be(registry: FakeRegistry, uploads: Uploads, tmp_path: Path) -> None:
    """
    OCI-Chunk-Min-Length; a piece of 40 bytes was enough for the first.
    """
    answer = uploads.state

    def state(status: int) -> Answer:
        made = answer(status)
        return Answer(status, headers={**made.headers, "OCI-Chunk-Min-Length": "60"})

    uploads.state = state  # type: ignore[method-assign]  # of the registry in this test

    send(registry, tmp_path)

    assert ["POST 0", "PATCH 40", "PATCH 60", "PUT 0"] == uploads.calls


def test_progress_is_not_an_attempt_and_no_progress_ends(
    registry: FakeRegistry, uploads: Uploads, tmp_path: Path
) -> None:
    """
    Each piece may break off once; one that never arrives is given up after three attempts.
    """
    broken: list[int] = []

    def every_other(asked: Asked) -> Answer | None:
        if asked.call.startswith("PATCH") and len(uploads.arrived) not in broken:
            broken.append(len(uploads.arrived))
            return Answer(503)
        return None

    uploads.before = every_other
    send(registry, tmp_path, piece=10)
    assert 10 == len(broken)
    uploads.calls.clear()
    uploads.before = lambda asked: Answer(503) if asked.call.startswith("PATCH") and uploads.arrived else None

    with pytest.raises(RegistryUnanswered, match="503"):
        send(registry, tmp_path)

    assert 3 == uploads.calls.count("PATCH 40") - 1


@pytest.mark.parametrize(
    ("answer", "sent"),
    [
        (Answer(201), SentBlobs(sent=0, mounted=100)),
        (None, SentBlobs(sent=100, mounted=0)),
        (refusal(404, "NAME_UNKNOWN"), SentBlobs(sent=100, mounted=0)),
        (refusal(403, "DENIED"), SentBlobs(sent=100, mounted=0)),
    ],
    ids=["taken", "not there", "no such repository", "not allowed"],
)
def test_a_blob_of_another_repository_is_taken_from_there(
    registry: FakeRegistry, uploads: Uploads, tmp_path: Path, answer: Answer | None, sent: SentBlobs
) -> None:
    """
    Where the registry gives it; else it is sent.
    """
    queries: list[str] = []

    def mounts(asked: Asked) -> Answer | None:
        if asked.call.startswith("POST") and asked.query:
            queries.append(asked.query)
            return answer
        return None

    uploads.before = mounts

    assert sent == send(registry, tmp_path, source="team/beer")
    asked = ["POST"] if answer == Answer(201) else ["POST", "HEAD"]
    assert asked == [each.call.partition(" ")[0] for each in registry.asked][: len(asked)]
    assert (len(registry.asked) == 1) == (answer == Answer(201))
    assert [{"mount": [BLOB.digest], "from": ["team/beer"]}] == [parse_qs(query) for query in queries]


@pytest.mark.parametrize("answer", [None, refusal(403, "DENIED")], ids=["an upload", "not allowed"])
def test_a_blob_that_is_there_is_not_sent_where_another_repository_does_not_give_it(
    registry: FakeRegistry, uploads: Uploads, tmp_path: Path, answer: Answer | None
) -> None:
    """
    Which repository got a blob last is a hint: the one that it is sent to may have it, too.
    """
    registry.contents[f"blobs/{BLOB.digest}"] = DATA
    uploads.before = lambda asked: answer if asked.query else None

    assert SentBlobs(sent=0, mounted=0) == send(registry, tmp_path, source="team/beer")
    assert [b"", b""] == [asked.raw for asked in registry.asked]


def test_what_is_not_on_this_machine_is_downloaded_only_where_it_is_sent(
    registry: FakeRegistry, uploads: Uploads, tmp_path: Path
) -> None:
    """
    Not for a blob that the repository has, or gets from another one.
    """
    downloaded: list[Path] = []

    def download() -> Path:
        downloaded.append(tmp_path / "blob")
        downloaded[-1].write_bytes(DATA)
        return downloaded[-1]

    def sent(rule: Callable[[Asked], Answer | None], source: str = "") -> SentBlobs:
        uploads.before = rule
        repository = Repository(
            Web({}), Hasty(), image_reference(f"{registry.host}/team/wine:1"), None, rights="pull,push"
        )
        return BlobUploads(repository, {BLOB.digest: source} if source else {}).send({BLOB: download})

    registry.contents[f"blobs/{BLOB.digest}"] = DATA
    there = sent(lambda _asked: None)
    registry.contents.clear()
    mounted = sent(lambda asked: Answer(201) if asked.query else None, "team/beer")
    assert [] == downloaded
    absent = sent(lambda _asked: None)

    assert [SentBlobs(sent=0, mounted=0), SentBlobs(sent=0, mounted=100), SentBlobs(sent=100, mounted=0)] == [
        there, mounted, absent,
    ]  # fmt: skip
    assert [tmp_path / "blob"] == downloaded


def test_no_upload_is_begun_where_all_are_stopped_while_the_registry_is_asked(
    registry: FakeRegistry, uploads: Uploads, tmp_path: Path
) -> None:
    """
    Another blob could not be sent, or the step was cancelled.
    """
    (tmp_path / "blob").write_bytes(DATA)
    reference = image_reference(f"{registry.host}/team/wine:1")
    blob_uploads = BlobUploads(Repository(Web({}), Hasty(), reference, None, rights="pull,push"), {})

    def rule(asked: Asked) -> Answer | None:
        blob_uploads.stop()
        return uploads.answer(asked)

    registry.rule = rule
    sent = blob_uploads.send_one(BLOB, tmp_path / "blob")

    assert (None, []) == (sent, uploads.calls)
