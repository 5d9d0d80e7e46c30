"""The sentences for the kinds of problems that a payload reports."""

from mlflow_uv.payloads.problems import ProblemKind
from mlflow_uv.tools.mlflow.errors import ERRORS, fixes_for
from mlflow_uv.tools.mlflow.store import Store, StoreKind

KINDS = {kind.value for kind in ProblemKind} - {ProblemKind.UNEXPECTED.value}


def test_every_kind_of_problem_has_a_sentence() -> None:
    """
    A kind without one would be reported as an internal error.
    """
    assert KINDS == ERRORS.keys()


def test_fixes_are_for_kinds_that_exist() -> None:
    """
    A fix for a kind that nothing raises is never shown.
    """
    stores = [Store(uri=uri, kind=kind, variables={}) for uri in ("databricks", "x:") for kind in StoreKind]
    logins = [(store, login) for store in (None, *stores) for login in (False, True)]

    assert set() == {kind for store, login in logins for kind in fixes_for(store, by_identity=login)} - KINDS


def test_sentences_differ() -> None:
    """
    A sentence is all that tells two kinds with one exit code apart.
    """
    assert len(ERRORS) == len({sentence for _, sentence in ERRORS.values()})
