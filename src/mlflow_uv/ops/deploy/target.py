"""Defines what a target of deployments does: every kind of target is a module with a class of this protocol."""

from collections.abc import Mapping
from contextlib import AbstractContextManager
from dataclasses import field
from typing import Protocol, runtime_checkable

from ...command.errors import BadInput
from ...command.wording import Wording, option
from ...core.deploy.canary import SharedTraffic
from ...core.deploy.difference import DeploymentChange, Facts
from ...core.deploy.running import RUNNING
from ...core.deploy.target_settings import TargetSettings
from ...core.release.record import Record
from ...core.security.serve_env import ServeVariables
from ...payloads.messages.lazy_dataclass import lazy_dataclass
from ...tools.mlflow.endpoint import Endpoint
from ...tools.toolbox import Tools
from ..image.serving_check import Expected, ObservedServer
from ..lineage.registry_client import RegistryClient

# Facts that every target knows of what it runs; the others are its own.
MODEL, VERSION, IMAGE, STATE = "model", "version", "image", "state"
MODEL_DIGEST = "model digest"  # instead of the image, where a platform runs the files of the model
REGISTERED = "registered"  # when the model was: one of the same name in another registry was at another time
_ELSEWHERE = " of another registry"


@lazy_dataclass
class WantedVersion:
    """
    The version that a deployment is to run: its names, its record, the reference of its image, and its variables.

    `registered` is when its registered model was created, empty if that is not known.
    `attestations` are those that its server needs to verify its model, as ATTESTATIONS has them; empty for a server
    that does not.
    """

    model: str
    version: str
    record: Record
    address: str
    serve_env: ServeVariables
    registered: str = ""
    attestations: str = ""

    @property
    def server_settings(self) -> Mapping[str, str]:
        """Variables of its server with values that anybody may see."""
        return {"ATTESTATIONS": self.attestations} if self.attestations else {}


@lazy_dataclass
class DeployedVersion:
    """
    What a deployment runs now: `facts` are empty if it runs nothing.

    `leftovers` are parts that an interrupted run left, by the names that the target has for them. `models` has the
    names of the models of all parts that say which model they run.
    """

    facts: Facts = field(default_factory=dict)
    endpoint: str = ""
    leftovers: tuple[str, ...] = ()
    models: frozenset[str] = frozenset()

    @property
    def version(self) -> str | None:
        """The number of the version."""
        return self.facts.get(VERSION)


NOT_DEPLOYED = DeployedVersion()


@lazy_dataclass
class DeploymentOptions:
    """
    What a target is opened with.

    `name` is that of the deployment, of a preview with the preview's name after a hyphen; `proxy_image` moves traffic
    on a host, `deadline_s` limits the start of the server and `answer_s` each of its responses. `model` is the name of
    the registered model, and `registry` where it is; there is none for a run that only looks at what is deployed.
    `registered` is when the model was created; with `take_over` one of its name in another registry is taken for it.
    """

    name: str
    settings: TargetSettings
    is_preview: bool
    proxy_image: str
    deadline_s: float
    answer_s: float
    model: str = ""
    registered: str = ""
    take_over: bool = False
    registry: RegistryClient | None = None


class DeploymentTarget(Protocol):
    """
    A place that runs versions, opened for one deployment and one run.

    The methods are called in this order: `observe`, `plan`, then, if something is to change, `restore` and `plan`
    again, `apply`, `wait`, `ask_new` and `shift`, then `settle`. `undo` may be called after any of them from `apply`
    on, whatever they did, and returns to what `plan` saw. Each of them may be called in a run after one that was killed
    anywhere.
    """

    def observe(self) -> DeployedVersion:
        """What runs now. Raises ToolFailed, NoEngine."""

    def plan(self, wanted: WantedVersion) -> tuple[DeploymentChange, ...]:
        """What would change. Raises BadInput for a change that this target cannot make."""

    def restore(self, version: str) -> bool:
        """
        Lead all traffic to a version of the model that ran before, which is still there after an interrupted run.

        Returns whether it has all traffic now; False if it is gone. Raises ToolFailed, NotServing.
        """

    def apply(self, wanted: WantedVersion) -> None:
        """Create the new version, beside what runs where the target can do that. Raises ToolFailed, ChainBroken."""

    def wait(self) -> None:
        """Wait until the new version is healthy. Raises NotServing."""

    def ask_new(self, expected: Expected) -> ObservedServer | None:
        """Send the requests to the new version before it gets traffic; None where a target cannot do that."""

    def shift(self) -> None:
        """Lead all traffic to the new version."""

    def live(self) -> AbstractContextManager[str | Endpoint]:
        """
        What is asked from here while the block runs: the endpoint by its URL, empty if there is none to ask.

        An endpoint that needs headers, or that is not asked by HTTP, is given as such.
        """

    def settle(self) -> None:
        """
        Remove what ran before, once its requests are answered, and what interrupted runs left.

        Raises ToolFailed, also if something stays.
        """

    def undo(self) -> None:
        """Return to what ran before. Raises ToolFailed if that is not possible."""

    def remove(self) -> None:
        """
        Remove everything that the target has of the deployment, and wait until it is gone; safe to call twice.

        Raises ToolFailed, also if something stays, and BadInput for a deployment of another model.
        """


@runtime_checkable
class TrafficSplit(Protocol):
    """
    What a DeploymentTarget has as well if it can lead a part of the requests to a new version.

    `share` may be called several times between `ask_new` and `shift` if a version ran before; `undo` ends the split.
    """

    def share(self, percent: int) -> None:
        """Lead this share of the requests to the new version, and the others to the one before. Raises ToolFailed."""

    def served(self) -> SharedTraffic:
        """The requests since the last `share`; none where the target does not know them. Raises NotServing."""


@runtime_checkable
class MirroredTraffic(Protocol):
    """
    What a DeploymentTarget has as well if it can send copies of requests to a new version, whose answers nobody gets.

    `mirror` may be called between `ask_new` and the first `share` or `shift`, each of which ends it, as `undo` does.
    """

    def mirror(self) -> float:
        """Send copies, and return for how many seconds they are to be sent; 0 without. Raises ToolFailed."""


@runtime_checkable
class Proposal(Protocol):
    """What a DeploymentTarget has as well if somebody may have to accept what `shift` did."""

    proposed: str | None
    """Where it can be accepted, after `shift`; None if it is in effect."""


@runtime_checkable
class PartOfOthers(Protocol):
    """What a DeploymentTarget has as well if others made what the deployment is a part of."""

    def require_removable(self) -> None:
        """Raise BadInput if only they can remove it, as `remove` does."""


@runtime_checkable
class Remains(Protocol):
    """What a DeploymentTarget has as well if parts of a deployment may be there that `observe` does not ask for."""

    def remnants(self) -> DeployedVersion:
        """Such parts, which `remove` removes, as leftovers. Raises ToolFailed."""


class OpenTarget(Protocol):
    """Opens a target: `open_target` of each module in ops/deploy that is named after a kind of target."""

    def __call__(self, options: DeploymentOptions, tools: Tools) -> DeploymentTarget:
        """Raises NoEngine or ToolMissing if the target cannot be used from here."""


def require_same_model(name: str, place: str, now: DeployedVersion, wanted: WantedVersion) -> None:
    """Raise BadInput if a deployment, in `place`, runs another model than the one that is to run."""
    if others := sorted(now.models - {wanted.model}):
        raise BadInput(
            what=f"the deployment `{name}` {place} runs the model `{others[0]}`",
            why=f"it cannot run `{wanted.model}` at the same time",
            fix=_fix(others[0], "give one of them another name in pyproject.toml"),
        )


def require_own_model(options: DeploymentOptions, now: DeployedVersion) -> None:
    """Raise BadInput if a part of a deployment that is to be removed is of another model."""
    if others := sorted(now.models - {options.model}):
        raise BadInput(
            what=f"the deployment `{options.name}` runs the model `{others[0]}`",
            why=f"it is none of `{options.model}`, so it is not removed",
            fix=_fix(
                others[0], f"remove it with the URI of a version of `{others[0]}`, in the project that deployed it"
            ),
        )


def _fix(model: str, fix: str) -> str:
    """The fix for a deployment of another model; one of another registry can be taken over."""
    return Wording(fix, ", or ", option("take-over")) if model.endswith(_ELSEWHERE) else fix


def others_have(options: DeploymentOptions, now: DeployedVersion) -> bool:
    """Whether another model has a part of a deployment: it was faster than a run of this one, which leaves it alone."""
    return bool(now.models - {options.model})


def models_of(options: DeploymentOptions, *parts: Facts | None) -> frozenset[str]:
    """
    The names of the models in the facts of parts, some of which may be missing.

    A model of the same name as that of the options in another registry is another model.
    """
    return frozenset(_model_in(options, facts) for facts in parts if facts is not None and facts.get(MODEL))


def _model_in(options: DeploymentOptions, facts: Facts) -> str:
    registered = facts.get(REGISTERED)
    known = registered and options.registered and facts[MODEL] == options.model and not options.take_over
    return f"{facts[MODEL]}{_ELSEWHERE}" if known and registered != options.registered else facts[MODEL]


def is_own(options: DeploymentOptions, facts: Facts | None) -> bool:
    """Whether a part is one of the model of the options, or says nothing of a model."""
    return not models_of(options, facts) - {options.model}


def wanted_facts(wanted: WantedVersion, image: str, more: Mapping[str, str]) -> dict[str, str]:
    """The facts of a version that is to run, those that every target knows first."""
    facts = {MODEL: wanted.model, VERSION: wanted.version, IMAGE: image, STATE: RUNNING, **more}
    return {**facts, REGISTERED: wanted.registered} if wanted.registered else facts
