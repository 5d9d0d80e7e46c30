"""An image that is pushed without an engine: what is sent, when the tag moves, and what is sent again."""

from collections.abc import Iterator
from itertools import count
from pathlib import Path, PurePosixPath
from urllib.parse import parse_qs

import pytest

from mlflow_uv.command.errors import ToolFailed
from mlflow_uv.core.image.composition import BaseLayers, ComposedImage, composed
from mlflow_uv.tools.layers.archive import LayerFile, write_layer
from mlflow_uv.tools.oci.logins import Logins
from mlflow_uv.tools.oci.registries import PushedImage, Registries
from mlflow_uv.tools.oci.repository import RegistryUnanswered
from mlflow_uv.tools.system.web import Web
from tests.unit.tools.conftest import FakeRunner
from tests.unit.tools.oci.registryserver import Answer, Asked, FakeRegistry, digest_of, refusal, serving
from tests.unit.tools.oci.test_registries import LABELS, Hasty


@pytest.fixture
def registry() -> Iterator[FakeRegistry]:
    """A registry."""
    with serving(FakeRegistry()) as made:
        yield made


def composed_image(folder: Path) -> tuple[ComposedImage, dict[str, Path]]:
    """An image of two layers, and their archives."""
    layers = [
        write_layer(name, {PurePosixPath("/", name): LayerFile(data=name.encode())}, folder / name)
        for name in ("base", "grape")
    ]
    config = {"os": "linux", "architecture": "amd64", "rootfs": {"type": "layers", "diff_ids": [layers[0].diff_id]}}
    image = composed(BaseLayers(config=config, layers=(layers[0].blob,)), layers[1:], LABELS)
    return image, {layer.blob.digest: folder / layer.name for layer in layers}


def accepting(registry: FakeRegistry, *refusals: Answer) -> None:
    """Let a registry store what is sent to it; the first uploads are answered by `refusals`."""
    left = list(refusals)

    def rule(asked: Asked) -> Answer | None:
        method, _, path = asked.call.partition(" ")
        below = path.partition("/v2/team/wine/")[2]
        if method == "POST":
            return Answer(202, headers={"Location": "/v2/team/wine/blobs/uploads/7?state=x"})
        if method == "PUT" and below == "blobs/uploads/7":
            if left:
                return left.pop(0)
            (digest,) = parse_qs(asked.query)["digest"]
            body = asked.raw
            if digest != digest_of(body):
                return refusal(400, "DIGEST_INVALID")
            registry.contents[f"blobs/{digest}"] = body
            return Answer(201)
        if method == "PUT":
            registry.contents[below] = registry.contents[f"manifests/{digest_of(asked.raw)}"] = asked.raw
            return Answer(201)
        return None

    registry.rule = rule


def push(registry: FakeRegistry, image: ComposedImage, archives: dict[str, Path], clock: Hasty) -> PushedImage:
    registries = Registries(Web({}), Logins(FakeRunner(), variables={}), clock)
    return registries.push(f"{registry.host}/team/wine:7", image, archives)


def test_a_pushed_image_is_there_by_its_digest_and_tag(registry: FakeRegistry, tmp_path: Path) -> None:
    """
    Its blobs first and the tag last, which never names half an image.
    """
    image, archives = composed_image(tmp_path)
    accepting(registry)

    pushed = push(registry, image, archives, Hasty())

    assert PushedImage(digest=image.digest, sent=sum(blob.size for blob in image.blobs)) == pushed
    assert image.manifest == registry.contents["manifests/7"]
    assert {f"blobs/{blob.digest}" for blob in image.blobs} == {name for name in registry.contents if "blobs/" in name}
    puts = [asked.call.rpartition("/")[2] for asked in registry.asked if asked.call.startswith("PUT")]
    assert ["7", "7", "7", "7"] == puts
    assert "manifests/7" in [asked.call for asked in registry.asked if asked.call.startswith("PUT")][-1]


def test_what_the_registry_has_is_not_sent(registry: FakeRegistry, tmp_path: Path) -> None:
    """
    After a change of the model, that layer alone and the configuration.
    """
    image, archives = composed_image(tmp_path)
    registry.contents[f"blobs/{image.blobs[1].digest}"] = archives[image.blobs[1].digest].read_bytes()
    accepting(registry)

    pushed = push(registry, image, archives, Hasty())

    assert image.blobs[0].size + image.blobs[2].size == pushed.sent
    assert 0 == push(registry, image, archives, Hasty()).sent


@pytest.mark.parametrize("status", [429, 503])
def test_a_busy_registry_gets_a_blob_again(registry: FakeRegistry, tmp_path: Path, status: int) -> None:
    """
    From the start, after a while; not for ever.
    """
    image, archives = composed_image(tmp_path)
    clock = Hasty()
    accepting(registry, Answer(status), Answer(status))

    pushed = push(registry, image, archives, clock)

    assert (image.digest, 2) == (pushed.digest, len(clock.waited))
    registry.contents.clear()
    accepting(registry, *[Answer(status)] * 9)
    with pytest.raises(RegistryUnanswered, match=str(status)):
        push(registry, image, archives, Hasty())


@pytest.mark.parametrize(
    ("asked", "waited"),
    [("7", 7), ("100000", 60), ("0", 0.5), ("Fri, 27 Nov 2026 12:00:00 GMT", 0.5), ("-1", 0.5), ("9" * 5000, 0.5)],
    ids=["seconds", "too long", "none", "date", "negative", "no number"],
)
def test_a_registry_says_how_long_it_is_busy(registry: FakeRegistry, tmp_path: Path, asked: str, waited: float) -> None:
    """
    In seconds, and not for ever.
    """
    image, archives = composed_image(tmp_path)
    clock = Hasty()
    accepting(registry, Answer(429, headers={"Retry-After": asked}))

    push(registry, image, archives, clock)

    assert [waited] == clock.waited


@pytest.mark.parametrize("code", ["MANIFEST_BLOB_UNKNOWN", "MANIFEST_INVALID"])
def test_a_manifest_whose_blobs_are_not_found_for_a_moment_is_sent_again(
    registry: FakeRegistry, tmp_path: Path, code: str
) -> None:
    """
    Another client sends the same blobs at that moment; any other refusal is final.
    """
    image, archives = composed_image(tmp_path)
    accepting(registry)
    store, refusals, clock = registry.rule, [refusal(400, code)], Hasty()
    registry.rule = lambda asked: (
        refusals.pop() if refusals and asked.call.startswith("PUT") and "/manifests/" in asked.call else store(asked)
    )

    if code == "MANIFEST_INVALID":
        with pytest.raises(RegistryUnanswered, match=code):
            push(registry, image, archives, clock)
        return
    pushed = push(registry, image, archives, clock)

    assert (image.digest, 1) == (pushed.digest, len(clock.waited))


def test_a_token_that_expires_during_a_push_is_replaced(registry: FakeRegistry, tmp_path: Path) -> None:
    """
    A large layer takes longer than a token is valid. Where every upload is denied, that is said after three attempts.
    """
    image, archives = composed_image(tmp_path)
    tokens = count()
    valid: list[str] = []

    def expiring(uploads: int) -> None:
        accepting(registry, *[Answer(401)] * uploads)
        store = registry.rule

        def rule(asked: Asked) -> Answer | None:
            if asked.call == "GET /token":
                valid[:] = [f"Bearer t{next(tokens)}"]
                return Answer(200, f'{{"token": "{valid[0].removeprefix("Bearer ")}"}}'.encode())
            if asked.authorization not in valid:
                challenge = f'Bearer realm="http://{registry.host}/token",service="x"'
                return refusal(401, "UNAUTHORIZED", WWW_Authenticate=challenge)
            answer = store(asked)
            if answer is not None and answer.status == 401:
                valid.clear()
            return answer

        registry.rule = rule

    expiring(1)
    pushed = push(registry, image, archives, Hasty())
    registry.contents.clear()
    expiring(9)
    with pytest.raises(RegistryUnanswered) as denied:
        push(registry, image, archives, Hasty())

    assert (image.digest, True) == (pushed.digest, denied.value.denied)
    assert 5 <= next(tokens) <= 12


def test_a_layer_that_changed_since_is_not_accepted(registry: FakeRegistry, tmp_path: Path) -> None:
    """
    The registry computes its digest; the tag does not move.
    """
    image, archives = composed_image(tmp_path)
    archive = archives[image.blobs[2].digest]
    archive.write_bytes(bytes(archive.stat().st_size))
    accepting(registry)

    with pytest.raises(RegistryUnanswered, match="DIGEST_INVALID"):
        push(registry, image, archives, Hasty())

    assert "manifests/7" not in registry.contents


@pytest.mark.parametrize("gone", [True, False], ids=["deleted", "torn"])
def test_a_layer_that_is_not_there_any_more_is_an_error_before_anything_is_sent(
    registry: FakeRegistry, tmp_path: Path, gone: bool
) -> None:
    """
    A cache may be emptied between composing and pushing.
    """
    image, archives = composed_image(tmp_path)
    archive = archives[image.blobs[2].digest]
    if gone:
        archive.unlink()
    else:
        archive.write_bytes(archive.read_bytes()[:-1])
    accepting(registry)

    with pytest.raises(ToolFailed, match="was deleted or changed after the image was composed"):
        push(registry, image, archives, Hasty())

    assert [] == registry.asked
