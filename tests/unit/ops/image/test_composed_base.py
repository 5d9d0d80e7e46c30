"""The base of a composed image: where it is read from, and what makes it unfit; no engine and no network."""

import json
import shutil
import sys
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from mlflow_uv.command.errors import BaseImageMissing, BaseImageUnfit, ToolFailed
from mlflow_uv.core.image.oci_manifest import PulledImage
from mlflow_uv.ops.image.builders import BaseNotComposable, BaseUnread, NotComposable
from mlflow_uv.ops.image.composed_base import ComposableBase, WantedBase, read_base, with_unpacked
from mlflow_uv.ops.image.environment import Needs
from mlflow_uv.tools.engines.engine import BuiltImage, Engine
from mlflow_uv.tools.layers.saved_image import SavedImage
from mlflow_uv.tools.oci.registries import RegistryImage, holds_blob
from mlflow_uv.tools.oci.repository import RegistryUnanswered
from mlflow_uv.tools.toolbox import Tools
from tests.unit.tools.layers.test_saved_image import saved

MINOR = f"{sys.version_info.major}.{sys.version_info.minor}"
LIBC = b"\0GNU C Library (Debian GLIBC 2.36-9) stable release version 2.36.\n\0"
FILES: dict[str, Any] = {
    "usr/bin/": None,
    f"usr/bin/python{MINOR}": b"\x7fELF",
    "usr/bin/python3": f"python{MINOR}",
    f"usr/lib/python{MINOR}/os.py": b"name = 'posix'\n",
    f"usr/include/python{MINOR}/patchlevel.h": f'#define PY_VERSION "{MINOR}.7"\n'.encode(),
    "usr/lib/x86_64-linux-gnu/libc.so.6": LIBC,
    "opt/": None,
    "opt/venv/": None,
}
NEEDS = Needs(model=Path("model"), requirements=None, wheels=(), python=f"{MINOR}.9")
DIGEST = f"sha256:{'d' * 64}"


@dataclass
class FakeEngine:
    """Has one image, as its archive; `shared` if it came from a registry."""

    archive: Path
    shared: bool = False
    pulled: bool = True
    name: str = "docker"
    id: str = "sha256:id"
    saves: int = 0
    empty: bool = False

    def image(self, name: str) -> BuiltImage | None:
        return self.fetch(name) if self.pulled else None

    def fetch(self, _name: str) -> BuiltImage:
        image = BuiltImage(id=self.id, labels={}, size=1, digest=DIGEST, shared=self.shared)
        return replace(image, architecture="amd64", empty=self.empty)

    def architecture(self) -> str:
        return "amd64"

    def save(self, _image: str, target: Path) -> None:
        self.saves += 1
        if not self.archive.is_file():
            raise ToolFailed(what="the engine cannot save the image", why="empty export - not implemented")
        target.write_bytes(self.archive.read_bytes())


@dataclass
class FakeRegistries:
    """Has one image, or does not answer."""

    image: SavedImage | None
    asked: list[str] = field(default_factory=list)

    def pull(self, name: str, architecture: str, _folder: Path) -> RegistryImage | None:
        self.asked.append(f"{name} {architecture}")
        if self.image is None:
            raise RegistryUnanswered("docker.io does not answer")
        config = json.dumps(self.image.base.config).encode()
        pulled = PulledImage(config=config, layers=self.image.base.layers)
        return RegistryImage(digest=DIGEST, image=pulled, archives=self.image.archives)


def read(
    folder: Path,
    registries: FakeRegistries,
    engine: FakeEngine | None = None,
    *,
    name: str = "python:slim",
    architecture: str = "amd64",
    alone: bool = True,
) -> ComposableBase:
    host = SimpleNamespace(cache=folder / "cache", machine="x86_64")
    tools = cast("Tools", SimpleNamespace(registries=registries, host=host))
    wanted = WantedBase(name=name, architecture=architecture, engine=cast("Engine | None", engine), alone=alone)
    return read_base(wanted, NEEDS, folder / "scratch", tools)


def test_a_base_is_read_from_its_registry_without_an_engine(tmp_path: Path) -> None:
    """
    Python, C library and architecture are known from its files and its configuration.
    """
    registries = FakeRegistries(saved(tmp_path / "base", FILES))

    base = read(tmp_path, registries)

    assert ["python:slim amd64"] == registries.asked
    assert (DIGEST, f"{MINOR}.7", "x86_64-manylinux_2_36") == (
        base.described.digest,
        base.python.version,
        base.platform,
    )
    assert () == base.findings


def test_what_was_unpacked_of_a_base_is_not_unpacked_again(tmp_path: Path) -> None:
    """
    Of the same layers and configuration alone: another image has other files.
    """
    image, other = saved(tmp_path / "base", FILES), saved(tmp_path / "other", {**FILES, "etc/": None})
    read(tmp_path, FakeRegistries(image))
    known = read(tmp_path, FakeRegistries(image))

    assert image.unpacked is with_unpacked(known, image).image.unpacked
    assert known.image.archives == with_unpacked(known, image).image.archives
    assert known is with_unpacked(known, other)
    assert known is with_unpacked(known, None)


def test_a_base_that_the_engine_pulled_is_read_from_its_registry_by_digest(tmp_path: Path) -> None:
    """
    So that its layers, and what is composed on them, have the same digests everywhere.
    """
    image = saved(tmp_path / "base", FILES)
    registries = FakeRegistries(image)

    base = read(tmp_path, registries, FakeEngine(tmp_path / "base" / "image.tar", shared=True))

    assert [f"python:slim@{DIGEST} amd64"] == registries.asked
    assert image.base.layers == base.image.base.layers


@pytest.mark.parametrize("name", ["mine:1", DIGEST], ids=["never in a registry", "by its id"])
def test_a_base_that_only_the_engine_has_is_saved(tmp_path: Path, name: str) -> None:
    """
    No registry is asked, and that is no reason for a notice.
    """
    saved(tmp_path / "base", FILES)
    registries = FakeRegistries(None)

    base = read(tmp_path, registries, FakeEngine(tmp_path / "base" / "image.tar"), name=name)

    assert ([], (), f"{MINOR}.7") == (registries.asked, base.findings, base.python.version)
    assert not (tmp_path / "scratch" / "saved.tar").exists()


def test_a_registry_that_does_not_answer_is_replaced_by_the_engine_with_a_notice(tmp_path: Path) -> None:
    """
    The digest of the image is another one then.
    """
    saved(tmp_path / "base", FILES)

    base = read(tmp_path, FakeRegistries(None), FakeEngine(tmp_path / "base" / "image.tar", shared=True))

    assert [("base-from-engine", "docker.io does not answer")] == [
        (finding.rule, finding.why.partition(";")[0]) for finding in base.findings
    ]


def test_without_an_engine_and_a_registry_there_is_no_base(tmp_path: Path) -> None:
    """
    The reason is that of the registry.
    """
    with pytest.raises(BaseImageMissing, match=r"docker\.io does not answer"):
        read(tmp_path, FakeRegistries(None))


@pytest.mark.parametrize(
    ("registry_has", "engine", "why"),
    [
        (True, None, "its registry has no such image for arm64"),
        (False, "shared", "docker.io does not answer"),
        (True, "only there", "only docker has it, and for its own platform alone"),
    ],
    ids=["another architecture", "a registry that does not answer", "never in a registry"],
)
def test_a_base_for_another_platform_is_never_the_one_of_this_machine(
    tmp_path: Path, registry_has: bool, engine: str | None, why: str
) -> None:
    """
    A registry returns an image without an index for any platform, and an engine has the one of its own.
    """
    registries = FakeRegistries(saved(tmp_path / "base", FILES) if registry_has else None)
    archive = tmp_path / "base" / "image.tar"
    local = FakeEngine(archive, shared=engine == "shared") if engine else None

    with pytest.raises(BaseImageMissing, match=why):
        read(tmp_path, registries, local, architecture="arm64")


def test_of_several_platforms_none_takes_the_copy_of_an_engine(tmp_path: Path) -> None:
    """
    The layers of all platforms come from one place, where they are the same for everybody.
    """
    saved(tmp_path / "base", FILES)
    engine = FakeEngine(tmp_path / "base" / "image.tar", shared=True)

    with pytest.raises(BaseImageMissing, match=r"docker\.io does not answer"):
        read(tmp_path, FakeRegistries(None), engine, alone=False)

    assert 0 == engine.saves


MUSL = {**FILES, "usr/lib/x86_64-linux-gnu/libc.so.6": b"", "lib/ld-musl-x86_64.so.1": b"\x7fELF"}


@pytest.mark.parametrize(
    ("files", "why"),
    [
        ({"etc/issue": b""}, "has no Python"),
        ({name.replace(MINOR, "3.9"): text for name, text in FILES.items()} | {"usr/bin/python3": "python3.9"}, "3.9"),
        ({**FILES, "opt/venv/x": b""}, "has something in /opt/venv"),
        ({**FILES, "opt/model": b""}, "has something in /opt/model"),
        ({**FILES, "opt/ml/model/deep/MLmodel": b""}, "has a model in /opt/ml/model"),
        (MUSL, "no GNU C library"),
        ({**FILES, "usr/lib/x86_64-linux-gnu/libc.so.6": LIBC.replace(b"2.36", b"2.12")}, "no GNU C library"),
    ],
    ids=["no Python", "another minor", "an environment", "a file", "a mounted model", "musl", "an old C library"],
)
def test_an_unfit_base_is_refused(tmp_path: Path, files: dict[str, Any], why: str) -> None:
    """
    As by a build, with the same words where it is the same reason; nothing in it is started.
    """
    if why == "3.9":
        files = {
            name: text.replace(MINOR.encode(), b"3.9") if isinstance(text, bytes) else text
            for name, text in files.items()
        }

    with pytest.raises(BaseImageUnfit, match=why):
        read(tmp_path, FakeRegistries(saved(tmp_path / "base", files)))


def test_a_base_without_layers_has_no_python(tmp_path: Path) -> None:
    """
    Docker cannot save such an image, and is not asked to; no build by an engine could use it either.
    """
    engine = FakeEngine(tmp_path / "absent.tar", empty=True)

    with pytest.raises(BaseImageUnfit, match="has no Python") as refused:
        read(tmp_path, FakeRegistries(None), engine)

    assert (0, False) == (engine.saves, isinstance(refused.value, NotComposable))


def test_a_base_that_an_engine_cannot_save_is_left_to_its_build(tmp_path: Path) -> None:
    """
    With its reason, and the exit code of a base that is missing.
    """
    with pytest.raises(BaseUnread) as refused:
        read(tmp_path, FakeRegistries(None), FakeEngine(tmp_path / "absent.tar"))

    assert ("BaseImageMissing", "empty export - not implemented") == (refused.value.kind, refused.value.why)


def test_a_base_on_another_c_library_is_left_to_the_engine(tmp_path: Path) -> None:
    """
    Python fits, so that a build by an engine may work; where Python is missing, it may not.
    """
    with pytest.raises(BaseNotComposable, match="no image can be composed on the base image `alpine:1`"):
        read(tmp_path, FakeRegistries(saved(tmp_path / "base", MUSL)), name="alpine:1")

    with pytest.raises(BaseImageUnfit) as unfit:
        read(tmp_path, FakeRegistries(saved(tmp_path / "bare", {"lib/ld-musl-x86_64.so.1": b""})), name="alpine:1")
    assert not isinstance(unfit.value, NotComposable)


ENCRYPTED = "application/vnd.oci.image.layer.v1.tar+encrypted"


@pytest.mark.parametrize("compressed", ["gzip", "encrypted"])
def test_layers_that_cannot_be_read_are_taken_from_the_engine(tmp_path: Path, compressed: str) -> None:
    """
    An engine compresses its copy again; without one, the reason names the type of the layers.
    """
    image = saved(tmp_path / "base", FILES)
    if compressed == "encrypted":
        layers = tuple(replace(blob, media_type=ENCRYPTED) for blob in image.base.layers)
        image = replace(image, base=replace(image.base, layers=layers))
    archive = tmp_path / "base" / "image.tar"

    base = read(tmp_path, FakeRegistries(image), FakeEngine(archive, shared=True))

    why = [finding.why.partition(";")[0] for finding in base.findings]
    reason = f"a layer has the type {ENCRYPTED}, which is not supported"
    assert ([reason] if compressed == "encrypted" else []) == why
    if compressed == "encrypted":
        with pytest.raises(BaseUnread, match=r"cannot be read from its registry") as refused:
            read(tmp_path, FakeRegistries(image))
        assert reason == refused.value.why


def test_a_base_that_only_the_engine_can_download_is_taken_from_it(tmp_path: Path) -> None:
    """
    It may have a mirror, or take a registry without TLS; the image was not on this machine before.
    """
    saved(tmp_path / "base", FILES)

    base = read(tmp_path, FakeRegistries(None), FakeEngine(tmp_path / "base" / "image.tar", shared=True, pulled=False))

    assert ["base-from-engine"] == [finding.rule for finding in base.findings]


def test_a_base_of_an_engine_is_saved_once(tmp_path: Path) -> None:
    """
    What is known of it is the same afterwards; its layers are unpacked only if a file of it is needed.
    """
    saved(tmp_path / "base", FILES)
    engine = FakeEngine(tmp_path / "base" / "image.tar")
    first = read(tmp_path, FakeRegistries(None), engine)
    shutil.rmtree(tmp_path / "scratch")

    again = read(tmp_path, FakeRegistries(None), engine)

    assert 1 == engine.saves
    assert (first.image.base, first.image.archives) == (again.image.base, again.image.archives)
    assert (first.python, first.platform, first.origin) == (again.python, again.platform, again.origin)
    assert not (tmp_path / "scratch").exists()
    assert "name = 'posix'\n" == again.image.text(again.python.library / "os.py")


@pytest.mark.parametrize("spoil", ["layer", "facts", "gone", "another image"])
def test_a_base_whose_cache_was_changed_is_read_again(tmp_path: Path, spoil: str) -> None:
    """
    A layer of other content, a fact that was edited, or a file that is gone; nothing is known of another id.
    """
    saved(tmp_path / "base", FILES)
    engine = FakeEngine(tmp_path / "base" / "image.tar")
    first = read(tmp_path, FakeRegistries(None), engine)
    (layer,) = first.image.archives.values()
    (facts,) = (tmp_path / "cache" / "base-facts").iterdir()
    match spoil:
        case "layer":
            layer.write_bytes(bytes(layer.stat().st_size))
        case "facts":
            facts.write_text(facts.read_text().replace("36", "99"))
        case "gone":
            layer.unlink()
        case _:
            engine.id = "sha256:other"

    again = read(tmp_path, FakeRegistries(None), engine)

    assert (2, first.platform) == (engine.saves, again.platform)
    assert holds_blob(layer, first.image.base.layers[0])


def test_an_unfit_base_stays_unfit(tmp_path: Path) -> None:
    """
    The facts are kept, not the verdict.
    """
    registries = FakeRegistries(saved(tmp_path / "base", {**FILES, "opt/venv/x": b""}))

    for _ in range(2):
        with pytest.raises(BaseImageUnfit, match="has something in /opt/venv"):
            read(tmp_path, registries)
