"""The page of targets and situations is what is declared, for every kind of target, with tests that are there."""

import re
from pathlib import Path

from mlflow_uv.core.deploy.settings import KINDS
from tests import deployment_situations
from tests.deployment_situations import MORE, NOT_SHOWN, PAGE, SITUATIONS, TARGETS, gaps, page, shown_by
from tests.unit.ops.deploy import test_target

TESTS = Path(__file__).resolve().parents[1]
DEFINED = re.compile(r"^def (test_\w+)\(", re.MULTILINE)


def test_the_page_is_what_is_declared() -> None:
    """
    Who declares another test, or a target, writes the page again.
    """
    assert page() == PAGE.read_text()


def test_every_kind_of_target_and_every_situation_has_a_test_or_a_reason() -> None:
    """
    And what the common tests deploy to is a target of the page.
    """
    groups = ("PLACES", "REMOVABLE", "BESIDE", "SHARED")

    assert [] == list(gaps())
    assert set(KINDS) == {target.partition(",")[0] for target in TARGETS}
    assert [set(getattr(test_target, name)) for name in groups] == [
        set(getattr(deployment_situations, name)) for name in groups
    ]
    assert set(MORE) == set(TARGETS) == set(NOT_SHOWN)


def test_every_test_that_is_named_is_there() -> None:
    """
    A test that was renamed is not declared any more.
    """
    defined = {name for path in TESTS.rglob("test_*.py") for name in DEFINED.findall(path.read_text())}
    named = {name for target in TARGETS for situation in SITUATIONS for name, _ in shown_by(target, situation)}

    assert set() == named - defined
    assert len(named) > len(SITUATIONS)
