"""Which bases the images of a release need; tests/cases/test_composed_platforms.py composes some."""

from pathlib import Path
from types import SimpleNamespace
from typing import cast

import pytest

from mlflow_uv.command.errors import BadInput
from mlflow_uv.ops.image.composed_base import wanted_bases
from mlflow_uv.ops.image.composed_platforms import require_kept
from mlflow_uv.ops.image.environment import Needs
from mlflow_uv.tools.engines.engine import Engine
from mlflow_uv.tools.toolbox import Tools

NEEDS = Needs(model=Path("model"), requirements=None, wheels=(), python="3.12.1")
TOOLS = cast("Tools", SimpleNamespace(host=SimpleNamespace(machine="x86_64")))
REMOTE = cast("Engine", SimpleNamespace(architecture=lambda: "arm64"))


@pytest.mark.parametrize(
    ("platforms", "engine", "architectures", "alone"),
    [
        ((), None, ["amd64"], True),
        ((), REMOTE, ["arm64"], True),
        (("linux/arm64",), None, ["arm64"], True),
        (("linux/arm64", "linux/amd64"), REMOTE, ["arm64", "amd64"], False),
    ],
    ids=["this machine", "a remote engine", "another platform", "several"],
)
def test_each_platform_has_a_base(
    platforms: tuple[str, ...], engine: Engine | None, architectures: list[str], alone: bool
) -> None:
    """
    Of several, none is the copy that an engine has.
    """
    bases = wanted_bases(None, platforms, NEEDS, engine, TOOLS)

    assert architectures == [base.architecture for base in bases]
    assert {(alone, "python:3.12-slim")} == {(base.alone, base.name) for base in bases}


def test_an_image_that_nothing_here_starts_is_kept_elsewhere() -> None:
    """
    An engine of another machine may be the one that starts it.
    """
    bases = wanted_bases(None, ("linux/arm64",), NEEDS, None, TOOLS)

    require_kept(bases, REMOTE, TOOLS)
    with pytest.raises(BadInput, match="must be pushed, or written as an OCI layout"):
        require_kept(bases, None, TOOLS)
