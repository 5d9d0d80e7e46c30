"""Tests documents that are attached to an image, in registries with and without the API for referrers."""

import json
import re
from collections.abc import Iterator

import pytest

from mlflow_uv.core.image.composition import INDEX_TYPE
from mlflow_uv.tools.oci.logins import Logins
from mlflow_uv.tools.oci.referrers import Attachment
from mlflow_uv.tools.oci.registries import Registries
from mlflow_uv.tools.oci.repository import RegistryUnanswered
from mlflow_uv.tools.system.web import Web
from tests.unit.tools.conftest import FakeRunner
from tests.unit.tools.oci.registryserver import Answer, Asked, FakeRegistry, digest_of, refusal, serving
from tests.unit.tools.oci.test_registries import Hasty

TYPE = "application/vnd.dev.sigstore.bundle.v0.3+json"
PATH = "/v2/team/wine/"


class WritableRegistry(FakeRegistry):
    """A registry that keeps what is pushed; with the API it lists the manifests that have a subject."""

    def __init__(self, *, has_api: bool) -> None:
        super().__init__(rule=self.keep)
        self.has_api = has_api
        self.next = ""  # the origin of the next page, empty for the same one
        self.lost = 0  # how many indexes of referrers another client overwrites

    def keep(self, asked: Asked) -> Answer | None:
        """Answer what the fake one does not."""
        method, _, path = asked.call.partition(" ")
        place = path.removeprefix(PATH)
        if method == "POST":
            return Answer(202, headers={"Location": f"{PATH}blobs/uploads/1"})
        if method == "PUT" and place == "blobs/uploads/1":
            self.contents[f"blobs/{digest_of(asked.raw)}"] = asked.raw
            return Answer(201)
        if method == "PUT":
            subject = json.loads(asked.raw).get("subject", {}).get("digest", "")
            for which in (place, f"manifests/{digest_of(asked.raw)}"):
                self.contents[which] = asked.raw
            if self.lost and place.startswith("manifests/sha256-"):
                self.lost -= 1
                self.contents[place] = json.dumps({"manifests": []}).encode()
            return Answer(201, headers={"OCI-Subject": subject} if self.has_api and subject else {})
        if method == "HEAD":
            return Answer(200 if place in self.contents else 404)
        if place.startswith("referrers/"):
            if not self.has_api:
                return Answer(404, b"404 page not found")
            return self._page(place.removeprefix("referrers/"), int(asked.query.partition("=")[2] or 0))
        found = self.contents.get(place)
        return Answer(200, found) if found is not None else refusal(404, "MANIFEST_UNKNOWN")

    def _page(self, subject: str, at: int) -> Answer:
        """Two referrers, from one on, and the address of the next page."""
        listed = self._referrers(subject)
        body = json.dumps({"schemaVersion": 2, "manifests": listed[at : at + 2]}).encode()
        if at + 2 >= len(listed):
            return Answer(200, body)
        return Answer(200, body, headers={"Link": f'<{self.next}{PATH}referrers/{subject}?page={at + 2}>; rel="next"'})

    def _referrers(self, subject: str) -> list[dict[str, object]]:
        bodies = {digest_of(body): body for place, body in self.contents.items() if place.startswith("manifests/")}
        documents = {digest: json.loads(body) for digest, body in bodies.items()}
        return [
            {"digest": digest, "artifactType": body["artifactType"]}
            for digest, body in documents.items()
            if body.get("subject", {}).get("digest") == subject
        ]


@pytest.fixture(params=[True, False], ids=["api", "tag"])
def registry(request: pytest.FixtureRequest) -> Iterator[WritableRegistry]:
    """A registry of each kind."""
    made = WritableRegistry(has_api=request.param)
    with serving(made):
        yield made


def client() -> Registries:
    """A client."""
    return Registries(Web({}), Logins(FakeRunner(), variables={}), Hasty())


def document(text: str) -> Attachment:
    """A document with annotations."""
    return Attachment(media_type=TYPE, content=text.encode(), annotations={"about": text})


def test_what_is_attached_is_found_again(registry: WritableRegistry) -> None:
    """
    Each once, however often it is attached; a document of another type, or of another image, is not among them.
    """
    image, _ = registry.add_image({})
    other, _ = registry.add_image({"another": "image"})
    name = f"{registry.host}/team/wine:1"

    sent = [client().attach(name, image, document(text)) for text in ("one", "two", "one")]
    client().attach(name, image, Attachment(media_type="text/plain", content=b"three", annotations={}))

    assert [True, True, False] == [size > 0 for size in sent]
    assert {b"one", b"two"} == {*client().attached(name, image, TYPE)}
    assert () == client().attached(name, other, TYPE)


def test_a_registry_without_the_api_gets_the_tag_of_the_specification() -> None:
    """
    An index with an entry for each document, which other tools read.
    """
    with serving(WritableRegistry(has_api=False)) as registry:
        image, _ = registry.add_image({})
        client().attach(f"{registry.host}/team/wine:1", image, document("one"))

        index = json.loads(registry.contents[f"manifests/{image.replace(':', '-')}"])

    (entry,) = index["manifests"]
    manifest = json.loads(registry.contents[f"manifests/{entry['digest']}"])
    assert (INDEX_TYPE, TYPE, {"about": "one"}) == (index["mediaType"], entry["artifactType"], entry["annotations"])
    assert (image, TYPE) == (manifest["subject"]["digest"], manifest["artifactType"])


def test_a_document_of_an_image_that_is_not_there_is_not_sent(registry: WritableRegistry) -> None:
    """
    Nothing could refer to it.
    """
    with pytest.raises(RegistryUnanswered, match="the registry has no image"):
        client().attach(f"{registry.host}/team/wine:1", "sha256:" + "0" * 64, document("one"))

    assert not any(re.match("(PUT|POST)", asked.call) for asked in registry.asked)


@pytest.mark.parametrize(
    "entry",
    [{"digest": "../../other/manifests/1"}, {"digest": 1}, "text", {"digest": "sha256:" + "f" * 64}],
)
def test_what_a_hostile_list_names_is_not_followed(registry: WritableRegistry, entry: object) -> None:
    """
    A path is not a digest, and what is not there is no document.
    """
    image, _ = registry.add_image({})
    index = json.dumps({"manifests": [entry]}).encode()
    registry.contents[f"manifests/{image.replace(':', '-')}"] = index

    found = client().attached(f"{registry.host}/team/wine:1", image, TYPE)

    assert () == found
    assert not any("other" in asked.call for asked in registry.asked)


def test_a_document_that_was_replaced_is_not_read(registry: WritableRegistry) -> None:
    """
    It has the digest that its manifest names, or is none.
    """
    image, _ = registry.add_image({})
    name = f"{registry.host}/team/wine:1"
    client().attach(name, image, document("one"))
    registry.contents[f"blobs/{digest_of(b'one')}"] = b"two"

    with pytest.raises(RegistryUnanswered, match="returned other content"):
        client().attached(name, image, TYPE)


@pytest.mark.parametrize("others", [70, 150])
def test_any_number_of_documents_of_other_types_hide_nothing(registry: WritableRegistry, others: int) -> None:
    """
    They are attached before ours, and listed over several pages.
    """
    image, _ = registry.add_image({})
    name = f"{registry.host}/team/wine:1"
    for number in range(others):
        other = Attachment(media_type="text/plain", content=b"%d" % number, annotations={})
        plant(registry, image, other)

    client().attach(name, image, document("one"))

    assert (b"one",) == client().attached(name, image, TYPE)
    assert 0 == client().attach(name, image, document("one"))


def test_the_next_page_is_on_the_same_server() -> None:
    """
    The login is not sent to another one.
    """
    registry = WritableRegistry(has_api=True)
    with serving(registry):
        image, _ = registry.add_image({})
        for number in range(3):
            plant(registry, image, document(str(number)))
        registry.next = "https://elsewhere.test"

        with pytest.raises(RegistryUnanswered, match="at another address"):
            client().attached(f"{registry.host}/team/wine:1", image, TYPE)


def test_an_entry_that_another_client_overwrote_is_listed_again() -> None:
    """
    The specification has no way to add to an index at once; if it is lost each time, that is an error.
    """
    registry = WritableRegistry(has_api=False)
    with serving(registry):
        image, _ = registry.add_image({})
        name = f"{registry.host}/team/wine:1"
        registry.lost = 2

        client().attach(name, image, document("one"))
        found = client().attached(name, image, TYPE)
        registry.lost = 99

        with pytest.raises(RegistryUnanswered, match="does not list what was attached"):
            client().attach(name, image, document("two"))
        assert (b"one",) == found


def plant(registry: WritableRegistry, image: str, attachment: Attachment) -> None:
    """Attach a document as another client did before, which read and wrote the registry itself."""
    manifest = json.dumps(
        {
            "artifactType": attachment.media_type,
            "layers": [{"mediaType": attachment.media_type, "digest": digest_of(attachment.content)}],
            "subject": {"digest": image},
        }
    ).encode()
    registry.contents |= {
        f"manifests/{digest_of(manifest)}": manifest, f"blobs/{digest_of(attachment.content)}": attachment.content,
    }  # fmt: skip
    if not registry.has_api:
        tag = f"manifests/{image.replace(':', '-')}"
        index = json.loads(registry.contents.get(tag, b'{"manifests": []}'))
        index["manifests"].append({"digest": digest_of(manifest), "artifactType": attachment.media_type})
        registry.contents[tag] = json.dumps(index).encode()
