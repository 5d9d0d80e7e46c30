"""What makes an image: every reason not to compose one has a class of its own, and leads to an engine where it may."""

import sys
from collections.abc import Callable, Sequence
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
    PythonNotComposable,
    RegistryNotReached,
    built_instead,
    may_compose,
    not_pushed,
    require_alternative,
    require_composing_inputs,
    unreadable_base,
)
from mlflow_uv.ops.image.composed_base import ComposableBase, wanted_bases
from mlflow_uv.ops.image.composed_packages import _require_few_layers
from mlflow_uv.ops.image.composed_platforms import require_kept
from mlflow_uv.ops.image.composed_push import require_push
from mlflow_uv.ops.image.composed_release import made_here
from mlflow_uv.ops.image.composed_sources import LoadObstacle, UnloadableLibrary, examined_packages, require_loadable
from mlflow_uv.ops.image.environment import Needs
from mlflow_uv.ops.lineage.recompute import RecomputedRelease
from mlflow_uv.tools.engines.engine import Engine
from mlflow_uv.tools.layers.compiler import InterpreterBroken
from mlflow_uv.tools.oci.repository import RegistryUnanswered
from mlflow_uv.tools.toolbox import Tools
from mlflow_uv.tools.uv.messages import InterpreterMissing, SourceNotBuilt
from tests.unit.tools.layers.test_saved_image import saved

from .test_composed_base import FILES, MUSL, FakeEngine, FakeRegistries, read

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
    base = cast("ComposableBase", SimpleNamespace(described=SimpleNamespace(name="base:1")))
    newer = UnloadableLibrary(package="plum", why="it needs a newer C library", obstacle=LoadObstacle.OLDER_BASE)
    require_loadable((newer,), examined_packages(frozenset({"plum"}), ()), base)


def unread() -> None:
    """A base that its registry does not return."""
    raise unreadable_base("base:1", "it does not answer", request=RegistryUnanswered("it does not answer"))


def not_reached() -> None:
    """A registry that an engine may reach."""

    def refuse(_name: str) -> None:
        raise RegistryUnanswered("it does not answer")

    tools = SimpleNamespace(registries=SimpleNamespace(require_push=refuse))
    require_push("r.example/wine:1", cast("Tools", tools), engine=cast("Engine", SimpleNamespace()))


def lacking_here(error: ToolFailed) -> Callable[[], None]:
    """What uv says of this machine while an image is composed."""

    def refuse() -> None:
        with made_here(Needs(model=Path("model"), requirements=None, wheels=(), python="3.12.1")):
            raise error

    return refuse


UNBUILT = SourceNotBuilt("plum", what="`uv pip install` failed", why="no cc")
NO_PYTHON = InterpreterMissing(what="`uv venv` failed", why="No interpreter found")
BROKEN_PYTHON = InterpreterBroken(what="the interpreter does not run", why="it was killed (SIGSEGV)")
# For each reason, what raises it, its class, and the class whose exit code it has.
REASONS: dict[str, tuple[Callable[[], None], type[NotComposable], type[StepError]]] = {
    "cache": (lambda: require_composing_inputs(("cache-from",)), ModelNotComposable, BadInput),
    "another machine": (for_another_machine, ModelNotComposable, BadInput),
    "unread base": (unread, BaseUnread, BaseImageMissing),
    "newer C library": (linked_too_new, BaseNotComposable, BaseImageUnfit),
    "layers": (lambda: _require_few_layers(groups(80), with_layers(43)), BaseNotComposable, BaseImageUnfit),
    "no compiler": (lacking_here(UNBUILT), PackageNotComposable, ToolFailed),
    "no interpreter": (lacking_here(NO_PYTHON), PythonNotComposable, ToolFailed),
    "broken interpreter": (lacking_here(BROKEN_PYTHON), PythonNotComposable, ToolFailed),
    "registry": (not_reached, RegistryNotReached, ToolFailed),
}


@pytest.mark.parametrize(("refuse", "kind", "of"), REASONS.values(), ids=REASONS)
def test_reasons_in_inputs_base_and_machine(
    refuse: Callable[[], None], kind: type[StepError], of: type[StepError]
) -> None:
    """
    Each has the exit code of the error that it is where only composing was wanted.
    """
    with pytest.raises(kind) as refused:
        refuse()

    assert (of.exit_code, of.__name__) == (refused.value.exit_code, refused.value.kind)
    assert isinstance(refused.value, NotComposable)


@pytest.mark.parametrize(
    ("files", "kind", "of"),
    [(MUSL, BaseNotComposable, BaseImageUnfit), (None, BaseUnread, BaseImageMissing)],
    ids=["no GNU C library", "not saved"],
)
def test_reasons_in_the_files_of_a_base(
    tmp_path: Path, files: dict[str, object] | None, kind: type[StepError], of: type[StepError]
) -> None:
    """
    One with musl, and one that only an engine has and does not save.
    """
    if files is not None:
        saved(tmp_path / "base", files)

    with pytest.raises(kind) as refused:
        read(tmp_path, FakeRegistries(None), FakeEngine(tmp_path / "base" / "image.tar"))

    assert (of.exit_code, of.__name__) == (refused.value.exit_code, refused.value.kind)
    with pytest.raises(BaseImageMissing):
        read(tmp_path, FakeRegistries(None), name="absent:1")
    saved(tmp_path / "fit", FILES)
    fit = FakeEngine(tmp_path / "fit" / "image.tar", id="sha256:fit")
    assert "fit:1" == read(tmp_path, FakeRegistries(None), fit, name="fit:1").described.name


def test_what_another_program_fails_with_is_no_reason() -> None:
    """
    A hash that differs, an index that denies access or a full disk stays an error: an engine would ignore none.
    """
    error = ToolFailed(what="`uv pip install` failed", why="Hash mismatch for `plum==1`")

    with pytest.raises(ToolFailed) as refused:
        lacking_here(error)()

    assert refused.value is error


def test_every_class_of_reasons_is_tested_here() -> None:
    """
    Each is raised by a test above or below.
    """
    tested = {kind for _, kind, _ in REASONS.values()}

    assert set(NotComposable.__subclasses__()) == tested


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
