"""Tests how recomputed links are reported."""

import pytest

from mlflow_uv.command.report import Severity
from mlflow_uv.core.release.chain import LinkCheck, LinkState
from mlflow_uv.ops.lineage.link_report import link_findings, link_table, links_summary, unverified_findings

LINKS = (
    LinkCheck(link="lock", state=LinkState.HOLDS),
    LinkCheck(link="signature", state=LinkState.BROKEN, reason="nobody signed it", fix="sign it"),
    LinkCheck(link="commit", state=LinkState.UNVERIFIED, reason="git does not have it"),
)


def test_a_broken_link_is_an_error_with_its_fix() -> None:
    """
    One that is not verified is a warning, and an error where nothing may be left open.
    """
    loose, strict = (tuple(link_findings(LINKS, "wine version 1", strict=strict)) for strict in (False, True))

    assert [("link-broken", "sign it"), ("link-unverified", "")] == [(one.rule, one.fix) for one in loose]
    assert [Severity.WARNING, Severity.ERROR] == [loose[1].severity, strict[1].severity]


def test_the_summary_names_what_is_broken_first() -> None:
    """
    Else what is not verified.
    """
    states = {state: tuple(one.link for one in LINKS if one.state is state) for state in LinkState}

    assert "broken at signature" == links_summary(states)
    assert "1 links hold, not verified here: commit" == links_summary({**states, LinkState.BROKEN: ()})
    assert ("signature", "✗ broken", "nobody signed it") == link_table(LINKS).rows[1]


@pytest.mark.parametrize("severity", list(Severity))
def test_a_step_that_goes_on_reports_only_what_is_not_verified(severity: Severity) -> None:
    """
    With the severity that the step gives it.
    """
    found = tuple(unverified_findings(LINKS, severity))

    assert [(severity, "link-unverified", "`commit` is not verified here", "git does not have it")] == [
        (one.severity, one.rule, one.what, one.why) for one in found
    ]
