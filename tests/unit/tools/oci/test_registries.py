"""What a registry is asked, what it is believed, and what it never gets."""

import base64
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from urllib.parse import parse_qs

import pytest

from mlflow_uv.command.errors import NoSpace
from mlflow_uv.core.image.composition import GZIP_TYPE
from mlflow_uv.tools.oci.logins import Logins
from mlflow_uv.tools.oci.registries import Published, Registries, RegistryImage
from mlflow_uv.tools.oci.repository import PublishedImage, RegistryUnanswered
from mlflow_uv.tools.system.web import Web, WebReply, WebRequest
from tests.unit.tools.conftest import FakeRunner
from tests.unit.tools.oci.registryserver import Answer, Asked, FakeRegistry, digest_of, refusal, serving

LABELS = {"mlflow-uv.model-sha256": "30de1"}
PASSWORD = "corked-bottle"  # a canary


class Hasty:
    """A clock on which nobody waits."""

    def __init__(self) -> None:
        self.waited: list[float] = []

    def now_s(self) -> float:
        return 0.0

    def date_s(self) -> float:
        return 0.0

    def wait(self, seconds: float) -> None:
        self.waited.append(seconds)


@pytest.fixture
def registry() -> Iterator[FakeRegistry]:
    """A registry."""
    with serving(FakeRegistry()) as made:
        yield made


@pytest.fixture
def elsewhere() -> Iterator[FakeRegistry]:
    """Another server."""
    with serving(FakeRegistry()) as made:
        yield made


def ask(registry: FakeRegistry, digest: str, *, tag: str = "1", login: Path | None = None) -> Published:
    """Ask for an image of it, logged in where there is a HOME to log in from."""
    if login is not None:
        (login / ".docker").mkdir(exist_ok=True)
        pair = base64.b64encode(f"alice:{PASSWORD}".encode()).decode()
        (login / ".docker" / "config.json").write_text(json.dumps({"auths": {registry.host: {"auth": pair}}}))
    variables = {"HOME": str(login)} if login is not None else {}
    registries = Registries(Web(variables), Logins(FakeRunner(), variables=variables), Hasty())
    return registries.published(f"{registry.host}/team/wine:{tag}", digest)


def test_an_image_is_found_with_its_ids_and_labels(registry: FakeRegistry) -> None:
    """
    One manifest and one configuration are asked for, each compared with its digest.
    """
    digest, config = registry.add_image(LABELS, tag="1")

    found = ask(registry, digest)

    image = PublishedImage(ids=frozenset({digest, config}), labels=(LABELS,))
    assert Published(tagged=digest, image=image) == found
    assert 2 == len(registry.asked)


def test_an_index_is_all_of_its_images(registry: FakeRegistry) -> None:
    """
    Of several platforms each has its labels, and each may be the one that the engine here calls by its id.
    """
    images = [registry.add_image(LABELS, more={"architecture": name}) for name in ("amd64", "arm64")]
    index = registry.add("manifests", {"manifests": [{"digest": digest} for digest, _ in images]}, tag="1")

    found = ask(registry, index)

    ids = frozenset({index, *(digest for pair in images for digest in pair)})
    assert Published(tagged=index, image=PublishedImage(ids=ids, labels=(LABELS, LABELS))) == found


def test_a_tag_that_names_another_image_is_told_apart(registry: FakeRegistry) -> None:
    """
    What was pushed is still there by its digest; who says the tag gets something else.
    """
    digest, config = registry.add_image(LABELS)
    other, _ = registry.add_image({"mlflow-uv.model-sha256": "other"}, tag="1")

    found = ask(registry, digest)

    assert (other, frozenset({digest, config})) == (found.tagged, found.image and found.image.ids)


def test_what_is_gone_is_gone(registry: FakeRegistry) -> None:
    """
    A registry that knows neither tag nor digest says so; that is an answer.
    """
    assert Published(tagged=None, image=None) == ask(registry, digest_of(b"gone"))


def test_bytes_that_are_not_the_digest_are_not_believed(registry: FakeRegistry) -> None:
    """
    A registry, or who stands between, cannot give another image or other labels for the one that was asked for.
    """
    digest, config = registry.add_image(LABELS)
    registry.contents[f"blobs/{config}"] = b'{"config": {"Labels": {"mlflow-uv.model-sha256": "forged"}}}'

    with pytest.raises(RegistryUnanswered, match="returned other content than sha256:"):
        ask(registry, digest)


def bearer(registry: FakeRegistry, service: FakeRegistry, *, open_to: str = "") -> None:
    """Let a registry ask for a token of a service, which gives one to everybody, or to one Authorization."""

    def registry_rule(asked: Asked) -> Answer | None:
        if asked.authorization == "Bearer t0ken":
            return None
        challenge = (
            f'Bearer realm="http://{service.host}/token",service="wine cellar",scope="repository:team/wine:push"'
        )
        return refusal(401, "UNAUTHORIZED", WWW_Authenticate=challenge)

    def service_rule(asked: Asked) -> Answer:
        given = open_to in asked.authorization
        return Answer(200, b'{"token": "t0ken"}') if given else refusal(401, "DENIED")

    registry.rule, service.rule = registry_rule, service_rule


def test_a_token_is_fetched_for_reading_and_nothing_more(registry: FakeRegistry, elsewhere: FakeRegistry) -> None:
    """
    A public image is read as anybody; whatever right the challenge names, only that of reading is asked for.
    """
    digest, config = registry.add_image(LABELS, tag="1")
    bearer(registry, elsewhere)

    found = ask(registry, digest)

    (asked,) = elsewhere.asked
    assert frozenset({digest, config}) == (found.image and found.image.ids)
    assert {"service": ["wine cellar"], "scope": ["repository:team/wine:pull"]} == parse_qs(asked.query)
    assert "" == asked.authorization


def test_a_login_goes_to_the_token_service(registry: FakeRegistry, elsewhere: FakeRegistry, tmp_path: Path) -> None:
    """
    The registry itself gets the token alone.
    """
    digest, _ = registry.add_image(LABELS, tag="1")
    bearer(registry, elsewhere, open_to=base64.b64encode(f"alice:{PASSWORD}".encode()).decode())

    found = ask(registry, digest, login=tmp_path)

    assert digest == found.tagged
    assert {"", "Bearer t0ken"} == {asked.authorization for asked in registry.asked}


def test_an_identity_token_is_exchanged(registry: FakeRegistry, elsewhere: FakeRegistry, tmp_path: Path) -> None:
    """
    What some clouds keep in place of a password is posted, never part of an address.
    """
    digest, _ = registry.add_image(LABELS, tag="1")
    bearer(registry, elsewhere)
    (tmp_path / ".docker").mkdir()
    auths = {registry.host: {"identitytoken": PASSWORD}}
    (tmp_path / ".docker" / "config.json").write_text(json.dumps({"auths": auths}))

    ask_as = {"HOME": str(tmp_path)}
    Registries(Web(ask_as), Logins(FakeRunner(), variables=ask_as), Hasty()).published(
        f"{registry.host}/team/wine:1", digest
    )

    (asked,) = elsewhere.asked
    sent = parse_qs(asked.body)
    assert ("POST /token", ["refresh_token"], [PASSWORD]) == (asked.call, sent["grant_type"], sent["refresh_token"])
    assert (False, ["repository:team/wine:pull"]) == (PASSWORD in asked.query, sent["scope"])


def test_a_registry_that_asks_for_a_password_gets_it(registry: FakeRegistry, tmp_path: Path) -> None:
    """
    Basic, as a registry behind a simple file of users has it.
    """
    digest, _ = registry.add_image(LABELS, tag="1")
    pair = base64.b64encode(f"alice:{PASSWORD}".encode()).decode()
    registry.rule = lambda asked: (
        None
        if asked.authorization == f"Basic {pair}"
        else refusal(401, "UNAUTHORIZED", WWW_Authenticate="Basic realm=x")
    )

    assert digest == ask(registry, digest, login=tmp_path).tagged


def test_a_redirect_to_another_server_takes_no_credentials(
    registry: FakeRegistry, elsewhere: FakeRegistry, tmp_path: Path
) -> None:
    """
    Registries send for blobs to a storage; that one gets no token and no password.
    """
    digest, config = registry.add_image(LABELS, tag="1")
    elsewhere.contents["stored"] = registry.contents[f"blobs/{config}"]
    elsewhere.rule = lambda _asked: Answer(200, elsewhere.contents["stored"])
    pair = base64.b64encode(f"alice:{PASSWORD}".encode()).decode()

    def rule(asked: Asked) -> Answer | None:
        if asked.authorization != f"Basic {pair}":
            return refusal(401, "UNAUTHORIZED", WWW_Authenticate="Basic realm=x")
        if "blobs" in asked.call:
            return Answer(307, headers={"Location": f"http://{elsewhere.host}/stored"})
        return None

    registry.rule = rule

    found = ask(registry, digest, login=tmp_path)

    assert (LABELS,) == (found.image and found.image.labels)
    assert [""] == [asked.authorization for asked in elsewhere.asked]


@pytest.mark.parametrize(
    ("status", "code", "denied"),
    [(401, "UNAUTHORIZED", True), (403, "DENIED", True), (404, "NAME_UNKNOWN", True), (400, "UNSUPPORTED", False)],
)
def test_a_refusal_is_told_in_its_code_alone(registry: FakeRegistry, status: int, code: str, denied: bool) -> None:
    """
    A registry hides what one may not see; its own words are not repeated.
    """
    registry.rule = lambda _asked: refusal(status, code)

    with pytest.raises(RegistryUnanswered) as caught:
        ask(registry, digest_of(b""))

    told = f"{registry.host} does not return team/wine ({status}, {code}, without a login)"
    assert (told, denied) == (str(caught.value), caught.value.denied)


def test_a_registry_that_is_busy_is_asked_again(registry: FakeRegistry) -> None:
    """
    One that has had a bad moment is not one that does not answer.
    """
    digest, _ = registry.add_image(LABELS, tag="1")
    moods = [Answer(503), refusal(429, "TOOMANYREQUESTS")]
    registry.rule = lambda _asked: moods.pop() if moods else None

    assert digest == ask(registry, digest).tagged


@pytest.mark.parametrize(
    ("answer", "told"),
    [
        (Answer(200, b"x" * (5 << 20)), "the response is larger than 4194304 bytes"),
        (Answer(200, b"<html>"), "is not an image: it is not JSON"),
        (Answer(302, headers={"Location": "http://metadata.example/"}), "is not contacted without encryption"),
        (Answer(302, headers={"Location": "file:///etc/passwd"}), "is not contacted without encryption"),
        (Answer(302, headers={"Location": "/v2/again"}), "redirects in a loop"),
    ],
    ids=["endless", "a page", "plain", "a file", "a loop"],
)
def test_what_is_no_registry_is_not_followed(registry: FakeRegistry, answer: Answer, told: str) -> None:
    """
    Neither to a server that is asked without encryption, nor to a file of this machine, nor for ever.
    """
    registry.rule = lambda _asked: answer

    with pytest.raises(RegistryUnanswered, match=told):
        ask(registry, digest_of(answer.body))


def test_nobody_there_is_said() -> None:
    """
    A host that does not answer is no answer about the image.
    """
    registries = Registries(Web({}), Logins(FakeRunner(), variables={}), clock := Hasty())

    with pytest.raises(RegistryUnanswered, match=r"127\.0\.0\.1 does not answer: ") as caught:
        registries.published("127.0.0.1:9/team/wine:1", digest_of(b""))

    assert (False, [0.5, 2.0]) == (caught.value.denied, clock.waited)


class FarAway(Web):
    """A web that answers everything with one reply, and keeps what it was asked."""

    def __init__(self, reply: WebReply) -> None:
        super().__init__({})
        self.reply = reply
        self.asked: list[str] = []

    def send(self, request: WebRequest) -> WebReply:
        self.asked.append(request.url)
        return self.reply


@pytest.mark.parametrize("realm", ["http://127.0.0.1:1/token", "http://auth.example/token", "file:///etc/passwd", ""])
def test_a_login_is_never_sent_without_encryption(realm: str) -> None:
    """
    A registry on the network does not lead to a service that is asked in the clear, not even on this machine.
    """
    headers = {"www-authenticate": f'Bearer realm="{realm}",service="x"'}
    web = FarAway(WebReply(status=401, headers=headers, body=b""))
    registries = Registries(web, Logins(FakeRunner(), variables={}), Hasty())

    with pytest.raises(RegistryUnanswered, match="requests credentials over an unencrypted connection"):
        registries.published("wine:1", digest_of(b""))

    assert ["https://registry-1.docker.io/v2/library/wine/manifests/1"] == web.asked


def test_an_upload_at_another_host_gets_no_authorization(
    registry: FakeRegistry, elsewhere: FakeRegistry, tmp_path: Path
) -> None:
    """
    It is cancelled without the login of the registry that named it.
    """
    pair = base64.b64encode(f"alice:{PASSWORD}".encode()).decode()
    (tmp_path / ".docker").mkdir()
    (tmp_path / ".docker" / "config.json").write_text(json.dumps({"auths": {registry.host: {"auth": pair}}}))
    place = f"http://{elsewhere.host}/upload"

    def rule(asked: Asked) -> Answer:
        if asked.authorization == f"Basic {pair}":
            return Answer(202, headers={"Location": place})
        return refusal(401, "UNAUTHORIZED", www_authenticate='Basic realm="x"')

    registry.rule = rule
    variables = {"HOME": str(tmp_path)}
    registries = Registries(Web(variables), Logins(FakeRunner(), variables=variables), Hasty())

    registries.require_push(f"{registry.host}/team/wine:1")

    assert [("DELETE /upload", "")] == [(asked.call, asked.authorization) for asked in elsewhere.asked]


def with_layer(registry: FakeRegistry, layer: bytes = b"layer") -> tuple[str, str]:
    """Put an index with an image of one layer there; the digests of index and layer."""
    blob = registry.add("blobs", layer)
    config = registry.add("blobs", {"os": "linux", "architecture": "amd64"})
    described = {"mediaType": GZIP_TYPE, "digest": blob, "size": len(layer)}
    manifest = registry.add("manifests", {"config": {"digest": config}, "layers": [described]})
    entry = {"digest": manifest, "platform": {"os": "linux", "architecture": "amd64"}}
    return registry.add("manifests", {"manifests": [entry]}, tag="1"), blob


def pull(registry: FakeRegistry, folder: Path, name: str = "1", architecture: str = "amd64") -> RegistryImage | None:
    """Pull an image by its tag, or its digest."""
    sign = "@" if name.startswith("sha256:") else ":"
    registries = Registries(Web({}), Logins(FakeRunner(), variables={}), Hasty())
    return registries.pull(f"{registry.host}/team/wine{sign}{name}", architecture, folder)


def test_a_base_is_downloaded_once_and_known_by_the_digest_of_its_index(registry: FakeRegistry, tmp_path: Path) -> None:
    """
    By tag and by digest it is the same; a layer that is here is not downloaded again.
    """
    index, blob = with_layer(registry)

    pulled, again = pull(registry, tmp_path), pull(registry, tmp_path, index)

    assert pulled is not None
    assert pulled == again
    assert (index, b"layer") == (pulled.digest, pulled.archives[blob].read_bytes())
    assert b"linux" in pulled.image.config
    assert 1 == sum(asked.call.endswith(blob) for asked in registry.asked)


def test_a_pull_that_is_cancelled_brings_no_layer(registry: FakeRegistry, tmp_path: Path) -> None:
    """
    What has arrived of it is removed.
    """
    with_layer(registry)
    registries = Registries(Web({}), Logins(FakeRunner(), variables={}), Hasty())
    registries.cancel()

    with pytest.raises(RegistryUnanswered, match="the download was stopped"):
        registries.pull(f"{registry.host}/team/wine:1", "amd64", tmp_path)

    assert [] == list(tmp_path.iterdir())


def test_a_cached_layer_that_was_changed_is_downloaded_again(registry: FakeRegistry, tmp_path: Path) -> None:
    """
    Also if its size is the same.
    """
    _, blob = with_layer(registry)
    pulled = pull(registry, tmp_path)
    assert pulled is not None
    pulled.archives[blob].write_bytes(b"LAYER")

    pull(registry, tmp_path)

    assert b"layer" == pulled.archives[blob].read_bytes()


def test_an_image_for_another_architecture_is_none(registry: FakeRegistry, tmp_path: Path) -> None:
    """
    As is a tag that does not exist.
    """
    with_layer(registry)

    assert [None, None] == [pull(registry, tmp_path, architecture="arm64"), pull(registry, tmp_path, "2")]


def test_a_layer_whose_download_is_cut_off_is_downloaded_again(registry: FakeRegistry, tmp_path: Path) -> None:
    """
    The connection ends before the layer does; that is no other content.
    """
    _, blob = with_layer(registry)
    moods = [Answer(200, b"la", {"Length": "5"})] * 2
    registry.rule = lambda asked: moods.pop() if asked.call.endswith(blob) and moods else None

    pulled = pull(registry, tmp_path)

    assert pulled is not None
    assert b"layer" == pulled.archives[blob].read_bytes()
    moods += [Answer(200, b"la", {"Length": "5"})] * 9
    pulled.archives[blob].unlink()
    with pytest.raises(RegistryUnanswered, match="closed the connection in the middle"):
        pull(registry, tmp_path)
    assert [] == list(tmp_path.iterdir())


def test_a_full_disk_is_not_the_registry_that_does_not_answer(
    registry: FakeRegistry, disk: Callable[[str], Path]
) -> None:
    """
    It is named with its place, and nothing is taken from elsewhere instead.
    """
    with_layer(registry, bytes(1 << 20))
    volume = disk("256k")

    with pytest.raises(NoSpace, match="the download cannot be written") as full:
        pull(registry, volume)

    assert str(volume) in full.value.why
    assert [] == list(volume.iterdir())


@pytest.mark.parametrize("answered", [b"other", b"more than the layer has", b""], ids=["other", "more", "less"])
def test_a_layer_of_other_content_is_refused_and_not_kept(
    registry: FakeRegistry, tmp_path: Path, answered: bytes
) -> None:
    """
    Nothing is left that a later call could take.
    """
    _, blob = with_layer(registry)
    registry.contents[f"blobs/{blob}"] = answered

    with pytest.raises(RegistryUnanswered, match=r"other content|larger than"):
        pull(registry, tmp_path)

    assert [] == list(tmp_path.iterdir())
