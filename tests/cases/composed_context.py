"""Composes the image of a build context from wheels, in place of the engine's build."""

import os
import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

from mlflow_uv.core.image.layer_grouping import SizedPackage, grouped
from mlflow_uv.core.model.model_files import WHEELS
from mlflow_uv.ops.image.composed import ComposedServingImage, ImageParts, compose_image, own_layers
from mlflow_uv.tools.layers.loader import loader_of
from mlflow_uv.tools.layers.package_layers import WantedPackages
from mlflow_uv.tools.layers.saved_image import glibc_of, python_of, read_saved
from mlflow_uv.tools.oci.image_layout import write_archive

from .images import BASE, ImageBuilder


def composed_from(
    builder: ImageBuilder,
    context: Path,
    model: Path,
    folder: Path,
    lines: Mapping[str, tuple[str, ...]],
    *,
    engine: str = "docker",
    labels: Mapping[str, str] | None = None,
) -> ComposedServingImage:
    """The image of a context, with the packages of these requirements."""
    folder.mkdir(parents=True)
    subprocess.run((engine, "save", "--output", folder / "base.tar", BASE), check=True)
    base = read_saved(folder / "base.tar", folder / "base")
    glibc = glibc_of(base)
    assert glibc is not None
    work = folder / "work"
    work.mkdir()
    if (model / WHEELS).is_dir():
        shutil.copytree(model / WHEELS, work / WHEELS)
    wanted = WantedPackages(
        groups=grouped(SizedPackage(name=name, size=0) for name in lines),
        lines=lines,
        folder=work,
        idle=frozenset(),
        python=sys.executable,
        platform=f"{os.uname().machine}-manylinux_2_{glibc[1]}",
        indexes={},
    )
    python = python_of(base)
    assert python is not None
    parts = ImageParts(
        base=base,
        python=python,
        loader=loader_of(base, os.uname().machine),
        packages=wanted,
        own=own_layers(context, folder),
        labels=labels or {"mlflow-uv.test": "composed"},
    )
    return compose_image(parts, folder, builder.tools)


def load(composed: ComposedServingImage, folder: Path, engine: str = "docker") -> str:
    """Hand an image to an engine; its id."""
    write_archive(folder / "load.tar", composed.image, composed.archives, held=0)
    subprocess.run((engine, "load", "--input", folder / "load.tar"), check=True, capture_output=True)
    (folder / "load.tar").unlink()
    return composed.image.id
