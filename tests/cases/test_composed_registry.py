"""Without an engine: an image is composed on a base of a real registry, written as a layout, and pushed there."""

import json
import os
import shutil
import subprocess
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path, PurePosixPath

import pytest

from mlflow_uv.command.errors import ChainBroken, NoSpace, ToolFailed
from mlflow_uv.command.inputs import Serving
from mlflow_uv.core.image.composition import Compression
from mlflow_uv.core.model.model_files import LOCK
from mlflow_uv.ops.image.build import require_exact, require_model
from mlflow_uv.ops.image.builders import BaseNotComposable, ComposeRequest
from mlflow_uv.ops.image.composed_push import push_composed
from mlflow_uv.ops.image.composed_release import composed_inventory
from mlflow_uv.ops.image.composing import compose_and_keep
from mlflow_uv.tools.layers.archive import LayerFile, write_layer
from tests.image_layouts import write_layout
from tests.registries import digest_in, is_in, registry

from .composed import MACHINE, MINOR, push_base, tiny_release
from .images import remove_image


def test_an_image_is_composed_and_pushed_without_an_engine(tmp_path: Path, registry_program: str) -> None:
    """
    The registry's digest is the computed one; another machine, with another umask and an empty cache, computes it too.
    """
    digests, sent = [], []
    with registry(tmp_path, registry_program) as host:
        for at, (name, mask) in enumerate((("one", 0o022), ("ein anderer", 0o077))):
            before = os.umask(mask)
            try:
                (tmp_path / name).mkdir()
                with tiny_release(tmp_path / name) as tiny:
                    if at == 0:
                        push_base(f"{host}/base:1", tmp_path / "base", tiny.tools)
                    image, base = tiny.compose(f"{host}/base:1")
                    inventory = composed_inventory(image, base)
                    require_exact(tiny.needs, inventory)
                    require_model(tiny.release.record, inventory)
                    write_layout(tmp_path / name / "layout", image.image, image.archives, tag="7")
                    digests.append(push_composed(f"{host}/cellar/wine:7", image.image, image.archives, tiny.tools))
                    sent.append(tiny.tools.registries.push(f"{host}/cellar/wine:7", image.image, image.archives).sent)
            finally:
                os.umask(before)
        found = digest_in(host, "cellar/wine", "7")[1]

    (entry,) = json.loads((tmp_path / "one" / "layout" / "index.json").read_text())["manifests"]
    assert [found, found, found] == [*digests, entry["digest"]]
    assert [0, 0] == sent, "what the registry has is not sent again"
    contents = json.loads(inventory)
    assert (f"{MINOR}.7", [["grape", "1.0"]]) == (contents["python"], contents["installed"])


def test_on_a_base_with_musl_nothing_is_composed_and_nothing_pushed(tmp_path: Path, registry_program: str) -> None:
    """
    It is pulled and read: wheels for the GNU C library would not load there, and nothing in it is started.
    """
    musl = {f"lib/ld-musl-{MACHINE}.so.1": b"\x7fELF", f"usr/lib/{MACHINE}-linux-gnu/libc.so.6": b"\x7fELF musl"}
    with registry(tmp_path, registry_program) as host, tiny_release(tmp_path / "one") as tiny:
        push_base(f"{host}/alpine:1", tmp_path / "base", tiny.tools, musl)
        request = ComposeRequest(
            name=f"{host}/wine:7",
            base=f"{host}/alpine:1",
            base_layout=None,
            platforms=(),
            serving=Serving.LOCKED,
            layers_from=None,
            compression=Compression.GZIP,
            push=True,
            oci_layout=None,
        )
        with pytest.raises(BaseNotComposable) as refused:
            compose_and_keep(request, tiny.release, None, tiny.tools)
        pushed = is_in(host, "wine", "7")

    assert (18, False) == (refused.value.exit_code, pushed)
    assert f"no image can be composed on the base image `{host}/alpine:1`" == refused.value.what
    assert "no GNU C library" in str(refused.value.why)
    assert "--base-image" in str(refused.value.fix)


@pytest.mark.engine
def test_docker_has_an_image_in_a_registry_under_the_pushed_name_alone(tmp_path: Path, registry_program: str) -> None:
    """
    Under its other name it was never anywhere, whatever digests Docker lists of it.
    """
    own = f"mlflow-uv-test-{tmp_path.parent.name[-4:]}-local:1"
    with registry(tmp_path, registry_program) as host, tiny_release(tmp_path / "one") as tiny:
        elsewhere = f"{host}/cellar/base:1"
        write_layer("wine", {PurePosixPath("/wine"): LayerFile(data=own.encode())}, tmp_path / "wine.tar.gz")
        for argv in (
            ("import", str(tmp_path / "wine.tar.gz"), own),
            ("tag", own, elsewhere),
            ("push", "--quiet", elsewhere),
        ):
            subprocess.run(("docker", *argv), check=True, capture_output=True)
        engine = tiny.tools.engines.named("docker")
        pushed, local_image = engine.image(elsewhere), engine.image(own)
        digest = digest_in(host, "cellar/base", "1")[1]
        remove_image(elsewhere)
        remove_image(own)

    assert pushed is not None
    assert local_image is not None
    assert (True, digest) == (pushed.shared, pushed.digest)
    assert (False, local_image.id) == (local_image.shared, local_image.digest)


def test_two_pushes_at_once_end_with_the_whole_image(tmp_path: Path, registry_program: str) -> None:
    """
    Two jobs of one commit push the same bytes; neither of them fails.
    """
    with registry(tmp_path, registry_program) as host:
        (tmp_path / "one").mkdir()
        with tiny_release(tmp_path / "one") as tiny, ThreadPoolExecutor(4) as pool:
            push_base(f"{host}/base:1", tmp_path / "base", tiny.tools)
            image, _ = tiny.compose(f"{host}/base:1")
            push = partial(push_composed, f"{host}/wine:7", image.image, image.archives, tiny.tools)
            digests = {future.result() for future in [pool.submit(push) for _ in range(4)]}
        found = digest_in(host, "wine", "7")[1]

    assert {found} == digests == {image.image.digest}


def test_another_model_or_package_is_refused(tmp_path: Path, registry_program: str) -> None:
    """
    What is in the layers is compared, not what they were asked to hold.
    """
    with registry(tmp_path, registry_program) as host:
        for name in ("one", "another"):
            (tmp_path / name).mkdir()
        with (
            tiny_release(tmp_path / "one") as tiny,
            tiny_release(tmp_path / "another", answer="white") as other,
        ):
            push_base(f"{host}/base:1", tmp_path / "base", tiny.tools)
            image, base = tiny.compose(f"{host}/base:1")
            another, _ = other.compose(f"{host}/base:1")

    with pytest.raises(ChainBroken, match="the model in the image is not the one in the store"):
        require_model(tiny.release.record, composed_inventory(another, base))
    contents = json.loads(composed_inventory(image, base))
    contents["installed"] = [["grape", "1.1"]]
    with pytest.raises(ChainBroken, match=r"grape is 1\.1, required is 1\.0"):
        require_exact(tiny.needs, json.dumps(contents))


@pytest.mark.parametrize(
    ("source", "came"),
    [
        ('{ registry = "https://example.invalid/simple" }', "cannot be installed"),
        ('{ git = "https://example.invalid/x?rev=1#1" }', "fetched and built from git"),
    ],
    ids=["no wheel", "git"],
)
def test_a_package_without_a_wheel_is_refused_with_the_way_it_came_in(
    tmp_path: Path, registry_program: str, source: str, came: str
) -> None:
    """
    Before anything is installed; a build by the engine is the fix.
    """
    sdist = 'sdist = { url = "https://example.invalid/plum-1.tar.gz", hash = "sha256:00", size = 1 }\n'
    sdist = "" if came == "cannot be installed" else sdist
    package = f'[[package]]\nname = "plum"\nversion = "1"\nsource = {source}\n{sdist}'
    with registry(tmp_path, registry_program) as host:
        (tmp_path / "one").mkdir()
        with tiny_release(tmp_path / "one") as tiny:
            lock = tiny.release.model / LOCK
            lock.write_text(f'{lock.read_text()}dependencies = [{{ name = "plum" }}]\n\n{package}')
            (tiny.release.model / "mlflow-uv" / "requirements.txt").write_text("plum==1 --hash=sha256:00\n")
            push_base(f"{host}/base:1", tmp_path / "base", tiny.tools)
            with pytest.raises(ToolFailed) as refused:
                tiny.with_listed_requirements().compose(f"{host}/base:1")

    assert refused.value.what.startswith("`plum` has no wheel for linux-")
    assert f"it would be {came}; needed by wine" == refused.value.why
    assert "--builder engine" in refused.value.fix


def test_a_full_disk_leaves_nothing_half_written(
    tmp_path: Path, disk: Callable[[str], Path], registry_program: str
) -> None:
    """
    It is named as such; with space the same image is composed, and the cache has no layer that is not whole.
    """
    volume = disk("16m")
    with registry(tmp_path, registry_program) as host:
        (volume / "one").mkdir()
        (tmp_path / "other").mkdir()
        with tiny_release(volume / "one") as tiny, tiny_release(tmp_path / "other") as other:
            push_base(f"{host}/base:1", tmp_path / "base", tiny.tools)
            expected, _ = other.compose(f"{host}/base:1")
            shutil.rmtree(other.tools.host.cache / "layers")
            filler = volume / "filler"
            filler.write_bytes(bytes(os.statvfs(volume).f_bavail * os.statvfs(volume).f_frsize - (192 << 10)))
            with pytest.raises(NoSpace) as full:
                tiny.compose(f"{host}/base:1")
            shutil.rmtree(tiny.scratch)
            filler.unlink()
            image, _ = tiny.with_listed_requirements().compose(f"{host}/base:1")
            left = [path.name for path in tiny.tools.host.cache.rglob(".new-*")]

    assert (19, True) == (full.value.exit_code, "No space left" in full.value.why)
    assert (expected.image.digest, []) == (image.image.digest, left)
