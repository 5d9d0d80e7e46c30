"""Decides from the requests of two versions that share the traffic whether the new one gets more of it."""

from collections.abc import Iterator

from ...command.report import Finding
from ...payloads.messages.lazy_dataclass import lazy_dataclass
from ..model.load_figures import percentile
from .target_settings import CanarySettings

_SERVER_ERROR = 500
_FEWEST = 20  # requests of each version, from which their latencies are compared
_NOISE_MS = 50.0  # a difference of latencies that no version is stopped for


@lazy_dataclass
class ServedRequest:
    """A request that a version got: its status, and the milliseconds until it responded, None if it did not."""

    status: int
    milliseconds: float | None

    @property
    def failed(self) -> bool:
        """Whether the version is to blame: a 4xx status is the client's."""
        return self.status >= _SERVER_ERROR or self.milliseconds is None


@lazy_dataclass
class SharedTraffic:
    """The requests of both versions while they share the traffic."""

    before: tuple[ServedRequest, ...] = ()
    new: tuple[ServedRequest, ...] = ()


NO_TRAFFIC = SharedTraffic()


def canary_findings(settings: CanarySettings, traffic: SharedTraffic, percent: int) -> Iterator[Finding]:
    """Yield what stops the new version at a share of the requests: its failures, and its latency."""
    shown = f"at {percent} % of the requests"
    failed, failed_before = _failed_percent(traffic.new), _failed_percent(traffic.before)
    if failed > failed_before + settings.canary_errors:
        yield Finding(
            rule="canary-errors",
            what=f"the new version fails more often {shown}",
            why=f"{failed:.3g} % of its {len(traffic.new)} requests fail, and {failed_before:.3g} % of the"
            f" {len(traffic.before)} of the version before; `canary-errors` allows {settings.canary_errors:g} % more",
            fix="read the log of the server",
        )
    new, before = _milliseconds(traffic.new), _milliseconds(traffic.before)
    if min(len(new), len(before)) < _FEWEST:
        return
    slow, usual = percentile(new, 95), percentile(before, 95)
    if slow > usual * settings.canary_slowdown and slow > usual + _NOISE_MS:
        yield Finding(
            rule="canary-slow",
            what=f"the new version is slower {shown}",
            why=f"95 % of its {len(new)} responses take up to {slow:.0f} ms, and {usual:.0f} ms of the version before;"
            f" `canary-slowdown` allows {settings.canary_slowdown:g} times that",
            fix="make predict faster, or allow more with `canary-slowdown`",
        )


def _failed_percent(requests: tuple[ServedRequest, ...]) -> float:
    return 100 * sum(request.failed for request in requests) / len(requests) if requests else 0.0


def _milliseconds(requests: tuple[ServedRequest, ...]) -> tuple[float, ...]:
    return tuple(request.milliseconds for request in requests if request.milliseconds is not None)
