"""Holds the result of each way of serving a model, and renders all of them as a table and as JUnit XML."""

from collections.abc import Iterable
from enum import Enum

from ...command.lazy_pattern import lazy_pattern
from ...command.report import Finding, Severity, Table
from ...payloads.messages.lazy_dataclass import lazy_dataclass
from ..release.record import WayLink

# What XML 1.0 allows in no form, not even as a reference (https://www.w3.org/TR/xml/#charsets).
_FORBIDDEN = lazy_pattern("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_LONGEST = 300  # characters of a reason in the table


class Verdict(Enum):
    """What was found out about a way of serving a model."""

    EQUAL = "equal"
    DIFFERENT = "different"
    FAILED = "failed"
    UNAVAILABLE = "unavailable"


_MARKS = {
    Verdict.EQUAL: "✓ equal",
    Verdict.DIFFERENT: "✗ different",
    Verdict.FAILED: "✗ failed",
    Verdict.UNAVAILABLE: "? cannot run here",
}


@lazy_dataclass
class WayResult:
    """
    The result of a way, after `requests` requests and `seconds` seconds; `memory` is its peak in bytes, 0 if unknown.

    `why` says where answers differ, what failed, or why it cannot run here; it is empty if the answers are equal.
    `image` is the id of the served image in the release record, empty for a way that serves none.
    """

    way: str
    verdict: Verdict
    requests: int = 0
    seconds: float = 0.0
    memory: int = 0
    why: str = ""
    fix: str = ""
    image: str = ""

    @property
    def broken(self) -> bool:
        """Whether the model was served, or should have been, and its answers are not those of training."""
        return self.verdict in (Verdict.DIFFERENT, Verdict.FAILED)


def merged_ways(earlier: Iterable[WayLink], results: Iterable[WayResult]) -> tuple[WayLink, ...]:
    """
    Return the ways of a record after a verification, sorted by name: a result replaces an earlier one of its way.

    A way that cannot run here does not replace one that ran elsewhere.
    """
    ways = {link.way: link for link in earlier}
    for result in results:
        if result.verdict is Verdict.UNAVAILABLE and result.way in ways:
            continue
        ways[result.way] = WayLink(
            way=result.way,
            verdict=result.verdict.value,
            requests=result.requests,
            seconds=round(result.seconds, 1),
            memory=result.memory,
            why=_shortened(result.why),
        )
    return tuple(ways[name] for name in sorted(ways))


def recorded_results(ways: Iterable[WayLink]) -> tuple[WayResult, ...]:
    """Return the results in a record. Raises ValueError for an unknown verdict."""
    return tuple(
        WayResult(
            way=link.way,
            verdict=Verdict(link.verdict),
            requests=link.requests,
            seconds=link.seconds,
            memory=link.memory,
            why=link.why,
        )
        for link in ways
    )


def ways_of(results: Iterable[WayResult], *verdicts: Verdict) -> tuple[str, ...]:
    """Return the names of the ways with these verdicts."""
    return tuple(result.way for result in results if result.verdict in verdicts)


def findings_of(results: Iterable[WayResult], *, required: frozenset[str]) -> Iterable[Finding]:
    """
    Yield an error for each way that is broken, and a finding about those that cannot run here.

    That is a notice, and an error if one of them is `required`.
    """
    results = tuple(results)
    for result in results:
        if result.broken:
            what = (
                f"served by `{result.way}`, the model does not give the predictions of training"
                if result.verdict is Verdict.DIFFERENT
                else f"the model cannot be served by `{result.way}`"
            )
            yield Finding(rule=f"way-{result.verdict.value}", what=what, why=result.why, fix=result.fix)
    for (why, fix), ways in _unavailable(results).items():
        yield Finding(
            rule="way-unavailable",
            what=f"{', '.join(f'`{way}`' for way in ways)} cannot be tried here",
            why=why,
            fix=fix,
            severity=Severity.ERROR if required.intersection(ways) else Severity.NOTICE,
        )


def _unavailable(results: tuple[WayResult, ...]) -> dict[tuple[str, str], list[str]]:
    """The ways that cannot run here, by reason and fix."""
    ways: dict[tuple[str, str], list[str]] = {}
    for result in results:
        if result.verdict is Verdict.UNAVAILABLE:
            ways.setdefault((result.why, result.fix), []).append(result.way)
    return ways


def result_matrix(results: Iterable[WayResult]) -> Table:
    """
    Return one row for each environment and one column for each method, such as `uv` and `load` of `uv-load`.

    An environment with a single method, such as the image, is asked by HTTP as in `serve`.
    """
    cells: dict[str, dict[str, str]] = {}
    methods: dict[str, None] = {}
    for result in results:
        environment, _, method = result.way.partition("-")
        method = method or "serve"
        cells.setdefault(environment, {})[method] = _MARKS[result.verdict]
        methods[method] = None
    return Table(
        title="Ways of serving by environment",
        columns=("environment", *methods),
        rows=tuple((name, *(row.get(method, "") for method in methods)) for name, row in cells.items()),
    )


def result_table(results: Iterable[WayResult]) -> Table:
    """Return one row for each way."""
    return Table(
        title="Ways of serving",
        columns=("way", "predictions", "requests", "seconds", "memory", "reason"),
        rows=tuple(
            (
                result.way,
                _MARKS[result.verdict],
                str(result.requests) if result.requests else "",
                f"{result.seconds:.1f}" if result.seconds else "",
                f"{result.memory / 1e6:.0f} MB" if result.memory else "",
                _shortened(result.why),
            )
            for result in results
        ),
    )


def junit_xml(results: Iterable[WayResult], *, suite: str) -> bytes:
    """
    Return the results as JUnit XML: one test case for each way, named after it, in a suite of the given name.

    An unavailable way is skipped, a way whose answers differ is a failure, and one that cannot be served an error. The
    elements are those that GitHub actions, GitLab and Jenkins read (https://github.com/testmoapp/junitxml).
    """
    import xml.etree.ElementTree as ET  # noqa: PLC0415  # no entry point needs it at once

    results = tuple(results)
    counts = {
        "tests": len(results),
        "failures": len(ways_of(results, Verdict.DIFFERENT)),
        "errors": len(ways_of(results, Verdict.FAILED)),
        "skipped": len(ways_of(results, Verdict.UNAVAILABLE)),
    }
    attributes = {"name": _text(suite), **{name: str(number) for name, number in counts.items()}}
    attributes["time"] = f"{sum(result.seconds for result in results):.3f}"
    root = ET.Element("testsuites")
    group = ET.SubElement(root, "testsuite", attributes)
    for result in results:
        case = ET.SubElement(
            group, "testcase", {"classname": _text(suite), "name": result.way, "time": f"{result.seconds:.3f}"}
        )
        element = _ELEMENTS.get(result.verdict)
        if element is not None:
            reason = ET.SubElement(case, element, {"message": _text(_shortened(result.why))})
            reason.text = _text("\n".join(filter(None, (result.why, result.fix and f"Fix: {result.fix}"))))
    ET.indent(root)
    document: bytes = ET.tostring(root, encoding="utf-8", xml_declaration=True)
    return document + b"\n"


_ELEMENTS = {Verdict.DIFFERENT: "failure", Verdict.FAILED: "error", Verdict.UNAVAILABLE: "skipped"}


def _shortened(text: str) -> str:
    line = " ".join(text.split())
    return line if len(line) <= _LONGEST else f"{line[: _LONGEST - 1]}…"


def _text(text: str) -> str:
    """Replace the characters that XML does not allow."""
    return _FORBIDDEN.sub("\N{REPLACEMENT CHARACTER}", text)
