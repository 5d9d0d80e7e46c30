"""Decides which versions of a registered model can be deleted."""

from collections.abc import Iterable

from ...payloads.messages.lazy_dataclass import lazy_dataclass
from ...payloads.messages.registry import RegisteredVersion
from ...payloads.messages.tags import RELEASE_KEY, STATE

_FAILED = "failed"
_TESTED = "tested"
_CANDIDATES = ("registered", _TESTED)
_DAY_S = 86_400


@lazy_dataclass
class PruningRule:
    """Keep the newest `keep` candidates and versions younger than `days`; `now_s` is in seconds since 1970."""

    keep: int
    days: float
    now_s: float


@lazy_dataclass
class PruningVerdict:
    """Whether a version is deleted (`goes`), and why."""

    version: str
    state: str
    goes: bool
    why: str


def pruning_verdicts(versions: Iterable[RegisteredVersion], rule: PruningRule) -> tuple[PruningVerdict, ...]:
    """Decide on the versions of a registered model; sorted by number."""
    versions = sorted(versions, key=lambda version: int(version.version))
    newest = [version for version in reversed(versions) if _state(version) in _CANDIDATES]
    kept = {version.version for version in newest[: rule.keep]}
    kept |= {version.version for version in [version for version in newest if _state(version) == _TESTED][:1]}
    return tuple(_verdict(version, rule, kept) for version in versions)


def _verdict(version: RegisteredVersion, rule: PruningRule, kept: set[str]) -> PruningVerdict:
    state = _state(version)
    age = (rule.now_s - version.created / 1000) / _DAY_S
    reasons = (
        (state is None, "it was not registered by mlflow-uv"),
        (bool(version.aliases), f"alias {', '.join(version.aliases)} points to it"),
        (state not in (_FAILED, *_CANDIDATES), f"it is {state}"),
        (
            version.version in kept,
            f"it is one of the newest {rule.keep} candidates, or the last tested one",
        ),
        (age < rule.days, f"it is {age:.0f} days old"),
    )
    why = next((text for stays, text in reasons if stays), None)
    reason = why or f"it is {state}, and {age:.0f} days old"
    return PruningVerdict(version=version.version, state=state or "", goes=why is None, why=reason)


def _state(version: RegisteredVersion) -> str | None:
    """The state of a version that was registered by mlflow-uv, else None."""
    return version.tags.get(STATE) if RELEASE_KEY in version.tags else None
