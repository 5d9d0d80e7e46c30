"""What is said where a registry refuses a composed image, and when an engine may push one instead."""

from pathlib import Path
from types import SimpleNamespace
from typing import cast

import pytest

from mlflow_uv.command.errors import ToolFailed
from mlflow_uv.core.image.composition import ZSTD_TYPE, BaseLayers, Blob, LayerBlob, composed
from mlflow_uv.core.image.reference import reach_fix
from mlflow_uv.ops.image.builders import NotComposable, RegistryNotReached
from mlflow_uv.ops.image.composed_push import push_composed, require_push
from mlflow_uv.tools.engines.engine import Engine
from mlflow_uv.tools.oci.repository import RegistryUnanswered
from mlflow_uv.tools.toolbox import Tools
from tests.console import KeptConsole

ENGINE = cast("Engine", SimpleNamespace(name="docker"))


def tools_of(folder: Path, *, denied: bool) -> Tools:
    """The tools with a registry that refuses everything."""

    def refuse(*_: object) -> None:
        raise RegistryUnanswered("it says no", denied=denied)

    registries = SimpleNamespace(push=refuse, require_push=refuse)
    return cast(
        "Tools", SimpleNamespace(registries=registries, console=KeptConsole(), host=SimpleNamespace(cache=folder))
    )


@pytest.mark.parametrize(
    ("denied", "fix"),
    [(True, "docker login r.example"), (False, reach_fix("r.example/wine", untrusted=False))],
)
def test_a_refused_push_names_the_fix(tmp_path: Path, denied: bool, fix: str) -> None:
    """
    A login, or the way to the registry.
    """
    config = {"os": "linux", "architecture": "amd64", "rootfs": {"type": "layers", "diff_ids": []}}
    image = composed(BaseLayers(config=config, layers=()), (), {})

    with pytest.raises(ToolFailed, match="it says no") as refused:
        push_composed("r.example/wine:1", image, {}, tools_of(tmp_path, denied=denied))

    assert fix == str(refused.value.fix)


def test_a_refused_push_of_layers_of_zstd_names_the_other_compression(tmp_path: Path) -> None:
    """
    Not every registry takes their type; a missing login is still the reason that it is.
    """
    config = {"os": "linux", "architecture": "amd64", "rootfs": {"type": "layers", "diff_ids": []}}
    blob = Blob(media_type=ZSTD_TYPE, digest="sha256:1", size=1)
    image = composed(BaseLayers(config=config, layers=()), (LayerBlob(name="x", blob=blob, diff_id="sha256:2"),), {})

    fixes = []
    for denied in (False, True):
        with pytest.raises(ToolFailed, match="it says no") as refused:
            push_composed("r.example/wine:1", image, {}, tools_of(tmp_path, denied=denied))
        fixes.append(str(refused.value.fix))

    assert fixes == [
        "--compression gzip, if the registry does not take layers that zstd compressed", "docker login r.example",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("denied", "engine", "kind"),
    [(False, ENGINE, RegistryNotReached), (False, None, ToolFailed), (True, ENGINE, ToolFailed)],
    ids=["an engine may reach it", "nothing else pushes", "denied"],
)
def test_only_a_registry_without_a_response_is_left_to_the_engine(
    tmp_path: Path, denied: bool, engine: Engine | None, kind: type[ToolFailed]
) -> None:
    """
    An engine may be set up for it, as one without TLS or behind a proxy; a denied login is denied there, too.
    """
    with pytest.raises(ToolFailed, match="it says no") as refused:
        require_push("r.example/wine:1", tools_of(tmp_path, denied=denied), engine=engine)

    assert (kind, kind is RegistryNotReached) == (type(refused.value), isinstance(refused.value, NotComposable))
    assert "ToolFailed" == refused.value.kind


def test_a_registry_that_takes_the_push_is_no_reason() -> None:
    """
    It is asked for the name that is pushed, once.
    """
    asked: list[str] = []
    tools = cast("Tools", SimpleNamespace(registries=SimpleNamespace(require_push=asked.append)))

    require_push("r.example/wine:1", tools, engine=ENGINE)

    assert ["r.example/wine:1"] == asked
