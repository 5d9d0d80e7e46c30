"""A composed image, with a base and an installer that a test describes; no engine."""

import sys
import tarfile
from dataclasses import replace
from pathlib import Path, PurePosixPath
from types import SimpleNamespace
from typing import cast

from mlflow_uv.core.image.dockerfile import MODEL, MODEL_LAYER, SERVER_LAYER, SERVING
from mlflow_uv.ops.image.composed import ComposedServingImage, ImageParts, compose_image, own_layers
from mlflow_uv.tools.engines.build_context import pack
from mlflow_uv.tools.engines.library_scanner import CompiledCode, ExaminedLibraries
from mlflow_uv.tools.layers.loader import loader_of
from mlflow_uv.tools.layers.saved_image import SavedImage, python_of
from mlflow_uv.tools.system.process import SystemRunner
from mlflow_uv.tools.toolbox import Tools
from tests.console import KeptConsole
from tests.unit.tools.layers.test_package_layers import FakeUv, wanted
from tests.unit.tools.layers.test_saved_image import saved

MINOR = f"{sys.version_info.major}.{sys.version_info.minor}"
BASE = {
    "usr/bin/": None,
    f"usr/bin/python{MINOR}": b"\x7fELF",
    "usr/bin/python3": f"python{MINOR}",
    f"usr/lib/python{MINOR}/os.py": b"name = 'posix'\n",
}


def parts(folder: Path, base: SavedImage, *, answer: str = "red") -> ImageParts:
    """A base, two packages, a server and a model that answers so."""
    context = folder / "context"
    context.mkdir(parents=True)
    for name, text, layer, place in (("server", "", SERVER_LAYER, SERVING), ("model", answer, MODEL_LAYER, MODEL)):
        source = folder / name
        source.mkdir()
        (source / f"{name}.txt").write_text(text)
        pack(context / layer, source, PurePosixPath(place))
    packages = wanted(context, ("grape",), ("plum",))
    python = python_of(base)
    assert python is not None
    loader = loader_of(base, "x86_64")
    return ImageParts(
        base=base, python=python, loader=loader, packages=packages, own=own_layers(context, folder), labels={"a": "b"}
    )


def compose(folder: Path, these: ImageParts) -> ComposedServingImage:
    uv = FakeUv({name: {f"{name}.py": b""} for name in ("grape", "plum")})
    host = SimpleNamespace(cache=folder / "cache")
    nothing = SimpleNamespace(
        programs="", describe=lambda _: {}, examine=lambda *_: ExaminedLibraries(lacking=(), code=CompiledCode())
    )
    tools = SimpleNamespace(
        uv=uv, runner=SystemRunner(), host=host, console=KeptConsole(), contexts=nothing, libraries=nothing
    )
    scratch = folder / "scratch"
    scratch.mkdir(exist_ok=True)
    return compose_image(these, scratch, cast("Tools", tools))


def names(archive: Path) -> list[str]:
    with tarfile.open(archive) as tar:
        return [entry.name for entry in tar if not entry.isdir()]


def test_an_image_has_what_changes_seldom_below_what_changes_often(tmp_path: Path) -> None:
    """
    Base, its bytecode, environment, packages, server and model; a folder of the base keeps its mode and owner.
    """
    composed = compose(tmp_path, parts(tmp_path, saved(tmp_path / "base", BASE)))

    contents = [names(composed.archives[blob.digest]) for blob in composed.image.blobs[1:]]
    assert f"usr/bin/python{MINOR}" in contents[0]
    assert [f"usr/lib/python{MINOR}/__pycache__/os.{sys.implementation.cache_tag}.pyc"] == contents[1]
    assert "opt/venv/bin/python" in contents[2]
    assert ["grape.py", "plum.py"] == [
        next(Path(name).name for name in layer if name.endswith(".py")) for layer in contents[3:5]
    ]
    assert [["opt/mlflow-uv/server.txt"], ["opt/model/model.txt"]] == contents[5:]
    with tarfile.open(composed.archives[composed.image.blobs[2].digest]) as tar:
        assert ["__pycache__"] == [Path(entry.name).name for entry in tar if entry.isdir()]


def test_the_digest_is_the_same_on_another_machine_and_changes_with_each_part(tmp_path: Path) -> None:
    """
    Another folder and an empty cache change nothing; another model, package, label or base does.
    """
    made = parts(tmp_path / "one", saved(tmp_path / "base", BASE))
    digest = compose(tmp_path / "one", made).image.digest
    same = parts(tmp_path / "two", saved(tmp_path / "the same base", BASE))
    other_model = parts(tmp_path / "three", made.base, answer="white")
    fewer = replace(made, packages=replace(made.packages, groups=made.packages.groups[:1]))
    other_label = replace(made, labels={"a": "c"})
    other_base = replace(made, base=saved(tmp_path / "other base", BASE, {"etc/issue": b""}))

    assert digest == compose(tmp_path / "two", same).image.digest
    others = {compose(tmp_path, each).image.digest for each in (other_model, fewer, other_label, other_base)}
    assert 4 == len(others - {digest})


def test_a_layer_that_was_changed_in_the_cache_is_made_again_and_counted(tmp_path: Path) -> None:
    """
    One byte of a package's layer; the image is the same.
    """
    made = parts(tmp_path / "one", saved(tmp_path / "base", BASE))
    before = compose(tmp_path, made)
    archive = before.archives[before.image.blobs[4].digest]
    content = bytearray(archive.read_bytes())
    content[-20] ^= 1
    archive.write_bytes(content)

    after = compose(tmp_path, made)
    later = compose(tmp_path, made)

    assert (before.image.digest, [0, 1, 0]) == (after.image.digest, [each.remade for each in (before, after, later)])


def test_after_a_change_of_the_model_all_other_layers_are_the_same(tmp_path: Path) -> None:
    """
    They are neither made nor sent again.
    """
    made = parts(tmp_path / "one", saved(tmp_path / "base", BASE))
    before = compose(tmp_path, made)

    after = compose(tmp_path, parts(tmp_path / "two", made.base, answer="white"))

    assert before.image.blobs[1:-1] == after.image.blobs[1:-1]
    assert before.image.blobs[-1] != after.image.blobs[-1]
    assert 2 == after.packages.reused
