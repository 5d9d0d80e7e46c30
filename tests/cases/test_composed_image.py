"""An image that is composed from wheels holds what the engine's build installs, and engines accept it."""

import hashlib
import tarfile
from collections.abc import Mapping
from pathlib import Path

import pytest

from mlflow_uv.core.image.dockerfile import MODEL, SERVING, VENV
from mlflow_uv.core.lock.selection import Selection
from mlflow_uv.core.model.model_files import WHEELS
from mlflow_uv.tools.project.files import read_project
from mlflow_uv.tools.uv.network import build_secrets
from tests.cases.composed_context import composed_from, load
from tests.cases.images import (
    built,
    digest_of,
    image_builder_in,
    remove_image,
    run_in,
    saved_layers,
)
from tests.image_layouts import write_layout

# Written by `uv venv` for shells, which a server does not need; and lines of pyvenv.cfg that nothing reads.
SHELLS = ("activate", "deactivate", "pydoc.bat", ".gitignore", "CACHEDIR.TAG")
TreeRow = tuple[str, int, int, int, str]
pytestmark = [pytest.mark.engine, pytest.mark.extended]


def tree_of(layers: list[Path]) -> dict[str, TreeRow]:
    """Kind, mode, owner, and content of everything below our folders, as an engine merges the layers."""
    tops = tuple(top.removeprefix("/") for top in (VENV, SERVING, MODEL))
    found: dict[str, TreeRow] = {}
    for layer in layers:
        with tarfile.open(layer) as tar:
            for entry in tar:
                if entry.name.startswith(tops):
                    file = tar.extractfile(entry) if entry.isreg() else None
                    content = hashlib.sha256(file.read()).hexdigest() if file else entry.linkname
                    found[entry.name.rstrip("/")] = (
                        entry.type.decode(),
                        entry.mode & 0o7777,
                        entry.uid,
                        entry.gid,
                        content,
                    )
    return found


def compared(tree: Mapping[str, TreeRow]) -> dict[str, TreeRow]:
    """What must be equal: all but bytecode, its folders, and what only shells read."""
    return {
        path: value
        for path, value in tree.items()
        if "__pycache__" not in path and not Path(path).name.startswith(SHELLS) and not path.endswith("/pyvenv.cfg")
    }


def only_wheel(model: Path) -> dict[str, tuple[str, ...]]:
    """The requirement of a model whose only package is a wheel that it brings."""
    (wheel,) = (model / WHEELS).iterdir()
    return {"grape": (f"{WHEELS}/{wheel.name} --hash=sha256:{digest_of(wheel)}",)}


def test_a_composed_image_holds_what_the_engine_installs(tmp_path: Path) -> None:
    """
    File by file, with modes and owners; bytecode is there for the same modules. The engine accepts the image.
    """
    with image_builder_in(tmp_path, MLFLOW_UV_HOME=str(tmp_path / "home")) as builder:
        model = builder.model("model")
        context = builder.context("context", model, machines=("amd64",))
        one = composed_from(builder, context, model, tmp_path / "one", only_wheel(model))
        again = composed_from(builder, context, model, tmp_path / "again", only_wheel(model))
    with built(context) as image:
        expected = tree_of(saved_layers(image, tmp_path / "saved"))
    layers = [one.archives[blob.digest] for blob in one.image.blobs[1:]]

    found = tree_of(layers)

    assert compared(expected) == compared(found)
    assert {path for path in expected if path.endswith(".pyc")} == {path for path in found if path.endswith(".pyc")}
    assert one.image.digest == again.image.digest
    write_layout(tmp_path / "layout", one.image, one.archives, tag="1")
    try:
        load(one, tmp_path)
        prefix = run_in(one.image.id, f"{VENV}/bin/python", "-c", "import grape, sys; print(sys.prefix)")
    finally:
        remove_image(one.image.id)
    assert VENV == prefix.strip()


def test_the_packages_of_a_real_lock_are_equal_too(root: Path, tmp_path: Path) -> None:
    """
    examples/wine: compiled packages, console scripts, data files, and three packages that share a thousand files.
    """
    requirements: dict[str, tuple[str, ...]] = {}
    with image_builder_in(tmp_path, MLFLOW_UV_HOME=str(tmp_path / "home")) as builder:
        exported = builder.tools.uv.export(read_project(root / "examples" / "wine"), Selection())
        for pin in exported.pins:
            requirements[pin.name] = (*requirements.get(pin.name, ()), pin.hashed_line)
        model = builder.model("model")
        context = builder.context("context", model, requirements=exported.hashed_text, machines=("amd64",))
        one = composed_from(builder, context, model, tmp_path / "one", requirements)
        network = build_secrets(tmp_path, builder.tools.host.variables, {})
    words = [word for name, path in network.items() for word in ("--secret", f"id={name},src={path}")]
    with built(context, *words) as image:
        expected = tree_of(saved_layers(image, tmp_path / "saved"))

    found = tree_of([one.archives[blob.digest] for blob in one.image.blobs[1:]])

    theirs, ours = compared(expected), compared(found)
    assert (set(), set()) == ({path for path in theirs if ours.get(path) != theirs[path]}, ours.keys() - theirs.keys())
    assert {path for path in expected if path.endswith(".pyc")} == {path for path in found if path.endswith(".pyc")}
