"""A disk that is full while an image is built is named, whichever disk it is."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from mlflow_uv.command.errors import NoSpace
from mlflow_uv.tools.engines.docker import Docker
from mlflow_uv.tools.engines.engine import Build
from mlflow_uv.tools.engines.podman import Podman
from mlflow_uv.tools.system.process import SystemRunner

from .images import BASE, image_builder_in
from .podman_storage import podman_storage_in

# In a build /dev is a memory of 64 MB, which is full sooner than a disk.
FILLING = f"""\
FROM {BASE}
RUN ["python3", "-c", "open('/dev/much', 'wb').write(bytes(1 << 27))"]
"""


def test_a_folder_to_build_from_that_does_not_fit_is_named(tmp_path: Path, disk: Callable[[str], Path]) -> None:
    """
    The disk here is full: where, and what would move it elsewhere.
    """
    disk("1m")
    with image_builder_in(tmp_path) as builder:
        model = builder.model("model")
        with pytest.raises(NoSpace) as caught:
            builder.context("disk/context", model)
    result = caught.value

    assert ("the build context cannot be written", True) == (result.what, "No space left" in result.why)
    assert "TMPDIR" in result.fix


@pytest.mark.engine
def test_a_build_that_finds_no_space_says_so(tmp_path: Path) -> None:
    """
    What the kernel tells a program in the build is not lost in the engine's last word.
    """
    (tmp_path / "Dockerfile").write_text(FILLING)
    engine = Docker(SystemRunner(), variables=dict(os.environ), on_line=print)

    with pytest.raises(NoSpace) as caught:
        engine.build(Build(context=tmp_path, secrets={}))

    assert "a disk of the engine is full" in caught.value.what
    assert "docker system df" in caught.value.fix


@pytest.mark.engine
@pytest.mark.extended
def test_an_engine_whose_own_disk_is_full_says_so(
    tmp_path: Path, disk: Callable[[str], Path], podman_program: str
) -> None:
    """
    The base image just fits; what is installed on it does not.
    """
    volume = disk("150m")
    with (
        image_builder_in(tmp_path) as builder,
        podman_storage_in(tmp_path, podman_program, store=volume / "store") as variables,
    ):
        context = builder.context("context", builder.model("model"))
        (volume / "filler").write_bytes(bytes(os.statvfs(volume).f_bavail * 4096 - (5 << 20)))
        engine = Podman(SystemRunner(), variables={**os.environ, **variables}, on_line=print)
        with pytest.raises(NoSpace) as caught:
            engine.build(Build(context=context, secrets={}))

    assert "a disk of the engine is full" in caught.value.what
