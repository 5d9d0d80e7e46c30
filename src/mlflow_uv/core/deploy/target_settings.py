"""Defines the settings that every kind of target of a deployment has."""

from typing import Annotated, ClassVar

from ...command.limits import Limits
from ...command.step import Doc, Matching
from ...payloads.messages.lazy_dataclass import lazy_dataclass


@lazy_dataclass
class TargetSettings:
    """
    The settings that every kind of target has; a kind whose servers start slowly has a longer deadline.

    `starts_unattested` says that it starts images whose servers cannot get the attestations of their model, and
    `runs_image` that it runs the image of a version, rather than serve the files of the model in another way.
    """

    usual_deadline_s: ClassVar[float] = 0
    starts_unattested: ClassVar[bool] = False

    target: Annotated[str, Doc("Kind of the target.")]
    least_deadline: Annotated[
        float | None,
        Limits(least=1, below=86400),
        Doc(
            "Seconds to wait at least for each change of the target, and until what was deleted is gone; by default"
            " half an hour for platforms, Ray and plugins. `deadline` may be longer."
        ),
    ] = None

    @property
    def least_deadline_s(self) -> float:
        """The shortest time for a change: the one that is set, else that of the kind."""
        return self.usual_deadline_s if self.least_deadline is None else self.least_deadline

    @property
    def runs_image(self) -> bool:
        """Whether the servers of the target are those of the image."""
        return True


@lazy_dataclass
class CanarySettings(TargetSettings):
    """Settings of a target that leads a part of the requests to a new version before it gets all of them."""

    canary: Annotated[
        str | None,
        Doc("Shares of the requests in percent, as `5, 25, 50`, that a new version gets before it gets all of them."),
        Matching(r"[1-9]\d?(?: *, *[1-9]\d?)*", "a list of numbers from 1 to 99"),
    ] = None
    canary_seconds: Annotated[
        float, Limits(least=1, below=86400), Doc("Seconds for which the new version has each share.")
    ] = 60.0
    canary_errors: Annotated[
        float,
        Limits(least=0, below=100),
        Doc("Share of requests in percent by which more may fail than with the version before."),
    ] = 0.0
    canary_slowdown: Annotated[
        float,
        Limits(least=1),
        Doc("How many times the latency of the version before the new one may have, of 95 % of the requests."),
    ] = 2.0

    @property
    def canary_steps(self) -> tuple[int, ...]:
        """The shares in percent, in the order in which they are given."""
        return tuple(int(number) for number in (self.canary or "").split(",") if number)
