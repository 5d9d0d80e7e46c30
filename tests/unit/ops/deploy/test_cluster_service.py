"""The wait for a status in a cluster: what is shown, and what ends it."""

from typing import Any, cast

import pytest

from mlflow_uv.command.errors import NotServing, ToolFailed
from mlflow_uv.core.deploy.settings import KubernetesSettings
from mlflow_uv.ops.deploy.cluster_service import ClusterService, Pending
from mlflow_uv.ops.deploy.target import NOT_DEPLOYED, DeployedVersion
from tests.console import KeptConsole

from .worlds import cluster_world, tools_of_tests


class Waiting(ClusterService[KubernetesSettings]):
    """A service that waits for what is given."""

    settings_type = KubernetesSettings
    kinds = ()

    def observe(self) -> DeployedVersion:
        """See DeploymentTarget."""
        return NOT_DEPLOYED

    def __init__(self, *states: Pending | None) -> None:
        self.tools = tools_of_tests()
        super().__init__(cluster_world().options, cast("Any", None), self.tools)
        self.states = list(states)

    def look(self) -> Pending | None:
        """The next state, of which the last one stays."""
        return self.states.pop(0) if len(self.states) > 1 else self.states[0]

    def ready(self) -> None:
        """Wait until nothing is pending."""
        self._await_ready("the pods are", self.look, 5)

    def moved(self) -> None:
        """Wait with an error of another kind."""
        self._await(self.look, 5, lambda pending: ToolFailed(what="it does not move", why=pending.late))


def test_progress_is_shown_once_for_each_change() -> None:
    """
    A state that says nothing shows nothing.
    """
    none, some = Pending(late="", shown="0 of 2"), Pending(late="", shown="1 of 2")
    waiting = Waiting(none, none, Pending(late=""), some, None)

    waiting.ready()

    assert ["0 of 2", "1 of 2"] == cast("KeptConsole", waiting.tools.console).lines


def test_what_failed_is_not_waited_for_and_what_is_late_says_so() -> None:
    """
    The reason of a failure goes before that of the time.
    """
    failed = Waiting(Pending(late="late"), Pending(late="late", failed="CrashLoopBackOff"))
    begun = failed.tools.clock.date_s()

    with pytest.raises(NotServing, match="the pods are not ready: CrashLoopBackOff"):
        failed.ready()
    with pytest.raises(NotServing, match="the pods are not ready in time: 1 of 2 are"):
        Waiting(Pending(late="1 of 2 are")).ready()
    with pytest.raises(ToolFailed, match="it does not move: another traffic"):
        Waiting(Pending(late="another traffic")).moved()

    assert failed.tools.clock.date_s() - begun < 3
