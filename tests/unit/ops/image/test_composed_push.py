"""What is said where a registry refuses a composed image, and when an engine may push one instead."""

from pathlib import Path
from types import SimpleNamespace
from typing import cast

import pytest

from mlflow_uv.command.errors import ToolFailed
from mlflow_uv.core.image.composition import BaseLayers, composed
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


@pytest.mark.parametrize(("denied", "fix"), [(True, "docker login r.example"), (False, "reach r.example from here")])
def test_a_refused_push_names_the_fix(tmp_path: Path, denied: bool, fix: str) -> None:
    """
    A login, or the way to the registry.
    """
    config = {"os": "linux", "architecture": "amd64", "rootfs": {"type": "layers", "diff_ids": []}}
    image = composed(BaseLayers(config=config, layers=()), (), {})

    with pytest.raises(ToolFailed, match="it says no") as refused:
        push_composed("r.example/wine:1", image, {}, tools_of(tmp_path, denied=denied))

    assert fix == str(refused.value.fix)


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
