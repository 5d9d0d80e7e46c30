"""The page of converted models has the models that are declared, and each is named once."""

from tests.parity import BEYOND, CASES, CORE, NETWORKS, PAGE, REFUSED, WITHIN, declared, page, rows

ALL = (*CASES, *NETWORKS)


def test_the_page_has_a_row_for_each_declared_model() -> None:
    """
    Who declares a model, or another result for it, runs the tests and writes the page again.
    """
    assert declared(ALL) == rows(PAGE.read_text())


def test_each_model_has_a_name_of_its_own() -> None:
    """
    The name is the key of the result.
    """
    assert len(ALL) == len({case.key for case in ALL})


def test_the_core_suite_has_one_model_of_each_result() -> None:
    """
    One is equal, one differs, one is refused.
    """
    assert {WITHIN, BEYOND, REFUSED} == {case.result for case in CORE}


def test_a_result_with_other_values_is_not_what_was_declared() -> None:
    """
    The result of a row is that of the run.
    """
    numbers = {"rows": 1, "difference": 0.0, "beyond": "0.0%", "flips": 0, "reason": "a | b"}
    seen = {case.name: {"result": case.result, **numbers} for case in ALL}

    text = page({**seen, CASES[0].name: {"result": BEYOND, **numbers}})

    assert declared(ALL)[1:] == rows(text)[1:]
    assert (CASES[0].name, BEYOND) == rows(text)[0]
