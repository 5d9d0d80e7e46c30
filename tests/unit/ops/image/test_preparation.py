"""The base and the layers of a composed image are prepared before its release is verified."""

import json
import sys
import threading
import traceback
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from mlflow_uv.command.errors import BadInput, Cancelled, ToolFailed
from mlflow_uv.command.inputs import EngineChoice, Serving
from mlflow_uv.core.image.composition import Compression
from mlflow_uv.core.image.oci_manifest import PulledImage
from mlflow_uv.ops.image.builders import Builder, ComposeRequest, PreparationRequest
from mlflow_uv.ops.image.preparation import making_parts, reading_base
from mlflow_uv.tools.oci.registries import RegistryImage
from mlflow_uv.tools.oci.repository import RegistryUnanswered
from mlflow_uv.tools.system.threads import await_end
from mlflow_uv.tools.toolbox import Tools
from tests.unit.core.release.test_record import WHOLE
from tests.unit.ops.image.test_composed_base import DIGEST, FILES
from tests.unit.tools.layers.test_saved_image import saved
from tests.waiting import CEILING_S, happens


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

    with reading_base(name, Path("record.json"), tools_in(tmp_path, pull)):
        pass

    assert [(expected, "arm64")] == asked


@pytest.mark.parametrize(
    "problem", [RegistryUnanswered("nobody answers"), ToolFailed(what="the image is broken"), OSError("no space")]
)
def test_an_error_is_left_to_whoever_reads_the_base_next(tmp_path: Path, problem: Exception) -> None:
    """
    As is a record that cannot be read.
    """

    def pull(*_: object) -> None:
        raise problem

    with reading_base("r/base:1", Path("record.json"), tools_in(tmp_path, pull)):
        pass
    with reading_base(None, Path(), tools_in(tmp_path, pull)):
        pass


def is_waiting(thread: threading.Thread) -> bool:
    """Whether a thread waits for the end of another one."""
    frame = sys._current_frames()[thread.ident or 0]
    return any(outer.f_code is await_end.__code__ for outer, _ in traceback.walk_stack(frame))


def test_whoever_needs_the_base_waits_until_it_is_read(tmp_path: Path) -> None:
    """
    It would be downloaded twice otherwise.
    """
    events: list[str] = []
    returned = threading.Event()

    def pull(*_: object) -> None:
        assert happens(lambda: returned.is_set() or is_waiting(threading.main_thread()))
        events.append("read")

    with reading_base("r/base:1", Path("record.json"), tools_in(tmp_path, pull)) as base_is_read:
        base_is_read()
        events.append("returned")
        returned.set()

    assert ["read", "returned"] == events


def test_the_base_that_was_read_is_passed_on_with_what_was_unpacked_of_it(tmp_path: Path) -> None:
    """
    Its files are there until the block ends; a registry that has none returns nothing.
    """
    image = saved(tmp_path / "base", FILES)

    def pull(*_: object) -> RegistryImage:
        config = json.dumps({**image.base.config, "architecture": "arm64"}).encode()
        pulled = PulledImage(config=config, layers=image.base.layers)
        return RegistryImage(digest=DIGEST, image=pulled, archives=image.archives)

    with reading_base("r/base:1", Path("record.json"), tools_in(tmp_path / "one", pull)) as wait:
        base: Any = wait()
        there = [path.is_file() for path in base.plain]
    with reading_base("r/base:1", Path("record.json"), tools_in(tmp_path / "two", lambda *_: None)) as wait:
        nothing = wait()

    assert ([True], image.base.layers, None) == (there, base.base.layers, nothing)
    assert not any(path.is_file() for path in base.plain)


def test_a_machine_that_knows_a_base_reads_none(tmp_path: Path) -> None:
    """
    The next one with its layers there takes less than a tenth of a second.
    """
    facts = tmp_path / "cache" / "base-facts"
    facts.mkdir(parents=True)
    (facts / "1.json").write_text("{}")

    def pull(*_: object) -> None:
        raise AssertionError

    with reading_base("r/base:1", Path("record.json"), tools_in(tmp_path, pull)):
        pass


class FakeMaker:
    """Makes one part, and another one unless it is stopped."""

    def __init__(self) -> None:
        self.parts: list[object] = []
        self.environment: tuple[object, int] | None = None
        self.stopped = threading.Event()
        self.began = threading.Event()

    def create_environment(self, release: object) -> None:
        """See ImagePreparation."""
        self.environment = (release, threading.get_ident())

    def make(self, release: object, image: object) -> None:
        """See ImagePreparation."""
        self.parts += [release] if image is None else [image, release]
        self.began.set()
        if self.stopped.wait(0.0 if release == "short" else CEILING_S):
            self.parts.append("stopped")

    def base_for(self, wanted: object, needs: object) -> object:
        """See ImagePreparation."""
        raise NotImplementedError

    def parts_for(self, wanted: object, base: object, *, on_layer: object = None) -> object:
        """See ImagePreparation."""
        raise NotImplementedError

    def stop(self) -> None:
        """See ImagePreparation."""
        self.stopped.set()

    def cancel(self) -> None:
        """See ImagePreparation."""
        self.parts.append("cancelled")
        self.stopped.set()


def test_parts_are_made_after_the_base_was_read_and_before_the_block_ends() -> None:
    """
    The environment is created in the thread that prints.
    """
    maker = FakeMaker()

    with making_parts(lambda: cast("Any", "base"), maker) as begin:
        begin(cast("Any", "short"))

    assert (["base", "short"], ("short", threading.get_ident())) == (maker.parts, maker.environment)


def test_no_further_part_is_made_for_a_release_that_is_not_verified() -> None:
    """
    Its error is raised as soon as the part in work is made.
    """
    maker = FakeMaker()

    def verify() -> None:
        with making_parts(lambda: None, maker) as begin:
            begin(cast("Any", "long"))
            maker.began.wait(CEILING_S)
            raise ToolFailed(what="the chain is broken")

    with pytest.raises(ToolFailed):
        verify()

    assert ["long", "stopped"] == maker.parts


@pytest.mark.parametrize("interruption", [Cancelled, KeyboardInterrupt])
def test_a_step_that_is_cancelled_waits_neither_for_a_part_nor_for_the_base(
    tmp_path: Path, interruption: type[BaseException]
) -> None:
    """
    A slow registry would keep it until the base is whole, and a slow index until uv has the last wheel.
    """
    maker, reading, cancelled, ended = FakeMaker(), threading.Event(), threading.Event(), []

    def pull(*_: object) -> None:
        reading.set()
        ended.append(cancelled.wait(CEILING_S))

    tools: Any = tools_in(tmp_path, pull)
    tools.registries.cancel = cancelled.set

    def verify() -> None:
        with reading_base("r/base:1", Path("record.json"), tools), making_parts(lambda: None, maker) as begin:
            begin(cast("Any", "long"))
            maker.began.wait(CEILING_S)
            reading.wait(CEILING_S)
            raise interruption

    with pytest.raises(interruption):
        verify()

    assert (["long", "cancelled", "stopped"], [True]) == (maker.parts, ended)


def request(**inputs: Any) -> PreparationRequest:
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
    return PreparationRequest(compose=compose, **{name: inputs.get(name, value) for name, value in own.items()})


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
def test_only_what_is_needed_in_any_case_is_prepared(inputs: dict[str, Any], *, layers: bool, base: bool) -> None:
    """
    Layers of another image are taken, and an engine may have another base.
    """
    image = request(**inputs)

    assert (layers, base) == (image.makes_layers, image.reads_base)
