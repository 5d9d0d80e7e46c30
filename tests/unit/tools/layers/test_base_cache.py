"""What is known of a base image; tests/unit/ops/image/test_composed_base.py reads bases with it."""

from pathlib import Path, PurePosixPath

import pytest

from mlflow_uv.tools.layers.base_cache import BaseCache, BaseFacts
from mlflow_uv.tools.layers.loader import Loader
from mlflow_uv.tools.layers.saved_image import BasePython
from tests.unit.tools.layers.test_saved_image import PYTHON, saved

SOME = BaseFacts(
    python=BasePython(
        command=PurePosixPath("/usr/bin/python3"), version="3.12.7", library=PurePosixPath("/usr/lib/python3.12")
    ),
    glibc=(2, 36),
    features=frozenset({"GLIBC_ABI_DT_RELR", "GLIBC_ABI_GNU2_TLS"}),
    cxx={"GLIBCXX": (3, 4, 30), "CXXABI": (1, 3, 13)},
    loader=Loader(names=("libc.so.6", "libm.so.6"), folder=PurePosixPath("/usr/lib/x86_64-linux-gnu")),
    used=("/opt/venv",),
    has_model=True,
)
NONE = BaseFacts(
    python=None,
    glibc=None,
    features=frozenset(),
    cxx={},
    loader=Loader(names=(), folder=None),
    used=(),
    has_model=False,
)


@pytest.mark.parametrize("facts", [SOME, NONE], ids=["some", "none"])
def test_facts_are_those_that_were_kept(tmp_path: Path, facts: BaseFacts) -> None:
    """
    By the id of the image, in another process, too.
    """
    image = saved(tmp_path / "base", PYTHON)
    BaseCache(tmp_path / "cache").add("sha256:1", image, facts)

    known = BaseCache(tmp_path / "cache").find("sha256:1", tmp_path / "scratch")

    assert known is not None
    assert (image.base, facts) == (known[0].base, known[1])
    assert image.tree.below(PurePosixPath("/")) == known[0].tree.below(PurePosixPath("/"))
    assert BaseCache(tmp_path / "cache").find("sha256:2", tmp_path / "scratch") is None


def test_layers_that_were_verified_a_moment_ago_are_not_read_again(tmp_path: Path) -> None:
    """
    Any other one is compared with its digest, also if a file elsewhere was verified in its place.
    """
    image = saved(tmp_path / "base", PYTHON)
    kept = BaseCache(tmp_path / "cache").add("sha256:1", image, SOME).archives
    elsewhere = {digest: tmp_path / "layout" / archive.name for digest, archive in kept.items()}
    for archive in kept.values():
        archive.write_bytes(b"changed")

    known = [
        BaseCache(tmp_path / "cache").find("sha256:1", tmp_path / f"scratch-{at}", verified=verified) is not None
        for at, verified in enumerate(({}, elsewhere, kept))
    ]

    assert [False, False, True] == known
