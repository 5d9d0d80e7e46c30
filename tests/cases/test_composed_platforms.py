"""Images for several platforms are composed on one machine, pushed as one index, and composed again by an audit."""

import json
import subprocess
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from mlflow_uv.command.errors import BadInput, ToolFailed
from mlflow_uv.core.image.composition import ImageIndex, indexed
from mlflow_uv.core.model.model_files import LOCK
from mlflow_uv.core.release.chain import LinkState
from mlflow_uv.ops.image.composed_base import wanted_bases
from mlflow_uv.ops.image.composed_platforms import require_kept, require_layers
from mlflow_uv.ops.image.composed_push import push_composed
from mlflow_uv.ops.image.composed_release import ReleaseImages
from mlflow_uv.ops.image.recomposed import from_parts
from tests.image_layouts import write_layout
from tests.registries import digest_in, platforms_in, registry

from .composed import ARCHITECTURES, HERE, TinyRelease, push_base, push_bases, tiny_release

BOTH = ("linux/arm64", "linux/amd64")
OTHER = next(name for name in ARCHITECTURES.values() if name != HERE)
HASH = f"sha256:{'0' * 64}"


@pytest.fixture
def host(tmp_path: Path, registry_program: str) -> Iterator[str]:
    with registry(tmp_path, registry_program) as address:
        yield address


@pytest.fixture
def tiny(tmp_path: Path, host: str) -> Iterator[TinyRelease]:
    """A release, on a registry that has a base for two architectures."""
    (tmp_path / "one").mkdir()
    with tiny_release(tmp_path / "one") as made:
        push_bases(f"{host}/base:1", tmp_path / "base", made.tools)
        yield made


def state_of(tiny: TinyRelease, name: str, images: ReleaseImages, index: ImageIndex) -> tuple[LinkState, str]:
    """What an audit finds of a record that names an index."""
    release = tiny.with_images(name, images)
    link = release.record.image
    assert link is not None
    release = replace(release, record=replace(release.record, image=replace(link, digest=index.digest)))
    (check,) = from_parts(release, tiny.tools).checks
    return check.state, check.reason


def test_one_index_has_an_image_for_each_platform_and_audit_computes_it(
    tiny: TinyRelease, host: str, tmp_path: Path
) -> None:
    """
    In whatever order they are given. The audit refuses an index with one image less, or with a swapped one.
    """
    name = f"{host}/cellar/wine:7"
    images = tiny.compose_all(f"{host}/base:1", *BOTH)
    index = images.image
    assert isinstance(index, ImageIndex)
    require_layers(images, tiny.release.record, tiny.needs, loaded=False)
    write_layout(tmp_path / "layout", index, images.archives, tag="7")

    pushed = push_composed(name, index, images.archives, tiny.tools)

    assert [index.digest] * 2 == [pushed, digest_in(host, "cellar/wine", "7")[1]]
    assert {f"linux/{each.architecture}": each.digest for each in index.images} == platforms_in(
        host, "cellar/wine", "7"
    )
    assert HERE == images.composed[images.shown].image.architecture
    assert LinkState.HOLDS == state_of(tiny, name, images, index)[0]
    listed = subprocess.run(
        ("skopeo", "inspect", "--raw", f"oci:{tmp_path / 'layout'}:7"), capture_output=True, check=True
    )
    assert index.document == listed.stdout
    noted = replace(index, document=json.dumps({**json.loads(index.document), "annotations": {}}).encode())
    fewer = indexed(index.images[:1])
    swapped = indexed([index.images[0], replace(index.images[1], manifest=index.images[1].manifest + b"\n")])
    for other in (noted, fewer, swapped):
        push_composed(name, other, images.archives, tiny.tools)
    found = [state_of(tiny, name, images, other) for other in (noted, fewer, swapped)]
    assert [LinkState.BROKEN] * 3 == [state for state, _ in found]
    assert found[0][1].endswith("it differs in the list of its platforms")
    assert "no registry returns the image for arm64" in found[1][1]


def test_the_order_of_platforms_does_not_change_the_digest(tiny: TinyRelease, host: str, tmp_path: Path) -> None:
    """
    Nor does another machine.
    """
    images = tiny.compose_all(f"{host}/base:1", *BOTH)
    (tmp_path / "two").mkdir()
    with tiny_release(tmp_path / "two") as other:
        again = other.compose_all(f"{host}/base:1", *reversed(BOTH))

    assert images.image.digest == again.image.digest
    assert 2 == len({each.image.digest for each in images.composed})


def test_a_package_without_a_wheel_for_one_platform_is_named_before_anything_is_composed(
    tiny: TinyRelease, host: str
) -> None:
    """
    With the platform, and the way it came in; its source distribution would be built for this machine's platform.
    """
    machine = next(name for name, architecture in ARCHITECTURES.items() if architecture == HERE)
    wheel = f'{{ url = "https://example.invalid/plum-1-py3-none-manylinux_2_17_{machine}.whl", hash = "{HASH}" }}'
    lock = tiny.release.model / LOCK
    package = (
        '[[package]]\nname = "plum"\nversion = "1"\nsource = { registry = "https://example.invalid/simple" }\n'
        f'sdist = {{ url = "https://example.invalid/plum-1.tar.gz", hash = "{HASH}" }}\nwheels = [{wheel}]\n'
    )
    lock.write_text(f'{lock.read_text()}dependencies = [{{ name = "plum" }}]\n\n{package}')
    (tiny.release.model / "mlflow-uv" / "requirements.txt").write_text(f"plum==1 --hash={HASH}\n")

    with pytest.raises(ToolFailed) as refused:
        tiny.with_listed_requirements().compose_all(f"{host}/base:1", *BOTH)

    assert refused.value.what.startswith("`plum` has no wheel for linux-")
    assert {"amd64": "x86_64", "arm64": "aarch64"}[OTHER] in refused.value.what
    assert refused.value.why.endswith("needed by wine")
    assert not (tiny.tools.host.cache / "layers").exists()


def test_a_base_of_one_platform_serves_no_other(tiny: TinyRelease, host: str, tmp_path: Path) -> None:
    """
    Its registry returns it for any, without an index.
    """
    push_base(f"{host}/single:1", tmp_path / "single", tiny.tools)

    with pytest.raises(Exception, match=f"its registry has no such image for {OTHER}"):
        tiny.compose_all(f"{host}/single:1", *BOTH)


def test_a_base_from_a_layout_gives_the_image_that_the_registry_gives(
    tiny: TinyRelease, host: str, tmp_path: Path
) -> None:
    """
    With the same digest, for each platform, and without a registry; another layer in the folder is refused.
    """
    copied = (f"docker://{host}/base:1", f"oci:{tmp_path}/base-layout:1")
    subprocess.run(("skopeo", "copy", "--all", "--quiet", "--src-tls-verify=false", *copied), check=True)
    images = tiny.compose_all(f"{host}/base:1", *BOTH)
    (tmp_path / "two").mkdir()
    with tiny_release(tmp_path / "two") as other:
        again = other.compose_all(f"{host}/base:1", *BOTH, layout=tmp_path / "base-layout")

    assert images.image.digest == again.image.digest
    layer = tmp_path / "base-layout" / "blobs" / images.composed[0].image.blobs[1].digest.replace(":", "/")
    layer.write_bytes(layer.read_bytes()[:-1] + b"x")
    (tmp_path / "three").mkdir()
    with tiny_release(tmp_path / "three") as other, pytest.raises(ToolFailed, match="missing, or has other content"):
        other.compose_all(f"{host}/base:1", *BOTH, layout=tmp_path / "base-layout")


def test_an_image_that_nothing_here_starts_is_pushed_or_written(tiny: TinyRelease) -> None:
    """
    Else it would be nowhere.
    """
    bases = wanted_bases("base:1", (f"linux/{OTHER}",), tiny.needs, None, tiny.tools)

    with pytest.raises(BadInput, match="must be pushed, or written"):
        require_kept(bases, None, tiny.tools)

    require_kept(wanted_bases("base:1", BOTH, tiny.needs, None, tiny.tools), None, tiny.tools)
