"""A package that cannot be installed is named, with its reason and what would mend it."""

import io
import tarfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from mlflow_uv.command.errors import ToolFailed
from mlflow_uv.core.model.model_files import WHEELS
from mlflow_uv.tools.engines.docker import Docker
from mlflow_uv.tools.engines.engine import Build
from mlflow_uv.tools.uv.network import build_secrets

from .images import ImageBuilder, digest_of, image_builder_in

pytestmark = pytest.mark.engine
SOURCES = {
    "pyproject.toml": '[build-system]\nrequires = ["setuptools"]\nbuild-backend = "setuptools.build_meta"\n',
    "setup.py": (
        "from setuptools import Extension, setup\n"
        'setup(name="plum", version="1.0", ext_modules=[Extension("plum", ["plum.c"])])\n'
    ),
    "plum.c": "int plum;\n",
    "PKG-INFO": "Metadata-Version: 2.2\nName: plum\nVersion: 1.0\n",
}


@pytest.fixture
def builder(tmp_path: Path) -> Iterator[ImageBuilder]:
    """Tools as a surface would make them."""
    with image_builder_in(tmp_path) as made:
        yield made


def sources(folder: Path) -> Path:
    """A package in C that travels as its sources."""
    path = folder / "plum-1.0.tar.gz"
    folder.mkdir(parents=True)
    with tarfile.open(path, "w:gz") as archive:
        for name, text in SOURCES.items():
            entry = tarfile.TarInfo(f"plum-1.0/{name}")
            entry.size = len(text)
            archive.addfile(entry, io.BytesIO(text.encode()))
    return path


def failed(builder: ImageBuilder, context: Path) -> ToolFailed:
    """How a build ends that cannot end well."""
    tools = builder.tools
    variables = tools.host.variables
    engine = Docker(tools.runner, variables=variables, on_line=print)
    with pytest.raises(ToolFailed) as caught:
        engine.build(Build(context=context, secrets=build_secrets(builder.scratch, variables, {})))
    return caught.value


def test_a_package_that_needs_a_compiler_is_named_on_a_base_without_one(builder: ImageBuilder) -> None:
    """
    What it lacked is told, and that another base or another version would do.
    """
    model = builder.model("model")
    path = sources(model / WHEELS)
    listed = f"{WHEELS}/{path.name} --hash=sha256:{digest_of(path)}\n"

    result = failed(builder, builder.context("context", model, requirements=listed))

    assert "`plum" in result.what
    assert "gcc" in result.why
    assert "uv lock --upgrade-package plum" in result.fix


@pytest.mark.parametrize("hashed", [True, pytest.param(False, marks=pytest.mark.extended)])
def test_a_file_with_another_hash_is_refused_by_its_name(builder: ImageBuilder, *, hashed: bool) -> None:
    """
    What lies there is not what was locked, also where other packages of the lock have no hash.
    """
    context = builder.context("context", builder.model("model"), hashed=hashed)
    listed = context / "packages" / "requirements.txt"
    listed.write_text(f"{listed.read_text().partition('sha256:')[0]}sha256:{'0' * 64}\n")

    result = failed(builder, context)

    assert "Hash mismatch" in result.why
    assert "grape" in result.why
