"""The base of the first composed image on a machine is read early."""

import threading
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from mlflow_uv.command.errors import BadInput, ToolFailed
from mlflow_uv.command.inputs import EngineChoice, Serving
from mlflow_uv.core.image.composition import Compression
from mlflow_uv.ops.image.base_ahead import base_ahead, meanwhile
from mlflow_uv.ops.image.builders import AheadRequest, Builder, ComposeRequest
from mlflow_uv.tools.oci.repository import RegistryUnanswered
from mlflow_uv.tools.toolbox import Tools
from tests.unit.core.release.test_record import WHOLE


def tools_in(folder: Path, pull: Callable[..., Any], *, python: str = "3.12.3") -> Tools:
    """A machine whose registries answer so."""
    record = replace(WHOLE, model=replace(WHOLE.model, python=python))

    def load(path: Path) -> object:
        if not path.name:
            raise BadInput(what="there is no record")
        return record

    return cast(
        "Tools",
        SimpleNamespace(
            host=SimpleNamespace(machine="aarch64", cache=folder / "cache"),
            records=SimpleNamespace(load=load),
            registries=SimpleNamespace(pull=pull),
        ),
    )


@pytest.mark.parametrize(("name", "expected"), [("r/base:1", "r/base:1"), (None, "python:3.12-slim")])
def test_the_base_is_read_before_the_block_ends(tmp_path: Path, name: str | None, expected: str) -> None:
    """
    That which is named, or else that for the Python of the model.
    """
    asked: list[tuple[str, str]] = []

    def pull(base: str, architecture: str, _folder: Path) -> None:
        asked.append((base, architecture))

    with base_ahead(name, Path("record.json"), tools_in(tmp_path, pull)):
        pass

    assert [(expected, "arm64")] == asked


@pytest.mark.parametrize(
    "problem", [RegistryUnanswered("nobody answers"), ToolFailed(what="the image is broken"), OSError("no space")]
)
def test_what_goes_wrong_is_left_to_who_reads_it_next(tmp_path: Path, problem: Exception) -> None:
    """
    As is a record that cannot be read.
    """

    def pull(*_: object) -> None:
        raise problem

    with base_ahead("r/base:1", Path("record.json"), tools_in(tmp_path, pull)):
        pass
    with base_ahead(None, Path(), tools_in(tmp_path, pull)):
        pass


def test_who_needs_the_base_waits_until_it_is_read(tmp_path: Path) -> None:
    """
    It would be downloaded twice otherwise.
    """
    read = threading.Event()

    def pull(*_: object) -> None:
        read.wait(60.0)

    with base_ahead("r/base:1", Path("record.json"), tools_in(tmp_path, pull)) as base_is_read:
        waiting = threading.Thread(target=base_is_read)
        waiting.start()
        before = waiting.is_alive()
        read.set()
        waiting.join(60.0)

    assert (True, False) == (before, waiting.is_alive())


def test_a_machine_that_knows_a_base_reads_none(tmp_path: Path) -> None:
    """
    The next one with its layers there takes less than a tenth of a second.
    """
    facts = tmp_path / "cache" / "base-facts"
    facts.mkdir(parents=True)
    (facts / "1.json").write_text("{}")

    def pull(*_: object) -> None:
        raise AssertionError

    with base_ahead("r/base:1", Path("record.json"), tools_in(tmp_path, pull)):
        pass


class FakeMaker:
    """Makes one part, and another one unless it is stopped."""

    def __init__(self) -> None:
        self.parts: list[object] = []
        self.prepared: tuple[object, int] | None = None
        self.stopped = threading.Event()
        self.began = threading.Event()

    def prepare(self, release: object) -> None:
        """See MakerAhead."""
        self.prepared = (release, threading.get_ident())

    def make(self, release: object) -> None:
        """See MakerAhead."""
        self.parts.append(release)
        self.began.set()
        if self.stopped.wait(0.0 if self.parts == ["short"] else 60.0):
            self.parts.append("stopped")

    def stop(self) -> None:
        """See MakerAhead."""
        self.stopped.set()


def test_parts_are_made_after_the_base_was_read_and_before_the_block_ends() -> None:
    """
    Whoever leaves the block has them.
    """
    maker, order = FakeMaker(), []

    with meanwhile(lambda: order.append("base"), maker) as begin:
        begin(cast("Any", "short"))

    assert (["base"], ["short"], ("short", threading.get_ident())) == (order, maker.parts, maker.prepared)


def test_no_further_part_is_made_for_a_release_that_is_not_verified() -> None:
    """
    Its error is raised as soon as the part in work is made.
    """
    maker = FakeMaker()

    def verify() -> None:
        with meanwhile(lambda: None, maker) as begin:
            begin(cast("Any", "long"))
            maker.began.wait(60.0)
            raise ToolFailed(what="the chain is broken")

    with pytest.raises(ToolFailed):
        verify()

    assert ["long", "stopped"] == maker.parts


def request(**inputs: Any) -> AheadRequest:
    """An image that is pushed without an engine."""
    values: dict[str, Any] = {
        "name": "r/wine:1",
        "base": None,
        "base_layout": None,
        "platforms": (),
        "serving": Serving.LOCKED,
    }
    values |= {"layers_from": None, "compression": Compression.GZIP, "push": True, "oci_layout": None}
    own: dict[str, Any] = {"builder": Builder.AUTO, "engine": EngineChoice.NONE, "layers": True}
    compose = ComposeRequest(**{name: inputs.get(name, value) for name, value in values.items()})
    return AheadRequest(compose=compose, **{name: inputs.get(name, value) for name, value in own.items()})


@pytest.mark.parametrize(
    ("inputs", "layers", "base"),
    [
        ({}, True, True),
        ({"engine": EngineChoice.AUTO}, True, False),
        ({"builder": Builder.ENGINE}, False, False),
        ({"layers_from": "auto"}, False, True),
        ({"platforms": ("linux/amd64", "linux/arm64")}, False, True),
        ({"layers": False}, False, True),
        ({"push": False}, True, False),
        ({"base_layout": Path("base")}, True, False),
    ],
)
def test_only_what_is_needed_in_any_case_is_made_ahead(inputs: dict[str, Any], *, layers: bool, base: bool) -> None:
    """
    Layers of another image are taken, and an engine may have another base.
    """
    wanted = request(**inputs)

    assert (layers, base) == (wanted.makes_layers, wanted.reads_base)
