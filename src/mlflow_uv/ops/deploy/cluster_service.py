"""What every kind of target in a cluster has: its connection, the waiting for a status, and how pods are asked."""

from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import ClassVar, Generic, TypeVar

from ...command.errors import NotServing, StepError
from ...command.wording import Wording, option
from ...core.deploy.canary import NO_TRAFFIC, SharedTraffic
from ...core.deploy.target_settings import TargetSettings
from ...core.security.endpoint_address import NO_HEADERS, endpoint_address
from ...payloads.messages.lazy_dataclass import lazy_dataclass
from ...tools.engines.containers import DEPLOYMENT, PART
from ...tools.kubernetes.kubectl import Cluster, Object
from ...tools.mlflow.endpoint import Endpoint
from ...tools.toolbox import Tools
from ..image.serving_check import Expected, ObservedServer
from ..verify.endpoint import ask
from .removal import require_gone
from .target import DeployedVersion, DeploymentOptions, require_own_model

POLL_S = 1.0
Settings = TypeVar("Settings", bound=TargetSettings)


@lazy_dataclass
class Pending:
    """
    A status that has not come yet: `late` is the reason after the time is over.

    `shown` is printed when it changes, and `failed` says why the status will not come; it ends the wait.
    """

    late: str
    shown: str = ""
    failed: str = ""


class ClusterService(ABC, Generic[Settings]):
    """
    The parts of a target.DeploymentTarget that are the same in each kind of cluster.

    `kinds` are those of its objects; a removal deletes one group of them after the other.
    """

    settings_type: ClassVar[type[TargetSettings]]
    kinds: ClassVar[tuple[str, ...]]

    def __init__(self, options: DeploymentOptions, cluster: Cluster, tools: Tools) -> None:
        assert isinstance(options.settings, self.settings_type)  # noqa: S101  # those of its kind
        self._options = options
        self._settings: Settings = options.settings  # type: ignore[assignment]  # as asserted
        self._cluster = cluster
        self._tools = tools
        self._applied = False

    @abstractmethod
    def observe(self) -> DeployedVersion:
        """See DeploymentTarget."""

    def remove(self) -> None:
        """See DeploymentTarget."""
        require_own_model(self._options, self.observe())
        for group in self.kinds:
            self._delete(group, self._label())

    def _delete(self, kinds: str, label: str) -> None:
        """Delete the objects of these kinds with a label, and wait until they are gone. Raises StillThere."""
        self._cluster.delete(kinds, label)
        require_gone(self._options, lambda: tuple(map(_described, self._cluster.find(kinds, label))), self._tools)

    def served(self) -> SharedTraffic:
        """See TrafficSplit; nothing in a cluster counts the requests of clients for this program."""
        return NO_TRAFFIC

    def _label(self, slot: str | None = None) -> str:
        """The label of all objects of the deployment, or of those of a slot."""
        label = f"{DEPLOYMENT}={self._options.name}"
        return label if slot is None else f"{label},{PART}={slot}"

    def _asked(self, endpoint: str | Endpoint, expected: Expected) -> ObservedServer:
        """What is answered at an address, or by an endpoint."""
        if isinstance(endpoint, str):
            endpoint = Endpoint(self._tools.web, endpoint_address(endpoint), NO_HEADERS)
        return ask(endpoint, expected, self._tools)

    def _await(self, look: Callable[[], Pending | None], seconds: float, error: Callable[[Pending], StepError]) -> None:
        """Look until nothing is pending. Raises the error of what is when the time is over, or when it failed."""
        until, shown = self._tools.clock.now_s() + seconds, ""
        while (pending := look()) is not None:
            if pending.shown not in ("", shown):
                self._tools.console.say(shown := pending.shown)
            if pending.failed or self._tools.clock.now_s() >= until:
                raise error(pending)
            self._tools.clock.wait(POLL_S)

    def _await_ready(self, what: str, look: Callable[[], Pending | None], seconds: float) -> None:
        """Wait until something, as `the pods of NAME are`, is ready. Raises NotServing."""
        self._await(
            look,
            seconds,
            lambda pending: NotServing(
                what=f"{what} not ready" + ("" if pending.failed else " in time"),
                why=pending.failed or pending.late,
                fix=Wording(option("deadline", "SECONDS"), " if that only needs longer"),
            ),
        )


def _described(found: Object) -> str:
    """An object that was deleted, with what it waits for."""
    waits = ", ".join(found["metadata"].get("finalizers") or ())
    return f"the {found['kind']} `{found['metadata']['name']}`" + (f", kept by {waits}," if waits else "")
