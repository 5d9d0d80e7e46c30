"""A base that was read before its release was verified is used for what it was read for."""

from pathlib import Path
from types import SimpleNamespace
from typing import cast

import pytest

from mlflow_uv.ops.image.builders import PreparationRequest
from mlflow_uv.ops.image.composed_base import ComposableBase, WantedBase
from mlflow_uv.ops.image.environment import Needs
from mlflow_uv.ops.image.prepared_parts import PartsMaker, ReadBase
from mlflow_uv.tools.toolbox import Tools

WANTED = WantedBase(name="r/base:1", architecture="amd64")
BASE = cast("ComposableBase", object())


@pytest.mark.parametrize(
    ("wanted", "python", "used"),
    [
        (WANTED, "3.12.1", True),
        (WantedBase(name="r/base:2", architecture="amd64"), "3.12.1", False),
        (WantedBase(name="r/base:1", architecture="arm64"), "3.12.1", False),
        (WANTED, "3.11.1", False),
    ],
    ids=["the same", "another name", "another platform", "another Python"],
)
def test_a_base_is_used_for_what_it_was_read_for(wanted: WantedBase, python: str, *, used: bool) -> None:
    """
    Of another one nobody compared whether it fits the model.
    """
    maker = PartsMaker(cast("PreparationRequest", None), Path(), cast("Tools", None))
    maker._read = ReadBase(wanted=WANTED, python="3.12.1", base=BASE)
    maker._base_is_read.set()
    needs = Needs(model=Path("model"), requirements=None, wheels=(), python=python)

    assert (BASE if used else None) is maker.base_for(wanted, needs)


def test_who_is_cancelled_ends_downloads_and_programs() -> None:
    """
    No signal interrupts the thread that waits for them.
    """
    ended: list[str] = []
    registries = SimpleNamespace(cancel=lambda: ended.append("downloads"))
    runner = SimpleNamespace(end_all=lambda: ended.append("programs"))
    tools = cast("Tools", SimpleNamespace(registries=registries, runner=runner))

    PartsMaker(cast("PreparationRequest", None), Path(), tools).cancel()

    assert ["downloads", "programs"] == ended
