"""Decides what makes an image: it is composed wherever that is possible, and else a container engine builds it."""

from collections.abc import Collection
from enum import Enum
from pathlib import Path
from typing import Any, Protocol

from ...command.errors import BadInput, BaseImageMissing, BaseImageUnfit, StepError, ToolFailed
from ...command.inputs import EngineChoice, Serving
from ...command.report import Finding, Severity
from ...command.wording import Wording, option
from ...core.image.composition import Compression
from ...core.image.reference import UnansweredRequest, registry_fix
from ...core.lock.install_findings import needed_by
from ...core.lock.placement import Placement
from ...payloads.messages.lazy_dataclass import lazy_dataclass
from ..lineage.recompute import RecomputedRelease

ENGINE_BUILDS = option("builder", "engine")


class Builder(Enum):
    """What makes the image: its layers are computed from wheels, an engine installs the packages, or either."""

    AUTO = "auto"
    COMPOSE = "compose"
    ENGINE = "engine"


class NotComposable(StepError):
    """An image cannot be composed, and an engine could build it; each subclass has the exit code of its other base."""


class BaseNotComposable(NotComposable, BaseImageUnfit):
    """Wheels cannot be put on the base image."""


class BaseUnread(NotComposable, BaseImageMissing):
    """The files of the base image cannot be read without starting it."""


class PackageNotComposable(NotComposable, ToolFailed):
    """A package of the lock has no wheel for the base image."""


class PythonNotComposable(NotComposable, ToolFailed):
    """No Python of the model's version is on this machine, so nothing compiles the packages."""


class RegistryNotReached(NotComposable, ToolFailed):
    """The registry to which the image is pushed does not respond to this program; an engine may be set up for it."""


class ModelNotComposable(NotComposable, BadInput):
    """The model, or an input, does not determine the layers of an image."""


class ImagePreparation(Protocol):
    """Makes parts of an image before its release is verified; see `prepared_parts.PartsMaker`."""

    def create_environment(self, release: RecomputedRelease) -> None:
        """Create the environment of the project, if parts of the image are made; raises nothing."""

    def make(self, release: RecomputedRelease, base: object) -> None:
        """
        Make the parts of a release that is not verified; raises nothing.

        What was unpacked of a `base` that was read before (`SavedImage`) is used. This module does not import its type.
        """

    def base_for(self, wanted: Any, needs: Any) -> Any:
        """The ComposableBase of a WantedBase and what needs it (see `composed_base`), None if it is another one."""

    def parts_for(self, wanted: Any, base: Any, *, on_layer: Any = None) -> Any:
        """The PackageParts of WantedPackages on a base (see `composed`), None if they are others."""

    def stop(self) -> None:
        """Let it begin no further layer."""

    def cancel(self) -> None:
        """End what it waits for too, because the step was cancelled."""


@lazy_dataclass
class ComposeRequest:
    """
    The inputs of build-image for a composed image; `name` is the requested one, `verify` the value of VERIFY.

    What a `preparation` made is used if it is what is wanted.
    """

    name: str | None
    base: str | None
    base_layout: Path | None
    platforms: tuple[str, ...]
    serving: Serving
    layers_from: str | None
    compression: Compression
    push: bool
    oci_layout: Path | None
    verify: str = ""
    preparation: ImagePreparation | None = None


@lazy_dataclass
class PreparationRequest:
    """The image that is composed if nothing prevents that; `layers` says whether the step needs its layers."""

    builder: Builder
    engine: EngineChoice
    compose: ComposeRequest
    layers: bool

    @property
    def makes_layers(self) -> bool:
        """Whether its layers are made: not if they are taken from another image, nor for several platforms."""
        compose = self.compose
        one = not compose.layers_from and len(compose.platforms) <= 1
        return self.layers and one and self.builder is not Builder.ENGINE

    @property
    def reads_base(self) -> bool:
        """Whether its base is read from a registry: not if an engine or a folder may have it."""
        alone = self.engine is EngineChoice.NONE and not self.compose.base_layout
        return alone and self.is_composed(has_engine=False)

    def is_composed(self, *, has_engine: bool) -> bool:
        """Whether the image is composed, unless it turns out that it cannot be: see `may_compose`."""
        compose = self.compose
        return may_compose(self.builder, has_use=has_engine or compose.push or compose.oci_layout is not None)


def may_compose(builder: Builder, *, has_use: bool) -> bool:
    """
    Whether an image is composed, unless it turns out that it cannot be.

    `has_use` says that something gets it: an engine, a registry or an OCI layout.
    """
    return builder is not Builder.ENGINE and has_use


def require_composing_inputs(given: Collection[str]) -> None:
    """Raise ModelNotComposable for inputs (`cache-from`) of a build by an engine."""
    for name in given:
        raise ModelNotComposable(
            what=f"`{name}` has no effect on a composed image",
            why="it is an input of a build by an engine",
            fix=Wording(ENGINE_BUILDS, f", or no `{name}`"),
        )


def require_alternative(refused: NotComposable, builder: Builder, *, needs_composing: bool) -> None:
    """Raise the refusal again, unless an engine or a process may take the place of composing."""
    if builder is not Builder.AUTO or needs_composing:
        raise refused


def built_instead(refused: NotComposable, engine: str) -> Finding:
    """Return the notice that an engine builds an image that cannot be composed."""
    return Finding(
        rule="image-not-composed",
        severity=Severity.NOTICE,
        what=f"{engine} builds the image, because it cannot be composed: {refused.what}",
        why=refused.why,
        fix=refused.fix,
    )


def not_pushed(refused: NotComposable) -> Finding:
    """Return the warning that a process serves the model, because without an engine an image can only be composed."""
    return Finding(
        rule="image-not-composed",
        severity=Severity.WARNING,
        what=f"no image would be pushed: {refused.what}",
        why=f"{refused.why}, and no engine builds it",
        fix=refused.fix,
    )


def without_wheel(placement: Placement) -> PackageNotComposable:
    """Return the error for a package that has no wheel for the base image."""
    package = placement.package
    return PackageNotComposable(
        what=f"`{package.name}` has no wheel for {placement.target}, so no image can be composed",
        why=f"it would be {placement.verdict.value}; needed by {needed_by(placement)}",
        fix=Wording(ENGINE_BUILDS, f", or uv lock --upgrade-package {package.name} to one that has a wheel"),
    )


def unreadable_base(name: str, why: str, *, request: UnansweredRequest | None = None) -> BaseUnread:
    """
    Return the error for a base image that its registry does not return, where no engine has it.

    `request` is the one without a usable response; None if the registry does not have the image.
    """
    what = f"the base image `{name}` cannot be read from its registry"
    other = option("base-image", "NAME")
    if request is not None:
        other = Wording(f"{registry_fix(name.partition('@')[0], request)}, or ", other, " of another registry")
    return BaseUnread(what=what, why=why, fix=other)


def unreadable_recorded_base(name: str, why: str, *, fix: str) -> BaseUnread:
    """Return the error for the base of a composed image; it has to be that one, so no other is a fix."""
    return BaseUnread(what=f"the base image `{name}` cannot be read again", why=why, fix=fix)
