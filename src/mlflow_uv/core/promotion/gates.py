"""Parses the gates of a promotion, and checks them against metrics."""

import re
from collections.abc import Mapping
from decimal import Decimal
from enum import Enum
from math import copysign, inf, isfinite
from operator import eq, ge, gt, le, lt

from ...command.lazy_pattern import lazy_pattern
from ...command.wording import step_call
from ...payloads.messages.lazy_dataclass import lazy_dataclass

EXAMPLE = "accuracy >= champion - 0.01"
ABSOLUTE = "accuracy >= 0.9"
CHAMPION = "champion"
_COMPARE = {">=": ge, ">": gt, "<=": le, "<": lt, "==": eq}
_SIGNS = r"[<>=!~≤≥≠]+"
_NUMBER = r"(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?"
# The names that MLflow allows for metrics; a name with a space must be quoted.
_NAME = r"[\w./:-]+"
_LEFT = lazy_pattern(rf"\s*(?:([\"'`])(?P<quoted>[\w./: -]+)\1|(?P<bare>{_NAME}))\s*")
_FIGURE = lazy_pattern(rf"\s*([+-]?)\s*({_NUMBER})\s*")
_BOUND = lazy_pattern(
    rf"\s*(?:([+-]?{_NUMBER})\s*\*\s*)?{CHAMPION}(?:\s*\*\s*([+-]?{_NUMBER}))?(?:\s*([+-])\s*({_NUMBER}))?\s*"
)
_UNIT = lazy_pattern(rf"[+-]?{_NUMBER}\s*(%|[A-Za-z]+)")
_DIGITS = 4  # significant digits in messages, unless two numbers need more to differ
_MOST_DIGITS = 17
_MOST = 1.797e308  # databases store infinity as the largest float


class GateVerdict(Enum):
    """The result of a gate."""

    HOLDS = "holds"
    FAILS = "does not hold"
    MISSING = "cannot be checked"
    NO_CHAMPION = "there is no champion yet"


@lazy_dataclass
class Gate:
    """Compares `metric` with `offset`, plus `factor` times the champion's value if there is a factor."""

    text: str
    metric: str
    comparison: str
    factor: Decimal | None
    offset: Decimal

    @property
    def against_champion(self) -> bool:
        """Whether it compares with the champion's value."""
        return self.factor is not None


@lazy_dataclass
class GateResult:
    """The result of one gate, with its numbers in `text`, and a command as `fix` where one helps."""

    gate: Gate
    verdict: GateVerdict
    text: str
    fix: str = ""

    @property
    def holds(self) -> bool:
        """Whether the version may pass; without a champion, gates against it hold."""
        return self.verdict in (GateVerdict.HOLDS, GateVerdict.NO_CHAMPION)


def read_gate(text: str) -> Gate:
    """Parse `METRIC COMPARISON BOUND`. Raises ValueError with the position (characters from 1) and an example."""
    left = _LEFT.match(text)
    if left is None:
        raise _invalid_gate(text, 0, "a metric is missing", ABSOLUTE)
    if left["bare"] == CHAMPION:
        raise _invalid_gate(
            text, left.start("bare"), f"`{CHAMPION}` must be on the right, and the metric on the left", EXAMPLE
        )
    signs = re.compile(_SIGNS).match(text, left.end())
    if signs is None or signs[0] not in _COMPARE:
        raise _invalid_gate(text, left.end(), _no_comparison(text, left), ABSOLUTE)
    comparison, at = signs[0], signs.end()
    factor, offset = _bound(text, at)
    metric = left["quoted"] or left["bare"]
    return Gate(text=text.strip(), metric=metric, comparison=comparison, factor=factor, offset=offset)


def check_gate(gate: Gate, candidate: Mapping[str, float], champion: Mapping[str, float] | None) -> GateResult:
    """
    Check a gate with the metrics of candidate and champion, in decimal arithmetic: 0.7 is not below 0.8 - 0.1.

    `champion` is None where there is none yet. A gate never holds if a metric is missing or not finite.
    """
    for who, metrics in (("candidate", candidate), (CHAMPION, champion if gate.against_champion else None)):
        if metrics is None:
            continue
        value = metrics.get(gate.metric)
        if value is None:
            why = f"{gate.text}: the {who} lacks the metric `{gate.metric}`"
            return GateResult(gate=gate, verdict=GateVerdict.MISSING, text=why, fix=step_call("evaluate"))
        if not isfinite(restore_infinity(value)):
            why = f"{gate.text}: `{gate.metric}` of the {who} is {restore_infinity(value)}, which no gate accepts"
            return GateResult(gate=gate, verdict=GateVerdict.FAILS, text=why)
    if gate.against_champion and champion is None:
        (mine,) = _formatted(_decimal(candidate[gate.metric]))
        bound = gate.text.partition(gate.comparison)[2].strip()
        text = f"{gate.metric} {mine} {gate.comparison} {bound}: {GateVerdict.NO_CHAMPION.value}"
        return GateResult(gate=gate, verdict=GateVerdict.NO_CHAMPION, text=text)
    return _compared(gate, _decimal(candidate[gate.metric]), champion)


def restore_infinity(value: float) -> float:
    """A metric as it was measured: databases store infinity as the largest float."""
    return copysign(inf, value) if abs(value) >= _MOST else value


def _compared(gate: Gate, mine: Decimal, champion: Mapping[str, float] | None) -> GateResult:
    theirs, limit = None, gate.offset
    if gate.factor is not None and champion is not None:
        theirs = _decimal(champion[gate.metric])
        limit = gate.factor * theirs + gate.offset
    verdict = GateVerdict.HOLDS if _COMPARE[gate.comparison](mine, limit) else GateVerdict.FAILS
    shown = _formatted(mine, limit)
    calculation = "" if theirs is None else f" ({_calculation(gate, theirs)})"
    text = f"{gate.metric} {shown[0]} {gate.comparison} {shown[1]}{calculation}: {verdict.value}"
    return GateResult(gate=gate, verdict=verdict, text=text)


def _bound(text: str, at: int) -> tuple[Decimal | None, Decimal]:
    """Parse the right side into factor and offset."""
    if figure := _FIGURE.fullmatch(text, at):
        return None, _finite(text, at, "".join(figure.groups()))
    if (match := _BOUND.fullmatch(text, at)) and not (match[1] and match[2]):
        factor = _finite(text, at, match[1] or match[2] or "1")
        offset = _finite(text, at, f"{match[3]}{match[4]}") if match[3] else Decimal(0)
        return factor, offset
    raise _invalid_gate(text, at, *_no_bound(text, at))


def _no_comparison(text: str, left: re.Match[str]) -> str:
    """The reason why there is no comparison between the metric and the number."""
    rest = text[left.end() :].strip()
    known = ", ".join(_COMPARE)
    if not rest:
        return f"a comparison is missing ({known})"
    if signs := re.match(_SIGNS, rest):
        return f"`{signs[0]}` is not a comparison (known are {known})"
    word = rest.split()[0]
    return f"`{word}` is not a comparison (known are {known}); a metric with a space in its name needs backticks"


def _no_bound(text: str, at: int) -> tuple[str, str]:
    """The reason why the right side is invalid, and an example of a valid gate."""
    rest = text[at:].strip()
    if not rest:
        return "the number is missing", ABSOLUTE
    if re.search(_SIGNS, rest):
        return "a gate has one comparison; write two gates", ABSOLUTE
    if re.fullmatch(r"[+-]?(nan|inf(inity)?)", rest, re.IGNORECASE):
        return f"`{rest}` is not a finite number", ABSOLUTE
    if rest.startswith(f"{CHAMPION}."):
        return f"`{CHAMPION}` is the champion's value of the same metric, and has no attributes", EXAMPLE
    if unit := _UNIT.fullmatch(rest):
        return f"`{unit[1]}` is a unit; a metric is a number without a unit", ABSOLUTE
    shapes = f"a number, `{CHAMPION}`, or `NUMBER * {CHAMPION}`, with an optional `+ NUMBER` or `- NUMBER`"
    return f"`{rest}` is not {shapes}", EXAMPLE


def _finite(text: str, at: int, figure: str) -> Decimal:
    if not isfinite(restore_infinity(float(figure))):
        raise _invalid_gate(text, at, f"`{figure}` is not a finite number", ABSOLUTE)
    return Decimal(figure)


def _invalid_gate(text: str, at: int, why: str, example: str) -> ValueError:
    at += len(text[at:]) - len(text[at:].lstrip())
    return ValueError(f"at character {at + 1}: {why}, as in `{example}`")


def _decimal(value: float) -> Decimal:
    return Decimal(repr(float(value)))


def _calculation(gate: Gate, theirs: Decimal) -> str:
    (shown,) = _formatted(theirs)
    factor = "" if gate.factor == 1 else f"{gate.factor} * "
    if not gate.offset:
        return f"{factor}{CHAMPION} {shown}"
    return f"{factor}{CHAMPION} {shown} {'-' if gate.offset < 0 else '+'} {abs(gate.offset)}"


def _formatted(*values: Decimal) -> tuple[str, ...]:
    """Numbers with as few digits as are needed to tell different ones apart."""
    for digits in range(_DIGITS, _MOST_DIGITS):
        rounded = tuple(_rounded(value, digits) for value in values)
        if len({Decimal(text) for text in rounded}) == len(set(values)):
            return rounded
    return tuple(map(str, values))


def _rounded(value: Decimal, digits: int) -> str:
    """A number with this many significant digits; an exponent only for very small or very large numbers."""
    whole = value.adjusted() + 1
    if not -_DIGITS < whole <= _MOST_DIGITS:
        return f"{value:.{digits - 1}e}"
    text = f"{value:.{max(digits - whole, 0)}f}"
    return text.rstrip("0").rstrip(".") if "." in text else text
