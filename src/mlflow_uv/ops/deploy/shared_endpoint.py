"""
Runs versions behind one endpoint of a platform, which divides the traffic between two variants.

A new version is created as the variant without traffic, and asked there. The platform's own division of the traffic
says which variant is active. While two of them share it, that is not the one that ran before: the record says that.
"""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Protocol

from ...command.errors import BadInput, ChainBroken, NotServing, ToolFailed
from ...command.wording import Wording, option
from ...core.deploy.canary import NO_TRAFFIC, SharedTraffic
from ...core.deploy.difference import DeploymentChange, Facts, changes_between
from ...core.deploy.running import RUNNING
from ...core.deploy.served_containers import SLOTS
from ...core.deploy.target_settings import CanarySettings
from ...payloads.messages.lazy_dataclass import lazy_dataclass
from ...tools.mlflow.endpoint import Endpoint
from ...tools.toolbox import Tools
from ..image.serving_check import Expected, ObservedServer
from ..verify.endpoint import ask
from .removal import require_gone
from .target import (
    IMAGE,
    MODEL,
    MODEL_DIGEST,
    NOT_DEPLOYED,
    STATE,
    VERSION,
    DeployedVersion,
    DeploymentOptions,
    WantedVersion,
    models_of,
    require_own_model,
    require_same_model,
)

_POLL_S = 3.0
_WHOLE = 100  # percent
_MOST_STEPS = 8  # of one change, each after the one before has ended
_IDENTITY = (MODEL, VERSION, IMAGE, MODEL_DIGEST)


@lazy_dataclass
class EndpointVariant:
    """
    A version on an endpoint: its facts with its state, and its share of the traffic in percent.

    `problem` is why it does not become ready. One that is `starting`, in the platform's word, may become ready, and
    other changes are possible meanwhile.
    """

    facts: Facts
    share: float = 0
    problem: str = ""
    starting: str = ""

    @property
    def ready(self) -> bool:
        """Whether it answers requests."""
        return self.facts.get(STATE) == RUNNING


@lazy_dataclass
class PlatformEndpoint:
    """
    An endpoint with its variants by the names in SLOTS.

    `changing` is the platform's word for the change that it makes now, `failed` why the endpoint can only be deleted,
    `problem` why the last change failed, each empty without one. `ours` says that this program made it.
    """

    variants: Mapping[str, EndpointVariant]
    address: str
    changing: str = ""
    failed: str = ""
    problem: str = ""
    ours: bool = True

    def changing_with(self, slot: str) -> str:
        """The word for the change that the platform makes, or for the start of a variant, empty without both."""
        return self.changing or (self.variants[slot].starting if slot in self.variants else "")

    @property
    def active(self) -> str | None:
        """The variant that has the traffic."""
        slots = [slot for slot, variant in self.variants.items() if variant.share > 0]
        return max(slots, key=lambda slot: self.variants[slot].share, default=None)


class ServingPlatform(Protocol):
    """
    One endpoint of a platform.

    `create`, `route`, `keep` and `delete` begin the next step of a change, and return whether it was the last one; they
    are only called while the platform changes nothing. `place` completes "the endpoint NAME ...". Without `beside`,
    a new version cannot be asked before it gets the traffic, and without `divides` no part of the traffic can be led.
    """

    name: str
    place: str
    beside: bool
    divides: bool

    def look(self) -> PlatformEndpoint | None:
        """The endpoint as it is now. Raises ToolFailed."""

    def facts(self, wanted: WantedVersion) -> dict[str, str]:
        """The facts of a version that runs. Raises BadInput for one that the platform cannot run."""

    def create(self, slot: str, wanted: WantedVersion) -> bool:
        """Create a variant without traffic; with all the traffic, if there is no endpoint."""

    def route(self, slot: str, percent: int) -> bool:
        """Lead a part of the traffic to a variant, and the rest to the other one."""

    def keep(self, slot: str) -> bool:
        """Lead all traffic to a variant, and remove the other one. Raises ToolFailed if the variant is gone."""

    def replaced(self, version: str) -> str | None:
        """The variant of a version that another one replaced, if `keep` can bring it back; None without one."""

    def delete(self) -> bool:
        """Delete the endpoint and what belongs to it."""

    def remnants(self) -> Mapping[str, Facts]:
        """What belongs to the endpoint and is there without it, which `delete` deletes: the facts by the names."""

    def server(self, slot: str | None) -> Endpoint:
        """What is asked: a variant, or with None what clients ask."""


class SharedEndpoint:
    """See target.DeploymentTarget."""

    def __init__(self, options: DeploymentOptions, platform: ServingPlatform, tools: Tools) -> None:
        self._options = options
        self._platform = platform
        self._tools = tools
        self._facts: Facts = {}
        self._before: str | None = None  # the variant that was active
        self._applied = False
        self._slot = ""  # the variant of the new version; empty until it is begun

    def observe(self) -> DeployedVersion:
        """See DeploymentTarget."""
        return self._deployed(self._platform.look())

    def _deployed(self, seen: PlatformEndpoint | None) -> DeployedVersion:
        if seen is None:
            return NOT_DEPLOYED
        active = seen.active
        leftovers = tuple(f"{self._platform.name} {slot}" for slot in seen.variants if slot != active)
        facts = {} if active is None else dict(seen.variants[active].facts)
        if active is not None and seen.variants[active].ready and (share := seen.variants[active].share) < _WHOLE:
            facts[STATE] = f"{share:.3g} % of the traffic"
        if active is None and not leftovers:
            leftovers = (self._platform.name,)
        models = models_of(self._options, *(variant.facts for variant in seen.variants.values()))
        return DeployedVersion(facts=facts, endpoint=seen.address, leftovers=leftovers, models=models)

    def plan(self, wanted: WantedVersion) -> tuple[DeploymentChange, ...]:
        """See DeploymentTarget."""
        self._facts = self._platform.facts(wanted)
        settings = self._options.settings
        if not self._platform.divides and isinstance(settings, CanarySettings) and settings.canary_steps:
            raise BadInput(
                what=f"`{self._platform.name}` runs one version at a time",
                why="no part of the requests can be led to another one",
                fix="remove `canary` from the table of the deployment",
            )
        seen = self._ours()
        now = self._deployed(seen)
        require_same_model(self._options.name, self._platform.place, now, wanted)
        self._before = None if seen is None else seen.active
        return changes_between(now.facts, self._facts)

    def restore(self, version: str) -> bool:
        """See DeploymentTarget; of two variants of the version, the one is meant that is not like the planned one."""
        seen = self._stable()
        variants = {} if seen is None else seen.variants
        slots = [slot for slot, variant in variants.items() if variant.facts.get(VERSION) == version]
        if not slots:
            back = None if seen is None else self._platform.replaced(version)
            if back is not None:
                self._require_returned(back, self._change(lambda: self._platform.keep(back)))
            return back is not None
        slot = min(slots, key=lambda slot: (dict(variants[slot].facts) == self._facts, -variants[slot].share))
        if variants[slot].share < _WHOLE:
            self._require_returned(slot, self._change(lambda: self._platform.route(slot, _WHOLE)))
        return True

    def apply(self, wanted: WantedVersion) -> None:
        """See DeploymentTarget; a variant that an interrupted run finished is taken as it is."""
        self._applied = True
        seen = self._stable()
        # Somebody else may have made it after the plan.
        require_same_model(self._options.name, self._platform.place, self._deployed(self._ours()), wanted)
        if seen is not None and seen.failed:
            self._delete()
            seen, self._before = None, None
        variants = {} if seen is None else seen.variants
        finished = next((slot for slot, variant in variants.items() if dict(variant.facts) == self._facts), None)
        active = None if seen is None else seen.active
        self._slot = finished or next(slot for slot in SLOTS if slot != active)
        if active is not None and not finished and variants[active].share < _WHOLE:  # the other one is replaced
            self._change(lambda: self._platform.route(active, _WHOLE))
        for _ in range(_MOST_STEPS):
            if finished or self._platform.create(self._slot, wanted):
                return
            self._stable()
        raise ToolFailed(what=f"the endpoint `{self._platform.name}` does not take the version")

    def wait(self) -> None:
        """See DeploymentTarget."""
        if self._platform.beside or self._before is None:
            self._require_ready(self._stable(starting=self._slot))

    def ask_new(self, expected: Expected) -> ObservedServer | None:
        """See DeploymentTarget."""
        if not self._platform.beside:
            return None
        return ask(self._platform.server(self._slot), expected, self._tools)

    def shift(self) -> None:
        """See DeploymentTarget."""
        self._require_share(_WHOLE, self._change(lambda: self._platform.route(self._slot, _WHOLE)))

    def share(self, percent: int) -> None:
        """See TrafficSplit; a version that had the traffic before keeps all of it."""
        if self._slot == self._before or not self._platform.divides:
            return
        self._require_share(percent, self._change(lambda: self._platform.route(self._slot, percent)))

    def served(self) -> SharedTraffic:
        """See TrafficSplit; the platform counts the requests of clients, and this program does not read its metrics."""
        return NO_TRAFFIC

    @contextmanager
    def live(self) -> Iterator[Endpoint]:
        """See DeploymentTarget."""
        yield self._platform.server(None)

    def settle(self) -> None:
        """See DeploymentTarget."""
        seen = self._stable()
        if seen is not None and seen.active is not None:
            active = seen.active
            self._change(lambda: self._platform.keep(active))
            self._require_alone(active)

    def undo(self) -> None:
        """See DeploymentTarget."""
        if self._applied and not self._slot:  # nothing was begun
            return
        seen = self._stable()
        others = () if seen is None else tuple(slot for slot in seen.variants if slot != seen.active)
        back = self._before
        if not self._slot:  # an earlier run led to what is wrong, and was killed before it removed what ran before
            back = others[0] if others else None
            if back is None:
                raise ToolFailed(what="there is nothing to return to", why="what ran before is gone")
        if back is None or (back == self._slot and not others):  # all that there is was begun by this or a killed run
            self.remove()
            return
        slot = back
        self._require_returned(slot, self._change(lambda: self._platform.keep(slot)))
        self._require_alone(slot)

    def remove(self) -> None:
        """See DeploymentTarget."""
        require_own_model(self._options, self._deployed(self._ours()))
        self._stable()
        self._delete()

    def remnants(self) -> DeployedVersion:
        """See Remains."""
        parts = self._platform.remnants()
        return DeployedVersion(leftovers=tuple(parts), models=models_of(self._options, *parts.values()))

    def _delete(self) -> None:
        """Delete the endpoint, in as many steps as the platform needs. Raises NotServing, StillThere, ToolFailed."""
        done = False

        def left() -> tuple[str, ...]:
            nonlocal done
            done = done or self._platform.delete()
            seen = self._stable()
            while seen is None and not done:  # what belongs to it
                done = self._platform.delete()
            return () if seen is None else (f"the endpoint `{self._platform.name}`",)

        require_gone(self._options, left, self._tools)

    def _require_alone(self, slot: str) -> None:
        """Wait until a variant is the only one. Raises NotServing, StillThere."""

        def left() -> tuple[str, ...]:
            seen = self._stable()
            others = () if seen is None else tuple(other for other in seen.variants if other != slot)
            return tuple(f"`{other}` of `{self._platform.name}`" for other in others)

        require_gone(self._options, left, self._tools)

    def _ours(self) -> PlatformEndpoint | None:
        """The endpoint. Raises BadInput for one that somebody else made."""
        seen = self._platform.look()
        if seen is not None and not seen.ours:
            raise BadInput(
                what=f"the endpoint `{self._platform.name}` {self._platform.place} was not made by `deploy`",
                why="it would be replaced or deleted",
                fix='prefix = "NAME-" in the table of the deployment, so that it gets a name of its own',
            )
        return seen

    def _change(self, step: Callable[[], bool]) -> PlatformEndpoint | None:
        """Take the steps of a change, one after the other. Raises NotServing, ToolFailed."""
        for _ in range(_MOST_STEPS):
            done = step()
            seen = self._stable()
            if done:
                return seen
        raise ToolFailed(what=f"the endpoint `{self._platform.name}` does not take the change")

    def _stable(self, *, starting: str = "") -> PlatformEndpoint | None:
        """Wait until the platform changes nothing, nor a variant starts. Raises NotServing after the deadline."""
        until, shown = self._tools.clock.now_s() + self._options.deadline_s, ""
        while (seen := self._platform.look()) is not None and (changing := seen.changing_with(starting)):
            if changing != shown:
                shown = changing
                self._tools.console.say(f"  {self._platform.name}: {shown}")
            if self._tools.clock.now_s() >= until:
                raise NotServing(
                    what=f"the endpoint `{self._platform.name}` still changes after {self._options.deadline_s:.0f} s",
                    why=f"its state is {changing}",
                    fix=Wording(option("deadline", "SECONDS"), " if it only needs longer"),
                )
            self._tools.clock.wait(_POLL_S)
        return seen

    def _require_returned(self, slot: str, after: PlatformEndpoint | None) -> None:
        """Raise ToolFailed if a variant that ran before does not have all traffic again."""
        variant = None if after is None else after.variants.get(slot)
        if variant is None or variant.share < _WHOLE or not variant.ready:
            why = "" if variant is None else variant.problem
            raise ToolFailed(what=f"`{slot}` of `{self._platform.name}` does not get the traffic again", why=why)

    def _require_share(self, percent: int, seen: PlatformEndpoint | None) -> None:
        """Raise as _require_ready, and ToolFailed if the platform did not divide the traffic as requested."""
        self._require_ready(seen)
        share = 0.0 if seen is None else seen.variants[self._slot].share
        if round(share) != percent:
            raise ToolFailed(
                what=f"`{self._slot}` of `{self._platform.name}` was to get {percent} % of the traffic",
                why=f"it has {share:.3g} %, though the platform reported no error",
            )

    def _require_ready(self, seen: PlatformEndpoint | None) -> None:
        """Raise NotServing if the new variant does not run, and ChainBroken if it runs something else."""
        variant = None if seen is None else seen.variants.get(self._slot)
        shown = f"`{self._slot}` of `{self._platform.name}`"
        if seen is None or variant is None or not variant.ready:
            state = "gone" if variant is None else variant.facts.get(STATE, "unknown")
            why = (variant.problem if variant is not None else "") or (
                "" if seen is None else seen.failed or seen.problem
            )
            raise NotServing(what=f"{shown} is not ready: its state is {state}", why=why or "no reason is given")
        for part in _IDENTITY:
            observed, planned = variant.facts.get(part, "nothing"), self._facts.get(part, "nothing")
            if observed != planned:
                raise ChainBroken(part, why=f"{shown} has the {part} {observed}, and the record says {planned}")
