"""A library that packages of an image need is there, is the copy of another package, or stops the build."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from mlflow_uv.command.errors import BaseImageUnfit
from mlflow_uv.command.report import Finding
from mlflow_uv.core.model.model_files import WHEELS
from mlflow_uv.ops.image.build import BaseImage, require_libraries
from mlflow_uv.tools.engines.docker import Docker
from tests import elf

from .images import BASE, ImageBuilder, built, digest_of, image_builder_in, layer_entries, run_in, saved_layers
from .test_image_step import base  # noqa: F401  # a fixture

GOMP = "libgomp-a34b3233.so.1.0.0"
VERSIONS = ("GOMP_1.0", "GOMP_4.0")
# Stands for MLflow: a model loads what lies in the package that it is made of.
MLFLOW = b"""
import ctypes, pathlib
def load_model(path):
    for file in (pathlib.Path(path) / "code" / "needs.txt").read_text().split():
        ctypes.CDLL(file)
"""
PACKAGES = "/opt/venv/lib/python3.11/site-packages"


@pytest.fixture
def builder(tmp_path: Path) -> Iterator[ImageBuilder]:
    """Tools that build in seconds."""
    with image_builder_in(tmp_path) as made:
        yield made


def build(builder: ImageBuilder, *needs: str, base_image: str = BASE, **wheels: dict[str, bytes]) -> Path:
    """A folder for an image with these wheels and a model that loads some of their files."""
    model = builder.model("model")
    (model / "code" / "needs.txt").write_text("\n".join(needs))
    (model / WHEELS).mkdir(parents=True)
    packages = {"mlflow": {"mlflow/__init__.py": b"", "mlflow/pyfunc.py": MLFLOW}, **wheels}
    lines = []
    for name, files in packages.items():
        wheel = elf.wheel(model / WHEELS, name, files)
        lines.append(f"{WHEELS}/{wheel.name} --hash=sha256:{digest_of(wheel)}\n")
    return builder.context("context", model, requirements="".join(lines), base=base_image)


def looked_at(builder: ImageBuilder, image: str, base_image: str = BASE) -> tuple[Finding, ...]:
    """What the step says of an image."""
    engine = builder.tools.engines.named(Docker.name)
    found = engine.image(image)
    assert found is not None
    return require_libraries(found, BaseImage(name=base_image), engine, builder.tools)


def test_the_base_image_of_the_tests_lacks_what_slim_images_lack() -> None:
    """
    The official one has neither a compiler's OpenMP nor libraries of a screen or a database: here they are missed, too.
    """
    listed = run_in(BASE, "python3", "-c", "import glob; print(*glob.glob('/usr/lib/**/lib*.so*', recursive=True))")

    names = {Path(path).name.partition(".so")[0] for path in listed.split()}
    lacking = {"libgomp", "libgfortran", "libGL", "libX11", "libxcb", "libglib-2.0", "libpq", "libsndfile", "libtbb"}
    assert set() == names & lacking
    assert {"libstdc++", "libgcc_s", "libssl", "libsqlite3", "libz", "libffi"} <= names


def boosted(builder: ImageBuilder) -> Path:
    """A folder for an image with a LightGBM, and a scikit-learn that brings what it lacks."""
    booster = elf.library("libgomp.so.1", name="lib_lightgbm.so", words=VERSIONS)
    return build(
        builder,
        f"{PACKAGES}/lightgbm/lib/lib_lightgbm.so",
        lightgbm={"lightgbm/lib/lib_lightgbm.so": booster},
        scikit_learn={f"scikit_learn.libs/{GOMP}": elf.library(name=GOMP, words=VERSIONS)},
    )


@pytest.mark.engine
def test_openmp_is_lent_by_scikit_learn(builder: ImageBuilder, tmp_path: Path) -> None:
    """
    The image holds a link and no copy; the model that was trained with LightGBM loads.
    """
    with built(boosted(builder)) as image:
        (finding,) = looked_at(builder, image)
        names = [name for layer in saved_layers(image, tmp_path / "saved") for name in layer_entries(layer)]

    (path,) = [name for name in names if name.endswith("/libgomp.so.1")]
    assert "usr/lib" in path
    assert ("image-library-linked", True) == (finding.rule, f"scikit_learn.libs/{GOMP}" in finding.why)


@pytest.mark.engine
@pytest.mark.extended
def test_what_is_lent_is_the_same_each_time(builder: ImageBuilder, tmp_path: Path) -> None:
    """
    The link and the folder that it lies in, with their dates.
    """
    context, layers = boosted(builder), []

    for number in (1, 2):
        with built(context, "--no-cache") as image:
            layers.append([layer_entries(layer) for layer in saved_layers(image, tmp_path / f"saved{number}")])

    assert layers[0] == layers[1]


@pytest.mark.engine
def test_a_library_without_which_the_model_does_not_load_is_named_with_what_brings_it(
    builder: ImageBuilder,
    base,  # noqa: F811
    tmp_path: Path,
) -> None:
    """
    Package, library and the line that helps; on the base image that the line makes the same model loads.
    """
    viewer = {"cv2/cv2.so": elf.library("libGL.so.1", "libglib-2.0.so.0", name="cv2.so")}
    context = build(builder, f"{PACKAGES}/cv2/cv2.so", opencv_python=viewer)
    with built(context) as image, pytest.raises(BaseImageUnfit) as caught:
        looked_at(builder, image)
    # What apt-get would install, by hand: no package of a distribution is fetched here.
    for name in ("libGL.so.1", "libglib-2.0.so.0"):
        (tmp_path / name).write_bytes(elf.library(name=name))
    other = base(f"FROM {BASE}\nCOPY lib*.so* /usr/local/lib/\nRUN ldconfig\n")
    (tmp_path / "again").mkdir()
    with (
        image_builder_in(tmp_path / "again") as again,
        built(build(again, f"{PACKAGES}/cv2/cv2.so", base_image=other, opencv_python=viewer)) as image,
    ):
        findings = looked_at(again, image, other)

    assert f"the base image `{BASE}` has no libGL.so.1, which `opencv-python` is linked with" == caught.value.what
    assert f"`FROM {BASE}` with apt-get install libgl1 libglib2.0-0" in caught.value.fix
    assert "uv add opencv-python-headless" in caught.value.fix
    assert () == findings


@pytest.mark.engine
def test_what_the_model_does_not_load_may_be_missing(builder: ImageBuilder) -> None:
    """
    Numba has a part for every library that might be there, and does without.
    """
    context = build(
        builder, numba={"numba/tbbpool.so": elf.library("libtbb.so.12"), "numba/cuda.so": elf.library("libcuda.so.1")}
    )

    with built(context) as image:
        (finding,) = looked_at(builder, image)

    assert ("image-library-missing", "libtbb.so.12") == (finding.rule, finding.why)
    assert "`numba`" in finding.what
    assert "libtbb12" in finding.fix
