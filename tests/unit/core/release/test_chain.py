"""The verdict on each link of a release."""

from dataclasses import replace

import pytest

from mlflow_uv.command.errors import ChainBroken
from mlflow_uv.command.report import Mark, render_chain
from mlflow_uv.core.release.chain import (
    LinkCheck,
    LinkState,
    chain_links,
    checked_links,
    compare_link,
    merge_checks,
    require_unbroken,
    stopped_at,
)
from mlflow_uv.core.release.record import LINKS, VerificationLink, WayLink
from mlflow_uv.steps.catalog import RELEASE_PARTS
from tests.unit.core.release.test_record import IMAGE, WAY, WHOLE

HOLDS = LinkCheck(link="lock", state=LinkState.HOLDS)
UNVERIFIED = LinkCheck(link="image", state=LinkState.UNVERIFIED, reason="no engine")


@pytest.mark.parametrize(
    ("recorded", "found", "state"),
    [
        ("a", "a", LinkState.HOLDS),
        ("a", "b", LinkState.BROKEN),
        (None, "b", LinkState.BROKEN),
        ("a", None, LinkState.UNVERIFIED),
        (None, None, LinkState.UNVERIFIED),
    ],
)
def test_a_link_holds_only_if_it_was_computed_again(recorded: str | None, found: str | None, state: LinkState) -> None:
    """
    What cannot be computed here is unverified, and that is not `holds`.
    """
    check = compare_link("lock", recorded=recorded, observed=found, source="git")

    assert state is check.state


def test_a_broken_link_says_who_says_what() -> None:
    """
    The reason names the source, and shortens digests to what a person compares.
    """
    check = compare_link("lock", recorded="a" * 64, observed="b" * 64, source="the commit")

    assert "the record says aaaaaaaaaaaa, the commit says bbbbbbbbbbbb" == check.reason


def test_a_chain_without_a_broken_link_is_returned() -> None:
    """
    Unverified links do not stop a release; they are handed on to be shown.
    """
    found = require_unbroken(iter((HOLDS, UNVERIFIED)))

    assert (HOLDS, UNVERIFIED) == found


def test_a_broken_chain_names_every_broken_link_in_order() -> None:
    """
    The first link in the chain comes first: what follows from it may be broken by it.
    """
    broken = [compare_link(link, recorded="a", observed="b", source=link) for link in ("lock", "model")]

    with pytest.raises(ChainBroken) as caught:
        require_unbroken((broken[0], HOLDS, broken[1]))

    assert "the chain is broken at `lock`, `model`" == caught.value.what


def test_several_checks_of_a_link_become_its_worst() -> None:
    """
    A link that holds at one source and is broken at another is broken; links come in the order of the chain.
    """
    broken = compare_link("lock", recorded="a", observed="b", source="the model")

    found = merge_checks((UNVERIFIED, HOLDS, broken))

    assert (broken, UNVERIFIED) == found


def test_a_link_is_not_verified_as_long_as_one_of_its_checks_is_not() -> None:
    """
    That something else about it holds does not make up for it.
    """
    unverified = LinkCheck(link="lock", state=LinkState.UNVERIFIED, reason="no git")

    found = merge_checks((HOLDS, unverified, HOLDS))

    assert (unverified,) == found


def test_recomputed_links_have_the_mark_of_their_check() -> None:
    """
    In the order of the checks, with the identity that the record has of each.
    """
    broken = compare_link("commit", recorded="a", observed="b", source="git")

    links = checked_links(WHOLE, (HOLDS, UNVERIFIED, broken))

    assert "✓ lock 1111111 ── ? image (process) ── ✗ commit ccccccc" == render_chain(links)


@pytest.mark.parametrize(
    ("ways", "shown"),
    [(None, None), ((WAY,), "✓ verification"), ((WAY, IMAGE), "✗ verification")],
    ids=["none", "equal", "different"],
)
def test_the_results_of_verify_are_in_the_chain_of_a_version_that_has_them(
    ways: tuple[WayLink, ...] | None, shown: str | None
) -> None:
    """
    A way with other predictions breaks it.
    """
    link = VerificationLink(model="4", expected="8", image="", ways=ways) if ways else None

    last = render_chain(chain_links(replace(WHOLE, verification=link, exports=None, signature=None))).split(" ── ")[-1]

    assert (shown or "✓ alias candidate") == last


@pytest.mark.parametrize(
    ("step", "named", "links"),
    [
        ("log-model", ("commit",), ("commit",)),
        ("log-model", ("tracking server",), ("model",)),
        ("register", ("model", "lock"), ("model", "lock")),
        ("register", ("record",), ("version",)),
        ("check-targets", (), ("lock",)),
    ],
)
def test_a_release_stops_at_the_links_that_its_error_names_else_at_that_of_the_step(
    step: str, named: tuple[str, ...], links: tuple[str, ...]
) -> None:
    """
    What is not a link of the chain names none.
    """
    assert links == stopped_at(step, named)


def test_every_step_of_a_release_has_a_link_of_the_chain() -> None:
    """
    So that a release that stops always has a link with a cross.
    """
    links = [link for step in (*RELEASE_PARTS, "verify") for link in stopped_at(step)]

    assert set() == set(links) - set(LINKS)


def test_a_release_that_stopped_shows_what_was_proven_before_and_where_it_stopped() -> None:
    """
    Without a record, too; a link that was checked and is broken now is broken.
    """
    chain = chain_links(None, broken=("lock", "verification"), proven=("commit", "lock"))

    marks = {link.name: link.mark for link in chain}
    assert (Mark.HOLDS, Mark.BROKEN, Mark.BROKEN) == (marks["commit"], marks["lock"], marks["verification"])
    assert {Mark.MISSING} == {mark for name, mark in marks.items() if name not in ("commit", "lock", "verification")}
