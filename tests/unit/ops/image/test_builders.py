"""What makes an image: every reason not to compose one has a class of its own, and leads to an engine where it may."""

import sys
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import cast

import pytest

from mlflow_uv.command.errors import BadInput, BaseImageMissing, BaseImageUnfit, StepError, ToolFailed
from mlflow_uv.command.report import Severity
from mlflow_uv.core.export.requirements import parse_requirements
from mlflow_uv.core.image.composition import Blob
from mlflow_uv.core.image.layer_grouping import LayerGroup
from mlflow_uv.core.lock.selection import Selection
from mlflow_uv.core.model.model_files import LOCK, MANIFEST
from mlflow_uv.ops.image.builders import (
    BaseNotComposable,
    BaseUnread,
    Builder,
    ModelNotComposable,
    NotComposable,
    PackageNotComposable,
    built_instead,
    may_compose,
    not_pushed,
    require_alternative,
    require_composing_inputs,
)
from mlflow_uv.ops.image.composed_base import ComposableBase, unreadable_base
from mlflow_uv.ops.image.composed_platforms import require_kept, wanted_bases
from mlflow_uv.ops.image.composed_release import _require_composable, _require_few_layers
from mlflow_uv.ops.image.composed_sources import _too_new
from mlflow_uv.ops.image.environment import Needs
from mlflow_uv.ops.lineage.recompute import RecomputedRelease
from mlflow_uv.tools.toolbox import Tools

MINOR = f"{sys.version_info.major}.{sys.version_info.minor}"
HASH = f"sha256:{'0' * 64}"
PLUM = """
[[package]]
name = "plum"
version = "1"
source = { registry = "https://example.invalid/simple" }
"""
SDIST = f'sdist = {{ url = "https://example.invalid/plum-1.tar.gz", hash = "{HASH}", size = 1 }}\n'
WHEEL = f'wheels = [{{ url = "https://example.invalid/plum-1-py3-none-any.whl", hash = "{HASH}", size = 1 }}]\n'
BASE = cast(
    "ComposableBase",
    SimpleNamespace(python=SimpleNamespace(version=f"{MINOR}.1"), machine="x86_64", glibc=(2, 36)),
)
# Where no source distribution is built for that base.
ELSEWHERE = cast("Tools", SimpleNamespace(host=SimpleNamespace(machine="aarch64")))


def model_in(folder: Path, package: str, requirement: str) -> tuple[Needs, RecomputedRelease]:
    """A model whose lock has one package."""
    lock = f"""version = 1
requires-python = ">={MINOR}"

[[package]]
name = "wine"
source = {{ virtual = "." }}
dependencies = [{{ name = "plum" }}]
{package}"""
    for name, text in {LOCK: lock, MANIFEST: '[project]\nname = "wine"\nversion = "1"\n'}.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)
    needs = Needs(model=folder, requirements=parse_requirements(requirement), wheels=(), python=f"{MINOR}.1")
    release = SimpleNamespace(model=folder, record=SimpleNamespace(selection=Selection()))
    return needs, cast("RecomputedRelease", release)


def with_layers(count: int) -> ComposableBase:
    """A base with so many layers."""
    layers = tuple(Blob(media_type="x", digest=f"sha256:{number}", size=1) for number in range(count))
    image = SimpleNamespace(base=SimpleNamespace(layers=layers))
    return cast("ComposableBase", SimpleNamespace(described=SimpleNamespace(name="base:1"), image=image))


def groups(count: int) -> Sequence[LayerGroup]:
    """So many layers of packages."""
    return [LayerGroup(name=str(number), packages=()) for number in range(count)]


def for_another_machine() -> None:
    """An image that nothing here starts and nothing keeps."""
    needs = Needs(model=Path("model"), requirements=None, wheels=(), python="3.12.1")
    tools = cast("Tools", SimpleNamespace(host=SimpleNamespace(machine="x86_64")))
    require_kept(wanted_bases(None, ("linux/arm64",), needs, None, tools), None, tools)


def linked_too_new() -> None:
    """A source distribution whose result needs a newer C library."""
    base = cast("ComposableBase", SimpleNamespace(described=SimpleNamespace(name="base:1"), glibc=(2, 28)))
    raise _too_new("plum", "plum.so", "2.36", base)


def unread() -> None:
    """A base that its registry does not return."""
    raise unreadable_base("base:1", "it does not answer")


@pytest.mark.parametrize(
    ("refuse", "kind", "of"),
    [
        (lambda: require_composing_inputs(("cache-from",)), ModelNotComposable, BadInput),
        (for_another_machine, ModelNotComposable, BadInput),
        (unread, BaseUnread, BaseImageMissing),
        (linked_too_new, BaseNotComposable, BaseImageUnfit),
        (lambda: _require_few_layers(groups(80), with_layers(43)), BaseNotComposable, BaseImageUnfit),
    ],
    ids=["cache", "another machine", "unread base", "newer C library", "layers"],
)
def test_reasons_in_inputs_and_base(refuse: Callable[[], None], kind: type[StepError], of: type[StepError]) -> None:
    """
    Each has the exit code of the error that it is where only composing was wanted.
    """
    with pytest.raises(kind) as refused:
        refuse()

    assert (of.exit_code, of.__name__) == (refused.value.exit_code, refused.value.kind)
    assert isinstance(refused.value, NotComposable)


def test_an_image_may_have_as_many_layers_as_engines_accept() -> None:
    """
    Those of the base, of the packages, and five others.
    """
    _require_few_layers(groups(80), with_layers(42))


@pytest.mark.parametrize(
    ("package", "requirement", "kind", "of"),
    [
        (PLUM + SDIST, f"plum==1 --hash={HASH}\n", PackageNotComposable, ToolFailed),
        (PLUM + WHEEL, "plum==1\n", ModelNotComposable, BadInput),
        (None, f"plum==1 --hash={HASH}\n", ModelNotComposable, BadInput),
    ],
    ids=["no wheel", "no hash", "no lock"],
)
def test_reasons_in_the_lock(
    tmp_path: Path, package: str | None, requirement: str, kind: type[StepError], of: type[StepError]
) -> None:
    """
    A package without a wheel or a hash, or a model without a lock; with all three there is no reason.
    """
    needs, release = model_in(tmp_path / "model", package or PLUM + WHEEL, requirement)
    if package is None:
        (tmp_path / "model" / LOCK).unlink()
    good, fine = model_in(tmp_path / "good", PLUM + WHEEL, f"plum==1 --hash={HASH}\n")

    with pytest.raises(kind) as refused:
        _require_composable(needs, release, [BASE], ELSEWHERE)

    assert (of.exit_code, of.__name__) == (refused.value.exit_code, refused.value.kind)
    assert ["wine", "plum"] == [
        package.name for package in _require_composable(good, fine, [BASE], ELSEWHERE)[0].packages
    ]
    with pytest.raises(ModelNotComposable):
        _require_composable(replace(good, requirements=None), fine, [BASE], ELSEWHERE)


@pytest.mark.parametrize("builder", list(Builder))
@pytest.mark.parametrize("has_use", [True, False])
def test_only_an_engine_that_is_asked_for_keeps_from_composing(builder: Builder, has_use: bool) -> None:
    """
    What no engine, registry or layout gets is not composed.
    """
    assert (has_use and builder is not Builder.ENGINE) == may_compose(builder, has_use=has_use)


def test_a_refusal_ends_the_step_where_composing_was_wanted() -> None:
    """
    By name, or by an input that only a composed image has; else the reason is in a notice.
    """
    refused = PackageNotComposable(what="`plum` has no wheel", why="it would be built from source", fix="--x")

    require_alternative(refused, Builder.AUTO, needs_composing=False)
    for builder, needs_composing in ((Builder.COMPOSE, False), (Builder.AUTO, True)):
        with pytest.raises(PackageNotComposable):
            require_alternative(refused, builder, needs_composing=needs_composing)
    notice = built_instead(refused, "docker")
    warning = not_pushed(refused)

    assert (Severity.NOTICE, Severity.WARNING) == (notice.severity, warning.severity)
    assert "docker builds the image, because it cannot be composed: `plum` has no wheel" == notice.what
    assert "it would be built from source" == notice.why
