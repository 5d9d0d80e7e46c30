"""Compares the description of a version with that of the champion; what was measured differently is not compared."""

import json
import math
from collections.abc import Mapping
from dataclasses import replace

from ...command.inputs import TOLERANCE
from ...command.lazy_pattern import lazy_pattern
from ...command.report import Table, TableKind, counted
from ...payloads.messages.lazy_dataclass import lazy_dataclass
from ...payloads.messages.tags import TESTED
from ..model.answers import AnswerDifference, differences
from ..model.model_difference import difference_text, metric_table, package_changes, signature_table
from ..model.signature import signature_changes
from .description import AnswerSummary, MetricSet, VersionDescription

_MOST_ROWS = 50
_MOST_ANSWERS = 10
_LONGEST = 80  # characters of a value in a table
_RESPONSE_TIME = lazy_pattern(r"latency_p\d+_ms|latency/.*")  # of evaluate, and of MLflow's evaluator
_ABSENT = math.inf  # no metric of a description is infinite
_UNKNOWN_DATA = "on which data those of {} were measured is unknown"


@lazy_dataclass
class ComparedSubject:
    """
    The result for one subject: a table of what differs, how many parts differ in words, and what is not compared.

    `measured` is a table of the version's own values where they are not compared.
    """

    differing: Table | None = None
    count: str = ""
    measured: Table | None = None
    notes: tuple[str, ...] = ()


@lazy_dataclass
class VersionComparison:
    """
    A version and the champion, by subject; `champion` is None if there is none to compare with.

    `why` is the reason then, without a full stop; what comes before its colon stands alone, too.
    """

    version: VersionDescription
    champion: VersionDescription | None
    why: str = ""
    subjects: tuple[ComparedSubject, ...]

    @property
    def verdict(self) -> str:
        """The comparison in one line, without a full stop."""
        tested = f"`{self.version.model_name}` {_tested(self.version.state)}"
        if self.champion is None:
            return f"{tested}; {self.why.partition(':')[0]}"
        champion = f"the champion, version {self.champion.version}"
        counts = [subject.count for subject in self.subjects if subject.count]
        if counts:
            several = f"{', '.join(counts[:-1])} and {counts[-1]}" if len(counts) > 1 else counts[0]
            verb = "differs" if len(counts) == 1 and counts[0].startswith("1 ") else "differ"
            return f"{tested}; {several} {verb} from {champion}"
        return f"{tested}; nothing {'that is compared ' if self.notes else ''}differs from {champion}"

    @property
    def notes(self) -> tuple[str, ...]:
        """What is not compared, and why: a sentence each."""
        return tuple(note for subject in self.subjects for note in subject.notes)

    @property
    def tables(self) -> tuple[Table, ...]:
        """The tables of what differs, then those of values that are not compared."""
        differing = [subject.differing for subject in self.subjects if subject.differing]
        return (*differing, *(subject.measured for subject in self.subjects if subject.measured))


def _tested(state: str) -> str:
    if state in TESTED:
        return "passed its smoke test"
    return "failed its smoke test" if state == "failed" else "was not tested"


def without_champion(version: VersionDescription, why: str) -> VersionComparison:
    """What is known of a version that is compared with none; `why` is the reason."""
    own = (
        ComparedSubject(measured=_own_metrics(title, metric_set))
        for title, metric_set in (("evaluation", version.evaluation), ("training", version.training))
        if metric_set is not None and metric_set.metrics
    )
    return VersionComparison(version=version, champion=None, why=why, subjects=tuple(own))


def compare_descriptions(version: VersionDescription, champion: VersionDescription) -> VersionComparison:
    """Compare two descriptions: metrics if they were measured on the same data, answers to the same requests."""
    return VersionComparison(
        version=version,
        champion=champion,
        subjects=(
            _metrics("evaluation", version.evaluation, champion.evaluation),
            _metrics("training", version.training, champion.training),
            _answers(version, champion),
            _signature(version, champion),
            _packages(version, champion),
        ),
    )


def _metrics(measured_in: str, mine: MetricSet | None, theirs: MetricSet | None) -> ComparedSubject:
    if not (mine and mine.metrics) and not (theirs and theirs.metrics):
        return ComparedSubject()
    reason = _incomparable(measured_in, mine, theirs)
    if reason or mine is None or theirs is None:
        own = _own_metrics(measured_in, mine) if mine and mine.metrics else None
        return ComparedSubject(measured=own, notes=(f"The metrics of the {measured_in} are not compared: {reason}.",))
    every = {*mine.metrics, *theirs.metrics}
    names = {name for name in every if not _RESPONSE_TIME.fullmatch(name)}
    notes = () if names == every else ("Response times are not compared: they depend on the machine.",)
    if mine.left_out or theirs.left_out:
        names &= mine.metrics.keys() & theirs.metrics.keys()  # others may be among those that were left out
        notes = (*notes, f"Some metrics of the {measured_in} are not compared: a description has a limited size.")
    differing = sum(mine.metrics.get(name, _ABSENT) != theirs.metrics.get(name, _ABSENT) for name in names)
    if not differing:
        return ComparedSubject(notes=notes)
    count = f"{differing} of {counted(len(names), 'metric')} of the {measured_in}"
    new, old = (
        {name: value for name, value in _numbers(metric_set).items() if name in names} for metric_set in (mine, theirs)
    )
    table = replace(_cut(metric_table(new, old)), title=f"metrics of the {measured_in}")
    return ComparedSubject(differing=table, count=count, notes=notes)


def _incomparable(measured_in: str, mine: MetricSet | None, theirs: MetricSet | None) -> str:
    """Why metrics are not compared, empty if they were measured on the same data in the same way."""
    if mine is None or not mine.metrics:
        return "this version has none"
    if theirs is None or not theirs.metrics:
        return "the champion has none"
    for who, metric_set in (("this version", mine), ("the champion", theirs)):
        if not metric_set.data:
            why = _UNKNOWN_DATA.format(who)
            return f"{why}, which `mlflow.log_input` records" if measured_in == "training" else why
    if mine.data != theirs.data:
        return "they were measured on other data"
    if mine.settings != theirs.settings:
        return "they were measured with another target column or model type"
    return ""


def _own_metrics(measured_in: str, metric_set: MetricSet) -> Table:
    table = _cut(metric_table(_numbers(metric_set), None))
    return replace(table, title=f"metrics of the {measured_in}, of this version alone", columns=("metric", "value"))


def _numbers(metric_set: MetricSet) -> Mapping[str, float]:
    """The metrics; one that was no finite number is not a number here either."""
    return {name: math.nan if value is None else value for name, value in metric_set.metrics.items()}


def _answers(version: VersionDescription, champion: VersionDescription) -> ComparedSubject:
    mine, theirs = ({each.request: each for each in of.answers} for of in (version, champion))
    common = [(each, theirs[request]) for request, each in mine.items() if request in theirs]
    if not mine and not theirs:
        return ComparedSubject()
    if not common:
        why = "no recorded request is the same" if mine and theirs else "one of both versions has none"
        return ComparedSubject(notes=(f"The answers are not compared: {why}.",))
    differing = [(new, old, found) for new, old in common if (found := _of_answers(new, old))]
    table = Table(
        title="answers that differ",
        columns=("request", "value", "candidate", "champion", "difference"),
        rows=tuple(_answer_row(new, found) for new, _, found in differing[:_MOST_ANSWERS]),
    )
    notes = []
    if (more := len(differing) - _MOST_ANSWERS) > 0:
        notes.append(f"{counted(more, 'more answer')} {'differs' if more == 1 else 'differ'}.")
    if version.left_out_answers or champion.left_out_answers:
        notes.append("Some answers are not compared: a description has a limited size.")
    elif others := max(len(mine), len(theirs)) - len(common):
        verb = "is" if others == 1 else "are"
        notes.append(f"{counted(others, 'recorded request')} of one version {verb} not among those of the other.")
    return ComparedSubject(
        differing=replace(table, kind=TableKind.CHANGES) if table.rows else None,
        count=f"{len(differing)} of {counted(len(common), 'answer')}" if differing else "",
        notes=tuple(notes),
    )


def _of_answers(new: AnswerSummary, old: AnswerSummary) -> tuple[AnswerDifference, ...]:
    """What differs between two answers to one request; their digests if one of them is not handed over."""
    if new.status != old.status:
        return (AnswerDifference("status", "", old.status, new.status),)
    if new.sha256 == old.sha256:
        return ()
    if new.answer is None or old.answer is None:
        return (AnswerDifference("the whole answer", "", f"`{old.sha256[:12]}`", f"`{new.sha256[:12]}`"),)
    return tuple(differences(old.answer, new.answer, tolerance=TOLERANCE))


def _answer_row(answer: AnswerSummary, found: tuple[AnswerDifference, ...]) -> tuple[str, ...]:
    """The largest difference of an answer, and how many others there are."""
    largest = max(found, key=_distance)
    more = f" and {len(found) - 1} more" if len(found) > 1 else ""
    values = largest.expected is not None or largest.observed is not None
    change = difference_text(_signed(largest)) if _distance(largest) < math.inf else ""
    if not values:  # another length or other members, in words
        return answer.name, f"{largest.path}{more}", "", "", largest.text
    return answer.name, f"{largest.path}{more}", _value(largest.observed), _value(largest.expected), change


def _distance(difference: AnswerDifference) -> float:
    return abs(_signed(difference))


def _signed(difference: AnswerDifference) -> float:
    """The observed number minus the expected one; infinite for anything but numbers."""
    match difference.observed, difference.expected:
        case (bool(), _) | (_, bool()):
            return math.inf
        case (int() | float() as observed, int() | float() as expected):
            return float(observed) - float(expected)
    return math.inf


def _value(value: object) -> str:
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]}…"


def _signature(version: VersionDescription, champion: VersionDescription) -> ComparedSubject:
    if version.signature_left_out or champion.signature_left_out:
        return ComparedSubject(notes=("The signatures are not compared: one is larger than a description holds.",))
    try:
        changes = signature_changes(champion.signature, version.signature)
    except (TypeError, ValueError) as error:
        return ComparedSubject(notes=(f"The signatures are not compared: {error}.",))
    table = _cut(signature_table((change.effect.value, change.text) for change in changes))
    count = f"{counted(len(changes), 'part')} of the signature" if changes else ""
    return ComparedSubject(differing=table if table.rows else None, count=count)


def _packages(version: VersionDescription, champion: VersionDescription) -> ComparedSubject:
    new, old = version.packages, champion.packages
    if version.requirements_sha256 and version.requirements_sha256 == champion.requirements_sha256:
        if new == old or version.left_out_packages or champion.left_out_packages:
            return ComparedSubject()  # also what a description has no room for is equal
        why = "the digests of both requirements are equal, so one of both lists is not that of its version"
        return ComparedSubject(notes=(f"The packages are not compared: {why}.",))
    left_out = version.left_out_packages or champion.left_out_packages
    if left_out:  # what one of both lacks may be among what was left out
        new, old = ({name: text for name, text in each.items() if name in new and name in old} for each in (new, old))
    table = package_changes(new, old)
    return ComparedSubject(
        differing=replace(_cut(table), kind=TableKind.CHANGES) if table.rows else None,
        count=counted(len(table.rows), "package") if table.rows else "",
        notes=("Some packages are not compared: a description has a limited size.",) if left_out else (),
    )


def _cut(table: Table) -> Table:
    """A table with a bounded number of rows; the last says how many are left out."""
    more = len(table.rows) - _MOST_ROWS
    if more <= 0:
        return replace(table, kind=TableKind.CHANGES)
    rest = (f"and {more} more", *("" for _ in table.columns[1:]))
    return replace(table, kind=TableKind.CHANGES, rows=(*table.rows[:_MOST_ROWS], rest))
