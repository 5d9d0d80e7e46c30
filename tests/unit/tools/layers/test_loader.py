"""Which shared libraries the loader of an image finds."""

from pathlib import Path, PurePosixPath
from typing import Any

from mlflow_uv.tools.layers.loader import Loader, loader_of

from .test_saved_image import PYTHON, saved

FILES: dict[str, Any] = {
    **PYTHON,
    "usr/lib/x86_64-linux-gnu/libz.so.1": "libz.so.1.3",
    "usr/lib/x86_64-linux-gnu/deep/libdeep.so": b"",
    "opt/cuda/lib/libcudart.so.12": b"",
    "opt/mine/libmine.so": b"",
    "srv/libnowhere.so": b"",
    "etc/ld.so.conf": b"include /etc/ld.so.conf.d/*.conf\ninclude /etc/ld.so.conf # itself\n",
    "etc/ld.so.conf.d/cuda.conf": b"# where CUDA is\n/opt/cuda/lib\n",
    "etc/ld.so.conf.d/other.txt": b"/srv\n",
}


def test_the_folders_of_the_loader_are_those_of_the_image(tmp_path: Path) -> None:
    """
    A link to a folder, its configuration with includes, and LD_LIBRARY_PATH; not what is below these folders.
    """
    image = saved(tmp_path, FILES, environment=("LD_LIBRARY_PATH=/opt/mine:relative:",))

    loader = loader_of(image, "x86_64")

    assert PurePosixPath("/usr/lib/x86_64-linux-gnu") == loader.folder
    assert {"libc.so.6", "libz.so.1", "libcudart.so.12", "libmine.so"} <= set(loader.names)
    assert {"libdeep.so", "libnowhere.so"}.isdisjoint(loader.names)
    assert list(loader.names) == sorted(set(loader.names))


def test_an_image_without_a_c_library_has_no_place_for_links(tmp_path: Path) -> None:
    """
    Nor any name, if it has none of these folders.
    """
    assert Loader(names=(), folder=None) == loader_of(saved(tmp_path, {"etc/issue": b""}), "x86_64")
