"""Compares the outputs of a converted model with those of the original, and decides by a budget."""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from decimal import ROUND_CEILING, Context
from typing import Any

from ...command.report import Finding, Severity, Table, counted
from ...command.wording import Wording, option
from ...payloads.messages.conversion import ModelPort, PortableSignature
from ...payloads.messages.lazy_dataclass import lazy_dataclass

# How the scorer of a bundle refuses a request that its types cannot express.
_BEYOND_TYPES = "ValueError: "
_SHOWN = 3
_HALF = 0.5
_NUMBER = "double"
_DIGITS = (2, 17)  # of a printed tolerance: few, or as many as a number below 1 has


@lazy_dataclass
class ParityBudget:
    """
    What may differ: numbers within `tolerance`, relative and absolute; `max_beyond` is the share of numbers beyond it.

    `max_flips` is the number of labels that may be others.
    """

    tolerance: float
    max_flips: int
    max_beyond: float


@lazy_dataclass
class OutputParity:
    """
    One output for the requests of one origin.

    `absolute` and `relative` are the greatest differences, `beyond` the number of values beyond the tolerance, and
    `accepting` the least tolerance that no value is beyond. `flips` are rows whose labels differ, `ties` those of them
    for which the original gives both labels the same probability. `values` is the number of values, if it is not that
    of the rows.
    """

    origin: str
    output: str
    rows: int
    absolute: float = 0.0
    relative: float = 0.0
    accepting: float = 0.0
    beyond: int = 0
    flips: int = 0
    ties: int = 0
    values: int = 0

    @property
    def counted_flips(self) -> int:
        """The flips that are no ties."""
        return self.flips - self.ties

    @property
    def share(self) -> float:
        """The share of values beyond the tolerance."""
        return self.beyond / (self.values or self.rows) if self.rows else 0.0


@lazy_dataclass
class Parity:
    """
    The result of the comparison.

    `beyond_types` are the names of requests with values that the converted model does not take, and `uncompared` the
    origins of which therefore no request was compared. `refused` is the number of requests that the original refuses,
    and `failed` are names and reasons of those that only the converted model does not answer.
    """

    outputs: tuple[OutputParity, ...]
    beyond_types: tuple[str, ...]
    uncompared: tuple[str, ...]
    refused: int
    failed: tuple[tuple[str, str], ...]

    @property
    def rows(self) -> int:
        """The rows that were compared."""
        by_origin: dict[str, int] = {}
        for output in self.outputs:
            by_origin[output.origin] = output.rows
        return sum(by_origin.values())

    @property
    def flips(self) -> int:
        """The labels that are others, without ties."""
        return sum(output.counted_flips for output in self.outputs)

    @property
    def absolute(self) -> float:
        """The greatest absolute difference of a number."""
        return max((output.absolute for output in self.outputs), default=0.0)


def compare_outputs(
    original: Sequence[Mapping[str, Any]],
    converted: Sequence[Mapping[str, Any]],
    signature: PortableSignature,
    tolerance: float,
) -> Parity:
    """
    Compare the answers to the same requests.

    `original` has `name`, `origin` and either `outputs` or `refused` for each request, `converted` the answers to those
    of them that have outputs, in the same order. Raises ValueError for lists that do not fit.
    """
    answered = [item for item in original if "outputs" in item]
    parities: dict[tuple[str, str], OutputParity] = {}
    beyond_types, failed = [], []
    uncompared: set[str] = set()
    for item, answer in zip(answered, converted, strict=True):
        if "outputs" not in answer:
            reason = str(answer.get("refused"))
            if reason.startswith(_BEYOND_TYPES):
                beyond_types.append(str(item["name"]))
                uncompared.add(str(item["origin"]))
            else:
                failed.append((str(item["name"]), reason))
            continue
        for output in _compared(item, answer["outputs"], signature, tolerance):
            key = (output.origin, output.output)
            parities[key] = _added(parities[key], output) if key in parities else output
    return Parity(
        outputs=tuple(parities.values()),
        beyond_types=tuple(beyond_types),
        uncompared=tuple(sorted(uncompared - {origin for origin, _ in parities})),
        refused=len(original) - len(answered),
        failed=tuple(failed),
    )


def _compared(
    item: Mapping[str, Any], outputs: Mapping[str, Sequence[Any]], signature: PortableSignature, tolerance: float
) -> Iterator[OutputParity]:
    own: Mapping[str, Sequence[Any]] = item["outputs"]
    origin = str(item["origin"])
    probabilities = [values for name, values in own.items() if name.startswith("probability")]
    for (name, values), port in zip(own.items(), signature.outputs, strict=True):
        others = outputs[port.name]
        if len(others) != len(values):
            raise ValueError(f"`{port.name}` has {len(others)} values for {len(values)} rows")
        if port.shape:
            yield _tensors(origin, port, values, others, tolerance)
            continue
        if port.type == _NUMBER:
            yield _numbers(origin, port.name, values, others, tolerance)
            continue
        differing = [row for row, pair in enumerate(zip(values, others, strict=True)) if not _same(*pair)]
        ties = 0
        if name == "label" and probabilities:
            places = {label: number for number, label in enumerate(signature.classes)}
            ties = sum(_tied(probabilities, places, row, values[row], others[row], tolerance) for row in differing)
        yield OutputParity(origin=origin, output=port.name, rows=len(values), flips=len(differing), ties=ties)


def _same(left: object, right: object) -> bool:
    return left == right or str(left) == str(right)


def _tied(  # noqa: PLR0913, PLR0917  # a row with its two labels
    probabilities: Sequence[Sequence[float]],
    places: Mapping[str, int],
    row: int,
    left: Any,
    right: Any,
    tolerance: float,
) -> bool:
    """Whether the original gives both labels the same probability: then the order of a sum decides."""
    first, second = places.get(str(left)), places.get(str(right))
    if first is None or second is None or len(probabilities) != len(places):
        return False
    return abs(probabilities[first][row] - probabilities[second][row]) <= tolerance


def _tensors(
    origin: str, port: ModelPort, values: Sequence[Any], others: Sequence[Any], tolerance: float
) -> OutputParity:
    """Compare an output with a tensor for each row: its numbers, and the labels on which they decide."""
    rows, other_rows = ([tuple(_flat(value)) for value in part] for part in (values, others))
    if [len(row) for row in rows] != [len(row) for row in other_rows]:
        raise ValueError(f"`{port.name}` has rows of other shapes")
    left, right = ([number for row in part for number in row] for part in (rows, other_rows))
    numbers = _numbers(origin, port.name, left, right, tolerance)
    flips = ties = 0
    for row, other in zip(rows, other_rows, strict=True) if port.activation else ():
        own, theirs = decisions(row, port), decisions(other, port)
        if own != theirs:
            flips += 1
            ties += _undecided(row, port, own, theirs, tolerance)
    return replace(numbers, rows=len(rows), values=len(left), flips=flips, ties=ties)


def _flat(value: Any) -> Iterator[float]:
    if isinstance(value, (list, tuple)):
        for item in value:
            yield from _flat(item)
        return
    yield value


def decisions(row: Sequence[float], port: ModelPort) -> tuple[int, ...]:
    """The labels that the numbers of a row decide on: the place of the greatest, or 1 for a number above one half."""
    if port.activation == "sigmoid":
        return tuple(int(number > _HALF) for number in row)
    width = port.shape[-1]
    parts = (row[start : start + width] for start in range(0, len(row), width))
    return tuple(max(range(width), key=part.__getitem__) for part in parts)


def _undecided(
    row: Sequence[float], port: ModelPort, own: Sequence[int], theirs: Sequence[int], tolerance: float
) -> bool:
    """Whether the original is between both labels wherever they differ."""
    differing = [place for place, pair in enumerate(zip(own, theirs, strict=True)) if pair[0] != pair[1]]
    if port.activation == "sigmoid":
        return all(abs(row[place] - _HALF) <= tolerance for place in differing)
    width = port.shape[-1]
    pairs = ((row[place * width + own[place]], row[place * width + theirs[place]]) for place in differing)
    return all(abs(left - right) <= tolerance for left, right in pairs)


def _numbers(origin: str, output: str, values: Sequence[Any], others: Sequence[Any], tolerance: float) -> OutputParity:
    absolute = relative = accepting = 0.0
    beyond = 0
    for value, other in zip(map(float, values), map(float, others), strict=True):
        if value == other or (math.isnan(value) and math.isnan(other)):
            continue
        difference = abs(value - other)
        difference = math.inf if math.isnan(difference) else difference
        absolute = max(absolute, difference)
        relative = max(relative, difference / abs(value) if value and math.isfinite(value) else math.inf)
        # Nothing is near an infinite number.
        least = difference / (1 + abs(value)) if math.isfinite(value) else math.inf
        accepting = max(accepting, least)
        beyond += least > tolerance
    return OutputParity(
        origin=origin,
        output=output,
        rows=len(values),
        absolute=absolute,
        relative=relative,
        accepting=accepting,
        beyond=beyond,
    )


def _added(first: OutputParity, second: OutputParity) -> OutputParity:
    return OutputParity(
        origin=first.origin,
        output=first.output,
        rows=first.rows + second.rows,
        absolute=max(first.absolute, second.absolute),
        relative=max(first.relative, second.relative),
        accepting=max(first.accepting, second.accepting),
        beyond=first.beyond + second.beyond,
        flips=first.flips + second.flips,
        ties=first.ties + second.ties,
        values=first.values + second.values,
    )


def parity_findings(parity: Parity, budget: ParityBudget, shown: str, advice: str) -> Iterator[Finding]:
    """Yield an error for each part of the budget that is exceeded, and notices about what was not compared."""
    flips = parity.flips
    if flips > budget.max_flips:
        origins = ", ".join(f"{o.counted_flips} {o.origin}" for o in parity.outputs if o.counted_flips)
        yield Finding(
            rule="parity-flips",
            what=f"the converted model gives {counted(flips, 'row')} another label than {shown}",
            why=f"`max-flips` is {budget.max_flips}; they are: {origins}",
            fix=Wording(advice, ", or ", option("max-flips", str(flips))),
        )
    exceeding = [output for output in parity.outputs if output.share > budget.max_beyond]
    if exceeding:
        worst = sorted(exceeding, key=lambda output: -output.absolute)[:_SHOWN]
        why = "; ".join(
            f"`{o.output}` is up to {o.absolute:.2g} off in the requests `{o.origin}`, and {o.share:.1%} of {o.rows}"
            f" rows are beyond {budget.tolerance:g}"
            for o in worst
        )
        yield Finding(
            rule="parity-exceeded",
            what=f"the converted model does not compute what {shown} computes",
            why=why,
            fix=_tolerated(advice, max(output.accepting for output in exceeding)),
        )
    if parity.failed:
        name, reason = parity.failed[0]
        yield Finding(
            rule="parity-unanswered",
            what=f"the converted model does not answer {counted(len(parity.failed), 'request')} that {shown} answers",
            why=f"{name}: {reason}",
            fix=advice,
        )
    if not parity.rows and not parity.beyond_types:
        yield Finding(
            rule="parity-empty",
            what="nothing was compared",
            why=f"{shown} answers none of the requests",
            fix="log the model with an input_example that it answers",
        )
    elif not parity.rows or "recorded" in parity.uncompared:
        yield Finding(
            rule="parity-empty",
            what=f"no recorded request of {shown} was compared",
            why=f"the converted model cannot hold their values: {'; '.join(parity.beyond_types[:_SHOWN])}",
            fix="train the model with numbers within the range of 32 bits, for example scaled ones, and with an"
            " input_example of those",
        )
    if parity.beyond_types:
        yield Finding(
            rule="parity-beyond-types",
            severity=Severity.NOTICE,
            what=f"{counted(len(parity.beyond_types), 'request')} cannot be given to the converted model",
            why="its inputs are numbers of 32 bits (finite ones for TFLite), and other columns need all values: "
            + "; ".join(parity.beyond_types[:_SHOWN]),
        )


def _tolerated(advice: str, accepting: float) -> str:
    """The advice, or the tolerance that accepts every number, rounded up, where one that the input allows does."""
    for digits in _DIGITS if accepting < 1 else ():
        rounded = float(Context(prec=digits, rounding=ROUND_CEILING).create_decimal_from_float(accepting))
        if rounded < 1:
            return Wording(advice, ", or ", option("parity-tolerance", f"{rounded!r}"))
    return advice


def parity_table(parity: Parity) -> Table:
    """The comparison as a table, a row for each origin and output."""
    return Table(
        title="Parity",
        columns=("Requests", "Output", "Rows", "Absolute", "Relative", "Beyond", "Flips"),
        rows=tuple(
            (
                output.origin,
                output.output,
                str(output.rows),
                f"{output.absolute:.2g}",
                f"{output.relative:.2g}",
                f"{output.share:.1%}",
                f"{output.counted_flips}" + (f" (+{counted(output.ties, 'tie')})" if output.ties else ""),
            )
            for output in parity.outputs
        ),
    )
