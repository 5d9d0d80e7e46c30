"""Tests what a refusal says of an error that a converter raised."""

from pathlib import Path

import pytest

from tests.conversions import run_in

pytestmark = [pytest.mark.installs, pytest.mark.extended]


def test_a_refusal_has_the_step_and_the_first_sentence(converting: Path) -> None:
    """
    Of any error; a reason that is known already stays, and a very long one is cut.
    """
    found = run_in(
        converting,
        """
    refusing = importlib.import_module("payloads.conversion.refusing")
    native = importlib.import_module("payloads.conversion.native_models")
    def refused(error):
        def convert():
            with refusing.refusing("Pipeline"):
                raise error
        refusal = refusing.converted_or_refused(convert).refusal
        return [refusal.operator, refusal.reason]
    errors = [
        RuntimeError("no converter for <class 'sklearn.preprocessing.Spline'>. You may ask for one"),
        SystemExit("stopped"), native.Inconvertible("Forest", "too large"), ValueError("x" * 9999),
    ]
    print(json.dumps(list(map(refused, errors))))
    """,
    )

    assert [
        ["Spline", "RuntimeError: no converter for <class 'sklearn.preprocessing.Spline'>."],
        ["Pipeline", "SystemExit: stopped"],
        ["Forest", "too large"],
    ] == found[:3]
    assert len(found[3][1]) <= 601
