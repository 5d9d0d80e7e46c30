"""Tests the table, the JUnit XML and the findings about the ways of serving a model."""

import xml.etree.ElementTree as ET

import pytest

from mlflow_uv.command.report import Finding, Severity
from mlflow_uv.core.verify.results import (
    Verdict,
    WayResult,
    findings_of,
    junit_xml,
    merged_ways,
    recorded_results,
    result_matrix,
    result_table,
    ways_of,
)

NO_CONDA, MINIFORGE = "conda is not installed", "install Miniforge"
EQUAL = WayResult(way="uv-load", verdict=Verdict.EQUAL, requests=3, seconds=1.25, memory=411_999_999)
DIFFERENT = WayResult(
    way="uv-serve", verdict=Verdict.DIFFERENT, requests=3, seconds=2.5, why="request 1: $[0] is 4", fix="--tolerance 1"
)
FAILED = WayResult(way="process", verdict=Verdict.FAILED, seconds=0.25, why="it\nended")
UNAVAILABLE = tuple(
    WayResult(way=f"conda-{method}", verdict=Verdict.UNAVAILABLE, why=NO_CONDA, fix=MINIFORGE)
    for method in ("load", "serve")
)
RESULTS = (EQUAL, DIFFERENT, FAILED, *UNAVAILABLE)


def test_ways_are_named_by_their_verdicts() -> None:
    """
    In the order of the results, and by several verdicts at once.
    """
    found = [
        ways_of(RESULTS, Verdict.EQUAL),
        ways_of(RESULTS, Verdict.FAILED, Verdict.DIFFERENT),
        ways_of(RESULTS, Verdict.UNAVAILABLE),
    ]

    assert [("uv-load",), ("uv-serve", "process"), ("conda-load", "conda-serve")] == found
    assert ["uv-serve", "process"] == [result.way for result in RESULTS if result.broken]


def test_the_matrix_has_environments_and_methods() -> None:
    """
    Ways that do not exist are empty, and a way that is not named after a method is one of serving.
    """
    table = result_matrix(RESULTS)

    assert ("environment", "load", "serve") == table.columns
    assert (
        ("uv", "✓ equal", "✗ different"),
        ("process", "", "✗ failed"),
        ("conda", "? cannot run here", "? cannot run here"),
    ) == table.rows


def test_the_table_has_a_row_for_each_way_and_no_zeros() -> None:
    """
    A way that never ran shows neither requests nor seconds; a reason is on one line.
    """
    table = result_table(RESULTS)

    assert ("way", "predictions", "requests", "seconds", "memory", "reason") == table.columns
    assert (
        ("uv-load", "✓ equal", "3", "1.2", "412 MB", ""),
        ("uv-serve", "✗ different", "3", "2.5", "", "request 1: $[0] is 4"),
        ("process", "✗ failed", "", "0.2", "", "it ended"),
        ("conda-load", "? cannot run here", "", "", "", "conda is not installed"),
        ("conda-serve", "? cannot run here", "", "", "", "conda is not installed"),
    ) == table.rows


@pytest.mark.parametrize(("length", "shown"), [(300, "x" * 300), (301, "x" * 299 + "…")])
def test_a_long_reason_is_shortened_in_the_table_only(length: int, shown: str) -> None:
    """
    The table has 300 characters of it, the XML all of them.
    """
    result = WayResult(way="process", verdict=Verdict.FAILED, why="x" * length)

    (row,) = result_table((result,)).rows
    error = ET.fromstring(junit_xml((result,), suite="wine")).find(".//error")  # ours

    assert error is not None
    assert (shown, shown, "x" * length) == (row[-1], error.get("message"), error.text)


def test_a_broken_way_is_an_error_and_ways_that_cannot_run_are_one_notice() -> None:
    """
    Ways that lack the same program share a finding.
    """
    found = tuple(findings_of(RESULTS, required=frozenset()))

    assert (
        Finding(
            rule="way-different",
            what="served by `uv-serve`, the model does not give the predictions of training",
            why="request 1: $[0] is 4",
            fix="--tolerance 1",
        ),
        Finding(rule="way-failed", what="the model cannot be served by `process`", why="it\nended"),
        Finding(
            rule="way-unavailable",
            what="`conda-load`, `conda-serve` cannot be tried here",
            severity=Severity.NOTICE,
            why=NO_CONDA,
            fix=MINIFORGE,
        ),
    ) == found


@pytest.mark.parametrize(
    ("required", "severity"), [({"conda-serve"}, Severity.ERROR), ({"uv-load", "process"}, Severity.NOTICE)]
)
def test_a_way_that_was_requested_and_cannot_run_is_an_error(required: set[str], severity: Severity) -> None:
    """
    Only if it is one of those that cannot run.
    """
    (found,) = findings_of(UNAVAILABLE, required=frozenset(required))

    assert severity is found.severity


def test_ways_that_lack_different_programs_are_different_findings() -> None:
    """
    Each has its own reason and fix.
    """
    image = WayResult(way="image", verdict=Verdict.UNAVAILABLE, why="it was never pushed")

    found = findings_of((image, *UNAVAILABLE), required=frozenset())

    assert [
        ("`image` cannot be tried here", "it was never pushed", ""),
        ("`conda-load`, `conda-serve` cannot be tried here", NO_CONDA, MINIFORGE),
    ] == [(finding.what, finding.why, finding.fix) for finding in found]


def test_junit_xml_has_a_test_case_for_each_way() -> None:
    """
    A difference is a failure, a way that cannot be served an error, and one that cannot run here is skipped.
    """
    document = junit_xml(RESULTS, suite="wine version 1")

    root = ET.fromstring(document)  # ours
    (suite,) = root
    assert ("testsuites", "testsuite") == (root.tag, suite.tag)
    assert {
        "name": "wine version 1", "tests": "5", "failures": "1", "errors": "1", "skipped": "2", "time": "4.000",
    } == suite.attrib  # fmt: skip
    assert [
        ("uv-load", "1.250", None, None),
        ("uv-serve", "2.500", "failure", "request 1: $[0] is 4\nFix: --tolerance 1"),
        ("process", "0.250", "error", "it\nended"),
        ("conda-load", "0.000", "skipped", "conda is not installed\nFix: install Miniforge"),
        ("conda-serve", "0.000", "skipped", "conda is not installed\nFix: install Miniforge"),
    ] == [
        (case.get("name"), case.get("time"), *next(((each.tag, each.text) for each in case), (None, None)))
        for case in suite
    ]
    assert {"wine version 1"} == {case.get("classname") for case in suite}
    assert document.startswith(b"<?xml version='1.0' encoding='utf-8'?>\n")


@pytest.mark.parametrize(
    ("why", "read"),
    [
        ("\x1b[31mred\x1b[0m", "\ufffd[31mred\ufffd[0m"),
        ("a\x00b", "a\ufffdb"),
        ("half \ud83d of it", "half \ufffd of it"),
        ("\ufffe\uffff", "\ufffd\ufffd"),
        ("größer 🎉 ]]> <b> & \"'", "größer 🎉 ]]> <b> & \"'"),
        ("tab\tline\nend\x7f", "tab\tline\nend\x7f"),
    ],
    ids=["escape", "null", "surrogate", "noncharacters", "markup", "allowed"],
)
def test_junit_xml_can_be_parsed_whatever_a_program_printed(why: str, read: str) -> None:
    """
    Only the characters that XML 1.0 forbids are replaced, in names and in reasons.
    """
    result = WayResult(way="process", verdict=Verdict.FAILED, why=why)

    root = ET.fromstring(junit_xml((result,), suite=why))  # ours

    (suite,) = root
    error = suite.find("testcase/error")
    assert error is not None
    assert (read, " ".join(read.split())) == (error.text, error.get("message"))
    assert read == suite.get("name")


def test_no_ways_are_an_empty_suite() -> None:
    """
    A reader gets a suite with zero tests.
    """
    (suite,) = ET.fromstring(junit_xml((), suite="wine"))  # ours

    assert ("0", "0.000", []) == (suite.get("tests"), suite.get("time"), list(suite))


def test_a_result_replaces_an_earlier_one_of_its_way_in_the_record() -> None:
    """
    Other ways stay, and so does one that cannot run here but ran elsewhere; the record is sorted by way.
    """
    earlier = merged_ways((), (DIFFERENT, WayResult(way="conda-load", verdict=Verdict.EQUAL, requests=9), EQUAL))

    found = recorded_results(merged_ways(earlier, (*UNAVAILABLE, WayResult(way="uv-serve", verdict=Verdict.EQUAL))))

    assert [
        ("conda-load", Verdict.EQUAL), ("conda-serve", Verdict.UNAVAILABLE),
        ("uv-load", Verdict.EQUAL), ("uv-serve", Verdict.EQUAL),
    ] == [(result.way, result.verdict) for result in found]  # fmt: skip
    assert (3, 1.2, 411_999_999) == (found[2].requests, found[2].seconds, found[2].memory)
