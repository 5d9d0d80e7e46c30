"""A machine that has no layer takes those of an image in the registry, and what somebody planted there is found."""

import json
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath

import pytest

from mlflow_uv.command.report import Severity
from mlflow_uv.core.image.composition import BaseLayers, LayerBlob, composed
from mlflow_uv.core.release.chain import LinkState
from mlflow_uv.core.signing.statement import statements
from mlflow_uv.ops.image.composed import ComposedServingImage
from mlflow_uv.ops.image.composed_platforms import platform_findings
from mlflow_uv.ops.image.composed_push import push_composed
from mlflow_uv.ops.image.composed_release import ReleaseImages, composed_inventory
from mlflow_uv.ops.image.recomposed import from_parts
from mlflow_uv.ops.signing.attestations import BUNDLE_TYPE
from mlflow_uv.tools.layers.archive import LayerFile, write_layer
from mlflow_uv.tools.layers.layer_archives import decompressed, opened_archive
from mlflow_uv.tools.oci.referrers import Attachment
from mlflow_uv.tools.system.content import digests_in
from tests.registries import registry
from tests.sharing import SharedFolder
from tests.signers import make_signers
from tests.unit.core.release.test_record import WHOLE

from .composed import HERE, TinyRelease, push_base, tiny_release


@dataclass(frozen=True, kw_only=True)
class Place:
    """A registry with a base and an image, and the machine that composed and pushed that."""

    host: str
    folder: Path
    opened: ExitStack
    first: TinyRelease
    image: ComposedServingImage

    @property
    def name(self) -> str:
        """The name of the image."""
        return f"{self.host}/cellar/wine:7"

    def machine(self, name: str, variables: Mapping[str, str] | None = None) -> TinyRelease:
        """Another machine, which has nothing."""
        (self.folder / name).mkdir()
        return self.opened.enter_context(tiny_release(self.folder / name, variables=variables))

    def composed(self, tiny: TinyRelease, layers_from: str, *, lists_only: bool = False) -> ReleaseImages:
        """The images on a machine that takes layers of another image."""
        offer = tiny.offer(layers_from, self.name)
        return tiny.compose_all(f"{self.host}/base:1", offer=offer, lists_only=lists_only)


@pytest.fixture
def place(tmp_path: Path, registry_program: str) -> Iterator[Place]:
    """A composed image in a registry."""
    with ExitStack() as opened:
        host = opened.enter_context(registry(tmp_path, registry_program))
        (tmp_path / "first").mkdir()
        first = opened.enter_context(tiny_release(tmp_path / "first"))
        push_base(f"{host}/base:1", tmp_path / "base", first.tools)
        image, _ = first.compose(f"{host}/base:1")
        push_composed(f"{host}/cellar/wine:7", image.image, image.archives, first.tools)
        yield Place(host=host, folder=tmp_path, opened=opened, first=first, image=image)


def planted(place: Place) -> str:
    """An image in another repository, with a layer of packages that steals, under the key of the right one."""
    image = place.image
    (cached,) = image.packages.layers
    plain = place.folder / "planted.tar"
    decompressed(cached.archive, cached.layer.blob, plain, 1 << 30)
    with opened_archive(plain) as tar:
        files = {
            PurePosixPath("/", member.name): LayerFile(data=content.read())
            for member in tar
            if member.isfile() and (content := tar.extractfile(member)) is not None
        }
    (module,) = (path for path in files if path.name.endswith(".pyc"))
    files[module] = LayerFile(data=b"steal()")
    archive = place.folder / "planted.tar.gz"
    made = write_layer(cached.layer.name, files, archive)
    layer = LayerBlob(name=made.name, blob=made.blob, diff_id=made.diff_id, key=cached.layer.key)
    base, _ = place.machine("reader").compose(f"{place.host}/base:1")
    below = len(base.image.blobs) - 1 - base.own_layers
    evil = composed(base_of(base, below), [layer], {})
    archives = {**base.archives, layer.blob.digest: archive}
    name = f"{place.host}/evil/wine:1"
    push_composed(name, evil, archives, place.first.tools)
    return name


def base_of(image: ComposedServingImage, below: int) -> BaseLayers:
    """The base of an image, without the layers on it."""
    config = json.loads(image.image.config)
    config["rootfs"]["diff_ids"] = config["rootfs"]["diff_ids"][:below]
    return BaseLayers(config=config, layers=image.image.blobs[1 : below + 1])


def test_a_machine_without_layers_takes_them_and_computes_the_same_digest(place: Place) -> None:
    """
    Nothing is laid out or compiled; the packages are read from the layers, and audit on a third machine agrees.
    """
    second, third = place.machine("second"), place.machine("third")

    images = place.composed(second, place.name)

    (image,) = images.composed
    assert image.image.digest == place.image.image.digest
    assert ("standard library", 2) == (image.taken[-1], len(image.taken))
    assert f"{place.host}/cellar/wine@{image.image.digest}" == image.taken_from
    assert not (second.tools.host.cache / "layers").exists(), "nothing was made"
    assert composed_inventory(image, images.compositions[0].base) == composed_inventory(
        place.image, images.compositions[0].base
    )
    release = second.with_images(place.name, images)
    link = release.record.image
    assert link is not None
    assert link.composition is not None
    assert image.taken_from == link.composition.layers_from
    (check,) = from_parts(replace(third.release, record=release.record), third.tools).checks
    assert LinkState.HOLDS == check.state, check.reason


def test_an_image_is_composed_and_pushed_from_the_lists_of_layers_alone(place: Place) -> None:
    """
    No layer is downloaded for the same registry; another repository of it gets them there.
    """
    second, other = place.machine("second"), f"{place.host}/cellar/beer:1"

    images = place.composed(second, place.name, lists_only=True)
    (image,) = images.composed
    digests = {push_composed(place.name, images.image, images.contents, second.tools)}
    sources = dict.fromkeys(image.downloads, image.taken_from)
    digests.add(push_composed(other, images.image, images.contents, second.tools, taken=sources))

    assert {place.image.image.digest} == digests
    assert (2, 2) == (len(image.taken), len(image.downloads))
    blobs = second.tools.host.cache / "layers-of-registries" / "blobs"
    assert not blobs.exists(), "no layer was downloaded"
    base = images.compositions[0].base
    assert composed_inventory(image, base) == composed_inventory(place.image, base)
    for download in image.downloads.values():
        assert download().is_file()
    assert sorted(digest.replace(":", "-") for digest in image.downloads) == sorted(
        each.name for each in blobs.iterdir()
    )


def test_a_registry_without_the_layers_gets_those_of_which_only_the_list_was_read(
    place: Place, tmp_path: Path, registry_program: str
) -> None:
    """
    They are downloaded for that.
    """
    (tmp_path / "elsewhere").mkdir()
    elsewhere = place.opened.enter_context(registry(tmp_path / "elsewhere", registry_program))
    second = place.machine("second")

    images = place.composed(second, place.name, lists_only=True)

    name = f"{elsewhere}/cellar/wine:7"
    assert place.image.image.digest == push_composed(name, images.image, images.contents, second.tools)


def test_a_planted_layer_is_found_by_audit_also_on_the_machine_that_took_it(place: Place) -> None:
    """
    It has the key of the right one, and its packages list the same files: only who makes it again sees the difference.
    """
    evil, second = planted(place), place.machine("second")

    images = place.composed(second, evil)
    push_composed(place.name, images.image, images.archives, second.tools)
    release = second.with_images(place.name, images)

    (image,) = images.composed
    assert image.image.digest != place.image.image.digest, "the layer was taken"
    for machine in (second, place.machine("third")):
        (check,) = from_parts(replace(machine.release, record=release.record), machine.tools).checks
        assert LinkState.BROKEN == check.state, check.reason
        assert "it differs in the layer `shared" in check.reason
        assert f"layers of it were taken from {place.host}/evil/wine@sha256:" in check.reason


def test_with_trust_settings_the_image_must_be_signed(place: Place, signed_key: str) -> None:
    """
    A planted layer in an image that nobody signed is not taken; the layers are made, and the digest is the right one.
    """
    evil = planted(place)
    trusting = place.machine("trusting", {"MLFLOW_UV_TRUST": f'policy = "require"\nkeys = ["""{signed_key}"""]'})

    offer = trusting.offer(evil, place.name)
    images = trusting.compose_all(f"{place.host}/base:1", offer=offer)

    (finding,) = offer.findings
    assert ("image-layers-not-taken", Severity.WARNING) == (finding.rule, finding.severity)
    assert "there is no attestation of" in str(finding.why)
    assert place.image.image.digest == images.image.digest
    assert () == images.composed[0].taken


def test_a_digest_that_the_registry_lacks_is_reported_and_the_layers_are_made(place: Place) -> None:
    """
    The image is the same one.
    """
    second = place.machine("second")
    absent = f"{place.host}/cellar/wine@sha256:{'0' * 64}"

    images = place.composed(second, absent)

    found = [each for each in platform_findings(images, loaded=False) if each.rule == "image-layers-not-taken"]
    assert [f"its registry has no such image for {HERE}"] == [each.why for each in found]
    assert absent in found[0].what
    assert (place.image.image.digest, ()) == (images.image.digest, images.composed[0].taken)


@pytest.mark.extended
def test_an_image_that_a_trusted_signer_attested_is_taken_and_no_other_one(place: Place, shared: SharedFolder) -> None:
    """
    The attestation is that of the image's digest: attached to a planted image, it is of another one.
    """
    signers = make_signers(shared)
    evil = planted(place)
    assert WHOLE.image is not None
    record = replace(
        WHOLE,
        model=place.first.release.record.model,
        image=replace(WHOLE.image, kind="image", digest=place.image.image.digest),
    )
    signed = signers.sign(
        signers.private("first"),
        place.first.release.model,
        *statements(record, digests_in(place.first.release.model), ()),
    )
    tools = place.first.tools
    for name in (place.name, evil):
        digest = tools.registries.digest_of_tag(name)
        assert digest is not None
        for bundle in signed.bundles:
            tools.registries.attach(
                name, digest, Attachment(media_type=BUNDLE_TYPE, content=bundle.encode(), annotations={})
            )
    trust = {"MLFLOW_UV_TRUST": f'policy = "require"\nkeys = ["""{signers.text("first.pub")}"""]'}
    machine = place.machine("trusting", trust)

    taken, refused = machine.offer(place.name, place.name), machine.offer(evil, place.name)

    assert [] == [str(finding.why) for finding in taken.findings]
    assert f"{place.host}/cellar/wine@{place.image.image.digest}" == taken.image
    assert "" == refused.image
    assert "was signed with" in str(refused.findings[0].why)


@pytest.fixture
def signed_key() -> str:
    """A public key that has signed nothing."""
    return (
        "-----BEGIN PUBLIC KEY-----\n"
        "MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEEVs/o5+uQbTjL3chynL4wXgUg2R9\n"
        "q9UU8I5mEovUf86QZ7kOBIjJwqnzD1omageEHWwHdBO6B+dFabmdT9POxg==\n"
        "-----END PUBLIC KEY-----"
    )
