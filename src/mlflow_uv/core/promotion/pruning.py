"""Which versions does nobody need any more?"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

STATE = "mlflow-uv.state"
KEY = "mlflow-uv.release-key"
_FAILED = "failed"
_TESTED = "tested"
_CANDIDATES = ("registered", _TESTED)
_DAY_S = 86_400


@dataclass(frozen=True, kw_only=True, slots=True)
class Rule:
    """Of the candidates, the newest `keep` stay, and whatever was made within `days`; `now_s` is the date."""

    keep: int
    days: float
    now_s: float


@dataclass(frozen=True, kw_only=True, slots=True)
class PruningVerdict:
    """What becomes of a version, and why."""

    version: str
    state: str
    goes: bool
    why: str


def verdicts(versions: Iterable[Mapping[str, Any]], rule: Rule) -> tuple[PruningVerdict, ...]:
    """Judge the versions of a registered model, each as the payload `find-versions` tells it; lowest number first."""
    versions = sorted(versions, key=lambda version: int(version["version"]))
    newest = [one for one in reversed(versions) if _state(one) in _CANDIDATES]
    kept = {str(one["version"]) for one in newest[: rule.keep]}
    kept |= {str(one["version"]) for one in [one for one in newest if _state(one) == _TESTED][:1]}
    return tuple(_verdict(version, rule, kept) for version in versions)


def _verdict(version: Mapping[str, Any], rule: Rule, kept: set[str]) -> PruningVerdict:
    state = _state(version)
    age = (rule.now_s - float(version["created"]) / 1000) / _DAY_S
    reasons = (
        (state is None, "it is not from here"),
        (bool(version["aliases"]), f"alias {', '.join(version['aliases'])} names it"),
        (state not in (_FAILED, *_CANDIDATES), f"it is {state}"),
        (
            str(version["version"]) in kept,
            f"it is among the newest {rule.keep} candidates, or the last that was tested",
        ),
        (age < rule.days, f"it is {age:.0f} days old"),
    )
    why = next((text for stays, text in reasons if stays), None)
    told = why or f"it is {state}, and {age:.0f} days old"
    return PruningVerdict(version=str(version["version"]), state=state or "", goes=why is None, why=told)


def _state(version: Mapping[str, Any]) -> str | None:
    """The state of a version that carries our tags."""
    tags = version["tags"]
    return tags.get(STATE) if KEY in tags else None
